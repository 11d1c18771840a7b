-- +goose Up

-- The record is written at once, what finds it later (view, place, sending) in
-- sorted runs behind it: see tail.go. So the record keeps no index of its own
-- but its position, and says itself in whose archives it is seen.
CREATE TABLE record_next (
    pos       AUTOID,
    at        BIGINT NOT NULL,            -- microseconds since 1970, UTC
    conv      BIGINT NOT NULL,            -- conversation.id
    conv_seq  BIGINT NOT NULL,            -- 1, 2, 3 … within the conversation, no gaps
    state     BIGINT NOT NULL DEFAULT 0,  -- 0 delivered, 1 held, 2 held and refused
    sender    TEXT NOT NULL,              -- full address
    recipient TEXT NOT NULL,              -- as addressed
    dedup     BYTES,                      -- identity of a sending, NULL without origin-id
    views     TEXT,                       -- its view rows (views.go), NULL in records older than this column
    stanza    BYTES,
    salt      BYTES,
    seal      BYTES NOT NULL              -- salted commitment to the row
);
INSERT INTO record_next (pos, at, conv, conv_seq, state, sender, recipient, dedup, stanza, salt, seal)
    SELECT pos, at, conv, conv_seq, state, sender, recipient, dedup, stanza, salt, seal FROM record ORDER BY pos;

-- The records of a conversation.
CREATE TABLE place (
    conv BIGINT NOT NULL,
    pos  BIGINT NOT NULL,
    PRIMARY KEY (conv, pos)
)/*NOROWID*/;
INSERT INTO place (conv, pos) SELECT conv, pos FROM record ORDER BY conv, pos;

-- Sendings with an origin-id.
CREATE TABLE sending (
    dedup BYTES NOT NULL PRIMARY KEY,
    pos   BIGINT NOT NULL
)/*NOROWID*/;
INSERT INTO sending (dedup, pos) SELECT dedup, pos FROM record WHERE dedup IS NOT NULL ORDER BY dedup;

-- indexed: up to this position every record is in view, place and sending.
INSERT INTO archive_mark (name, value) SELECT 'indexed', COALESCE(MAX(pos), 0) FROM record;

DROP TABLE record;
ALTER TABLE record_next RENAME TO record;
