-- +goose Up
-- What is to be published: written with the state that it tells of, removed when the bus has it. Times are milliseconds since
-- 1970 in UTC. Each process publishes its own rows; those of one that is gone are taken over.
CREATE TABLE outbox (
    seq    @identity@,
    id     TEXT    NOT NULL,
    key    TEXT    NOT NULL,
    topic  TEXT    NOT NULL,
    header TEXT    NOT NULL,
    body   @bytes@ NOT NULL,
    owner  TEXT    NOT NULL
);

CREATE TABLE outbox_owner (
    owner TEXT   PRIMARY KEY,
    seen  BIGINT NOT NULL
);

-- What was received and done, and for commands what was answered.
CREATE TABLE inbox (
    topic  TEXT    NOT NULL,
    key    TEXT    NOT NULL,
    at     BIGINT  NOT NULL,
    answer @bytes@ NOT NULL,
    PRIMARY KEY (topic, key)
) @keyed@;
CREATE INDEX inbox_at ON inbox (at);
