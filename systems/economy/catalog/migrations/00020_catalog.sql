-- +goose Up
-- Prices are millionths of a gil; stock is NULL where any number can be sold.
CREATE TABLE item (
    id          TEXT   PRIMARY KEY,
    name        TEXT   NOT NULL,
    description TEXT   NOT NULL,
    price       BIGINT NOT NULL,
    stock       BIGINT,
    created     BIGINT NOT NULL,
    version     BIGINT NOT NULL
);
