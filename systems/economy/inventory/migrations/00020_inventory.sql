-- +goose Up
-- Our copy of the catalog. supply is how many there were ever to sell, sold those that are gone or reserved; supply is NULL where
-- any number can be sold; told counts how often we have told what is left. A deleted item stays, for its name and against late messages.
CREATE TABLE catalog_item (
    id          TEXT    PRIMARY KEY,
    name        TEXT    NOT NULL,
    description TEXT    NOT NULL,
    supply      BIGINT,
    sold        BIGINT  NOT NULL,
    told        BIGINT  NOT NULL,
    version     BIGINT  NOT NULL,
    deleted     BOOLEAN NOT NULL
) @keyed@;

CREATE TABLE inventory_item (
    user_id  TEXT   NOT NULL,
    item_id  TEXT   NOT NULL,
    quantity BIGINT NOT NULL,
    acquired BIGINT NOT NULL,
    version  BIGINT NOT NULL,
    PRIMARY KEY (user_id, item_id)
) @keyed@;

-- What was done for each purchase: reserved, granted (handed out), or subtracted, which is the end, even if nothing came before.
CREATE TABLE reservation (
    purchase TEXT   PRIMARY KEY,
    user_id  TEXT   NOT NULL,
    item_id  TEXT   NOT NULL,
    quantity BIGINT NOT NULL,
    state    TEXT   NOT NULL,
    at       BIGINT NOT NULL
) @keyed@;
