-- Tokens of XEP-0484, two for a device at most. The token itself is made of the
-- seed and a key that is not in here.
CREATE TABLE fast_token (
    jid       TEXT   NOT NULL REFERENCES account (jid) ON DELETE CASCADE,
    device    TEXT   NOT NULL, -- the id of its user-agent (XEP-0388)
    slot      BIGINT NOT NULL, -- 0: current, 1: new, not used yet
    mechanism TEXT   NOT NULL, -- the only one it is good for
    seed      BYTES  NOT NULL,
    created   BIGINT NOT NULL,
    expires   BIGINT NOT NULL,
    used      BIGINT NOT NULL, -- when; 0: never
    counter   BIGINT NOT NULL, -- the last count a client sent with it; 0: none
    software  TEXT   NOT NULL, -- as the client says, for its owner alone
    name      TEXT   NOT NULL,
    PRIMARY KEY (jid, device, slot)
) /*NOROWID*/;
CREATE INDEX fast_token_expires ON fast_token (expires);
