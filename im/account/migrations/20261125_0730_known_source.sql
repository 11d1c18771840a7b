-- +goose Up

-- From where an account has logged in: such a source has a count of wrong passwords of its own, so that nobody locks an owner
-- out (HARDENING A8). source is a keyed hash of account and address: who reads the table learns no address.
CREATE TABLE known_source (
    account TEXT   NOT NULL REFERENCES account (jid) ON DELETE CASCADE,
    source  BYTES  NOT NULL,
    until   BIGINT NOT NULL, -- forgotten then, microseconds
    PRIMARY KEY (account, source)
) /*NOROWID*/;
CREATE INDEX known_source_until ON known_source (until);
