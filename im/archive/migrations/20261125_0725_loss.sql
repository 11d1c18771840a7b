-- +goose Up

-- What an operator went on without (parlance repair --accept-loss). Positions
-- from first to last were acknowledged once; they are never given again.
CREATE TABLE archive_loss (
    first BIGINT NOT NULL PRIMARY KEY,
    last  BIGINT NOT NULL,
    at    BIGINT NOT NULL,  -- when it was accepted, microseconds
    seal  BYTES NOT NULL    -- of the last one, as the witness knew it
);

-- Records whose content did not fit its seal any more, as they were found
-- (parlance repair). In record they are left as erased ones are.
CREATE TABLE record_quarantine (
    pos       BIGINT NOT NULL,
    found     BIGINT NOT NULL,  -- when, microseconds
    what      TEXT NOT NULL,
    at        BIGINT NOT NULL,
    sender    TEXT NOT NULL,
    recipient TEXT NOT NULL,
    stanza    BYTES,
    salt      BYTES,
    seal      BYTES NOT NULL,
    PRIMARY KEY (pos, found)
)/*NOROWID*/;
