-- +goose Up
-- When an account's people have logged in: the first and the last time, how often.
CREATE TABLE visit (
    account TEXT   NOT NULL PRIMARY KEY,
    first   BIGINT NOT NULL, -- microseconds since 1970, UTC
    last    BIGINT NOT NULL,
    times   BIGINT NOT NULL
) /*NOROWID*/;
