-- Invitations (XEP-0401), good once. Only the SHA-256 of the token is kept.
CREATE TABLE invite (
    hash    BYTES  NOT NULL PRIMARY KEY,
    inviter TEXT   NOT NULL, -- bare; whose contact the invited one becomes, if contact is 1
    name    TEXT   NOT NULL, -- the account's localpart; '': the invited one chooses
    account BIGINT NOT NULL, -- an account can be made with it
    contact BIGINT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL
) /*NOROWID*/;
CREATE INDEX invite_inviter ON invite (inviter);
CREATE INDEX invite_name ON invite (name);
