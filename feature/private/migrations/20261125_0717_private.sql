-- +goose Up
-- Private XML (XEP-0049): one element per name and owner, valid on its own.
CREATE TABLE private_xml (
    owner   TEXT  NOT NULL,
    space   TEXT  NOT NULL,
    local   TEXT  NOT NULL,
    payload BYTES NOT NULL,
    PRIMARY KEY (owner, space, local)
) /*NOROWID*/;
