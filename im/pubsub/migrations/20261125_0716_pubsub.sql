-- +goose Up
-- Nodes of pubsub services (XEP-0060 §4.4); a service is an account's bare JID.
-- config is JSON (Config in node.go); created is in microseconds.
CREATE TABLE pubsub_node (
    service TEXT   NOT NULL,
    node    TEXT   NOT NULL,
    config  TEXT   NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (service, node)
) /*NOROWID*/;

-- Affiliations given by the owner (XEP-0060 §4.1); jid is bare. The service itself is always owner and not listed.
CREATE TABLE pubsub_affiliation (
    service     TEXT NOT NULL,
    node        TEXT NOT NULL,
    jid         TEXT NOT NULL,
    affiliation TEXT NOT NULL,
    PRIMARY KEY (service, node, jid)
) /*NOROWID*/;

-- Explicit subscriptions (XEP-0060 §4.2); bare is jid without its resource. state is pending or subscribed.
CREATE TABLE pubsub_subscription (
    service TEXT   NOT NULL,
    node    TEXT   NOT NULL,
    jid     TEXT   NOT NULL,
    bare    TEXT   NOT NULL,
    state   TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (service, node, jid)
) /*NOROWID*/;
CREATE INDEX pubsub_subscription_bare ON pubsub_subscription (bare);

-- Items, in the order of seq within a node. payload is one element with its namespaces declared, or empty.
CREATE TABLE pubsub_item (
    service   TEXT   NOT NULL,
    node      TEXT   NOT NULL,
    id        TEXT   NOT NULL,
    seq       BIGINT NOT NULL,
    publisher TEXT   NOT NULL,
    at        BIGINT NOT NULL,
    size      BIGINT NOT NULL,
    payload   BYTES  NOT NULL,
    PRIMARY KEY (service, node, id)
);
CREATE UNIQUE INDEX pubsub_item_seq ON pubsub_item (service, node, seq);
CREATE INDEX pubsub_item_size ON pubsub_item (service, size);
