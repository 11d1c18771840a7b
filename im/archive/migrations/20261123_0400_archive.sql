-- +goose Up

-- One conversation: a pair of bare addresses (sorted), later also a room.
CREATE TABLE conversation (
    id  AUTOID,
    key TEXT NOT NULL UNIQUE
);

-- The record: one immutable row per message, whoever it went to. pos is
-- (log, sequence) in one number. stanza and salt become NULL when the content
-- is erased; seal stays, so that proofs over it still hold.
CREATE TABLE record (
    pos       AUTOID,
    at        BIGINT NOT NULL,            -- microseconds since 1970, UTC
    conv      BIGINT NOT NULL REFERENCES conversation (id),
    conv_seq  BIGINT NOT NULL,            -- 1, 2, 3 … within the conversation, no gaps
    state     BIGINT NOT NULL DEFAULT 0,  -- 0 delivered, 1 held, 2 held and refused
    sender    TEXT NOT NULL,              -- full address
    recipient TEXT NOT NULL,              -- as addressed
    dedup     BYTES,                      -- identity of a sending, NULL without origin-id
    stanza    BYTES,
    salt      BYTES,
    seal      BYTES NOT NULL              -- salted commitment to the row
);
CREATE INDEX record_conv ON record (conv, pos);
CREATE INDEX record_at ON record (at, pos);
CREATE UNIQUE INDEX record_dedup ON record (dedup) WHERE dedup IS NOT NULL;

-- Who sees which record in his archive. flags: 1 shown to clients (XEP-0313),
-- 2 kept for a session that comes later (XEP-0160).
CREATE TABLE view (
    owner TEXT NOT NULL,
    pos   BIGINT NOT NULL,
    flags BIGINT NOT NULL,
    PRIMARY KEY (owner, pos)
)/*NOROWID*/;

-- Messages no session of the owner has taken.
CREATE TABLE waiting (
    owner TEXT NOT NULL,
    pos   BIGINT NOT NULL,
    PRIMARY KEY (owner, pos)
)/*NOROWID*/;

-- settled: up to this position every message is taken or in waiting.
CREATE TABLE archive_mark (
    name  TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
