-- +goose Up
-- Block lists (XEP-0191): jid is what the owner blocked: a full or bare JID, a
-- domain, or a domain with a resource.
CREATE TABLE block (
    owner TEXT   NOT NULL,
    jid   TEXT   NOT NULL,
    at    BIGINT NOT NULL,
    PRIMARY KEY (owner, jid)
) /*NOROWID*/;
