-- +goose Up

CREATE TABLE vcard (
    owner TEXT NOT NULL PRIMARY KEY,
    card  BYTES NOT NULL
);
