-- +goose Up
-- When an account's last session left, and the status it gave (XEP-0012 §4).
CREATE TABLE last_seen (
    account TEXT   NOT NULL PRIMARY KEY,
    at      BIGINT NOT NULL,
    status  TEXT   NOT NULL
) /*NOROWID*/;
