-- Accounts, the keys they log in with, and tokens. Times are microseconds since 1970 UTC.
CREATE TABLE account (
    jid      TEXT   NOT NULL PRIMARY KEY, -- bare, normalised
    name     TEXT   NOT NULL,
    disabled BIGINT NOT NULL,
    admin    BIGINT NOT NULL,
    created  BIGINT NOT NULL
) /*NOROWID*/;

-- RFC 5802 §3: what a server stores instead of a password.
CREATE TABLE account_key (
    jid        TEXT   NOT NULL REFERENCES account (jid) ON DELETE CASCADE,
    mechanism  TEXT   NOT NULL, -- SHA-1, SHA-256
    salt       BYTES  NOT NULL,
    iterations BIGINT NOT NULL,
    stored_key BYTES  NOT NULL,
    server_key BYTES  NOT NULL,
    PRIMARY KEY (jid, mechanism)
) /*NOROWID*/;

-- Only the SHA-256 of a token is kept. jid is '' for a set-up token.
CREATE TABLE token (
    hash    BYTES  NOT NULL PRIMARY KEY,
    jid     TEXT   NOT NULL,
    kind    TEXT   NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    parent  BYTES -- dies with it
) /*NOROWID*/;
CREATE INDEX token_jid ON token (jid);
CREATE INDEX token_parent ON token (parent);
CREATE INDEX token_expires ON token (expires);

-- What the server itself must not forget, such as the key of made-up salts.
CREATE TABLE setting (
    name  TEXT  NOT NULL PRIMARY KEY,
    value BYTES NOT NULL
) /*NOROWID*/;
