-- +goose Up
-- Rosters (RFC 6121 §2). in_groups is a JSON array of strings; subscription is
-- none, to, from or both; ask and approved are 0 or 1 (RFC 6121 §2.1.2).
CREATE TABLE roster_item (
    owner        TEXT   NOT NULL,
    contact      TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    in_groups    TEXT   NOT NULL,
    subscription TEXT   NOT NULL,
    ask          BIGINT NOT NULL,
    approved     BIGINT NOT NULL,
    PRIMARY KEY (owner, contact)
) /*NOROWID*/;

-- Inbound subscription requests not answered yet, as they came (RFC 6121 §3.1.3).
CREATE TABLE roster_pending (
    owner   TEXT   NOT NULL,
    contact TEXT   NOT NULL,
    stanza  BYTES  NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (owner, contact)
) /*NOROWID*/;

-- ver is the roster version clients see (RFC 6121 §2.6); seq grows with every
-- change, also with those that clients do not see.
CREATE TABLE roster_version (
    owner TEXT   NOT NULL PRIMARY KEY,
    ver   BIGINT NOT NULL,
    seq   BIGINT NOT NULL
) /*NOROWID*/;
