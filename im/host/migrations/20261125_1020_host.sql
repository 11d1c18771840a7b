-- +goose Up
-- The domains served beside the configured one.
CREATE TABLE host (
    name     TEXT   NOT NULL PRIMARY KEY,
    disabled BIGINT NOT NULL, -- 1: kept, but not served
    created  BIGINT NOT NULL  -- microseconds
);

-- What differs on one host from the configuration file; the configured domain may have some too.
CREATE TABLE host_setting (
    host  TEXT NOT NULL,
    key   TEXT NOT NULL, -- dotted, as in the file
    value TEXT NOT NULL, -- as a person writes it
    PRIMARY KEY (host, key)
);
