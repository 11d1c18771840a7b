-- +goose Up

-- Where an address's archive begins: whoever has the address of a removed account
-- sees nothing of it. The records stay, and their views.
CREATE TABLE archive_floor (
    owner TEXT NOT NULL PRIMARY KEY,
    pos   BIGINT NOT NULL -- exclusive
)/*NOROWID*/;
