-- A file from its slot on (XEP-0363). What state means: im/file/state.go.
CREATE TABLE file (
    id         TEXT   NOT NULL PRIMARY KEY,   -- the secret of its address
    put        TEXT   NOT NULL,               -- the secret of its slot
    owner      TEXT   NOT NULL,               -- bare JID
    name       TEXT   NOT NULL,
    media      TEXT   NOT NULL,               -- as announced; '' if it was not
    purpose    TEXT   NOT NULL,
    size       BIGINT NOT NULL,               -- as announced, received and counted
    stored     BIGINT NOT NULL DEFAULT 0,     -- bytes of the content as it is kept
    hash       TEXT,                          -- SHA-256 of it, hexadecimal
    state      TEXT   NOT NULL,
    reason     TEXT   NOT NULL DEFAULT '',
    created    BIGINT NOT NULL,               -- microseconds
    expires    BIGINT NOT NULL,               -- of the slot
    until      BIGINT NOT NULL DEFAULT 0,     -- the address works so long; 0: for ever
    thumb      TEXT,                          -- SHA-256 of the thumbnail
    thumb_size BIGINT NOT NULL DEFAULT 0,
    thumbed    TEXT   NOT NULL DEFAULT ''     -- '', 'making', 'made' or 'none'
);

CREATE UNIQUE INDEX file_put ON file (put);
CREATE INDEX file_owner ON file (owner, created);
CREATE INDEX file_created ON file (created);
CREATE INDEX file_hash ON file (hash) WHERE hash IS NOT NULL;
CREATE INDEX file_thumb ON file (thumb) WHERE thumb IS NOT NULL;
CREATE INDEX file_open ON file (expires) WHERE state IN ('slot', 'uploading');

-- What each account has in all, slots included.
CREATE TABLE file_usage (
    owner   TEXT   NOT NULL PRIMARY KEY,
    bytes   BIGINT NOT NULL,
    files   BIGINT NOT NULL,
    profile BIGINT NOT NULL                   -- bytes for the purpose "profile"
);

-- Contents that a file let go of: removed unless another file has the same.
CREATE TABLE file_loose (
    hash     TEXT   NOT NULL PRIMARY KEY,
    removing BIGINT NOT NULL DEFAULT 0
);
