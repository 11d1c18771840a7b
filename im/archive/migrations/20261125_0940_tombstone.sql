-- +goose Up

-- What an owner's archive shows in place of a retracted message (XEP-0424 §4).
-- The record itself stays as it was.
CREATE TABLE tombstone (
    owner  TEXT NOT NULL,
    pos    BIGINT NOT NULL,
    stanza BYTES NOT NULL,
    PRIMARY KEY (owner, pos)
)/*NOROWID*/;
