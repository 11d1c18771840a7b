-- +goose Up
-- What a subscriber wants of its subscription (XEP-0060 §6.3): JSON (Options in
-- options.go), empty if nothing. temporary is 1 for one that ends with the
-- subscriber's presence (XEP-0060 §12.5), which a restart ends too.
ALTER TABLE pubsub_subscription ADD COLUMN options TEXT NOT NULL DEFAULT '';
ALTER TABLE pubsub_subscription ADD COLUMN temporary BIGINT NOT NULL DEFAULT 0;
