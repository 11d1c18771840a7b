-- +goose Up

-- What an account wants to see in its archive (XEP-0441); no row: everything.
CREATE TABLE archive_preference (
    owner    TEXT NOT NULL PRIMARY KEY,
    standard TEXT NOT NULL,  -- always, never or roster
    always   TEXT NOT NULL,  -- addresses, a line each
    never    TEXT NOT NULL
);
