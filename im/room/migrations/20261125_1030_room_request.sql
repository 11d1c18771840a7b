-- +goose Up

-- Registrations that wait for an admin of the room (XEP-0045 §9.9).
CREATE TABLE room_request (
    room TEXT NOT NULL,
    jid  TEXT NOT NULL,
    nick TEXT NOT NULL,
    at   BIGINT NOT NULL,                  -- microseconds since 1970, UTC
    PRIMARY KEY (room, jid)
)/*NOROWID*/;
CREATE INDEX room_request_jid ON room_request (jid);
