-- +goose Up

-- The blocks of the log that are indexed.
CREATE TABLE word_block (
    block BIGINT NOT NULL PRIMARY KEY,  -- position / 8192
    rest  BYTES                         -- records with more words than were taken: always candidates
);

-- Their words, sorted, many to a row (im/search/pack.go).
CREATE TABLE word (
    block BIGINT NOT NULL,
    first BYTES NOT NULL,  -- the first word of the row
    list  BYTES NOT NULL,
    PRIMARY KEY (block, first)
)/*NOROWID*/;
