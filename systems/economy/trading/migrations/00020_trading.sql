-- +goose Up
-- Our copies of what the other services own; versions tell what is newer. Amounts are millionths of a gil. A deleted item stays,
-- against late messages.
CREATE TABLE catalog_item (
    id          TEXT    PRIMARY KEY,
    name        TEXT    NOT NULL,
    description TEXT    NOT NULL,
    price       BIGINT  NOT NULL,
    version     BIGINT  NOT NULL,
    deleted     BOOLEAN NOT NULL
) @keyed@;

-- What is left to sell, NULL for any number.
CREATE TABLE stock (
    item_id   TEXT   PRIMARY KEY,
    remaining BIGINT,
    version   BIGINT NOT NULL
) @keyed@;

CREATE TABLE inventory_item (
    user_id  TEXT   NOT NULL,
    item_id  TEXT   NOT NULL,
    quantity BIGINT NOT NULL,
    version  BIGINT NOT NULL,
    PRIMARY KEY (user_id, item_id)
) @keyed@;

CREATE TABLE account (
    user_id TEXT   PRIMARY KEY,
    gil     BIGINT NOT NULL,
    version BIGINT NOT NULL
) @keyed@;

-- How purchases ended, for their buyers. told is when a connection of the buyer was sent it, 0 before; until lease another process
-- is about to. trace is the trace of the purchase.
CREATE TABLE push (
    purchase TEXT   PRIMARY KEY,
    user_id  TEXT   NOT NULL,
    body     TEXT   NOT NULL,
    trace    TEXT   NOT NULL,
    created  BIGINT NOT NULL,
    lease    BIGINT NOT NULL,
    told     BIGINT NOT NULL
);
CREATE INDEX push_untold ON push (user_id) WHERE told = 0;
CREATE INDEX push_created ON push (created);
