-- +goose Up
-- What a host says to whoever comes: kind is motd or welcome (XEP-0133 §4.24, §4.27).
CREATE TABLE notice (
    host TEXT   NOT NULL,
    kind TEXT   NOT NULL,
    id   TEXT   NOT NULL, -- of its messages; another id is said to everybody again
    said TEXT   NOT NULL,
    at   BIGINT NOT NULL, -- microseconds since 1970, UTC
    PRIMARY KEY (host, kind)
) /*NOROWID*/;
