-- +goose Up

-- The hats of a room, and who wears which (XEP-0317).
CREATE TABLE room_hat (
    room  TEXT NOT NULL,
    uri   TEXT NOT NULL,
    title TEXT NOT NULL,
    hue   TEXT NOT NULL,                   -- empty: none
    PRIMARY KEY (room, uri)
)/*NOROWID*/;

CREATE TABLE room_hat_worn (
    room TEXT NOT NULL,
    jid  TEXT NOT NULL,
    uri  TEXT NOT NULL,
    PRIMARY KEY (room, jid, uri)
)/*NOROWID*/;
CREATE INDEX room_hat_worn_jid ON room_hat_worn (jid);
