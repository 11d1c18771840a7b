-- +goose Up
-- Lists that hold for the whole server (XEP-0133 §4.11, §4.12): black or white.
CREATE TABLE wall (
    list TEXT NOT NULL,
    jid  TEXT NOT NULL,
    PRIMARY KEY (list, jid)
) /*NOROWID*/;

-- Reports that came with a block (XEP-0377). stanza_ids is JSON: [{"by":…,"id":…}].
CREATE TABLE report (
    id         AUTOID,
    at         BIGINT NOT NULL, -- microseconds since 1970, UTC
    reporter   TEXT NOT NULL,
    reported   TEXT NOT NULL,
    reason     TEXT NOT NULL,
    said       TEXT NOT NULL,
    lang       TEXT NOT NULL,
    stanza_ids TEXT NOT NULL,
    forward    TEXT NOT NULL   -- what the reporter allowed: report-origin, third-party
);
CREATE INDEX report_reporter ON report (reporter, at);
