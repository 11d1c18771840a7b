-- +goose Up

-- Rooms past their first configuration. since: the archive position its archive
-- begins behind, so that a room of an old name does not show the old one's.
CREATE TABLE room (
    jid        TEXT NOT NULL PRIMARY KEY,
    since      BIGINT NOT NULL,
    created    BIGINT NOT NULL,            -- microseconds since 1970, UTC
    listed     BIGINT NOT NULL,            -- 1: shown to everybody (XEP-0045 §6.3)
    persistent BIGINT NOT NULL,            -- 0: goes with its last occupant
    name       TEXT NOT NULL,
    config     TEXT NOT NULL,              -- JSON
    subject    BYTES,                      -- content of the subject's message, NULL if there never was one
    subject_by TEXT,                       -- occupant address of who set it
    subject_at BIGINT,
    vcard      BYTES
);
CREATE INDEX room_listed ON room (listed, jid);

-- Lasting affiliations of accounts and domains, and reserved nicknames.
CREATE TABLE room_affiliation (
    room        TEXT NOT NULL,
    jid         TEXT NOT NULL,
    affiliation BIGINT NOT NULL,           -- 0 outcast, 1 none, 2 member, 3 admin, 4 owner
    nick        TEXT,                      -- reserved, NULL if none
    reason      TEXT,
    PRIMARY KEY (room, jid)
)/*NOROWID*/;
CREATE INDEX room_affiliation_jid ON room_affiliation (jid);

-- The key occupant ids are made with (XEP-0421 §4.1), one per service.
CREATE TABLE room_secret (
    service TEXT NOT NULL PRIMARY KEY,
    secret  BYTES NOT NULL
);
