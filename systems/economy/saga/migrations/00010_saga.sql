-- +goose Up
-- Instances of state machines. Times are milliseconds since 1970 in UTC.
CREATE TABLE saga (
    machine TEXT    NOT NULL,
    id      TEXT    NOT NULL,
    state   TEXT    NOT NULL,
    version BIGINT  NOT NULL,
    created BIGINT  NOT NULL,
    updated BIGINT  NOT NULL,
    data    @bytes@ NOT NULL,
    trace   TEXT    NOT NULL,
    PRIMARY KEY (machine, id)
) @keyed@;

-- What instances have commanded. status: open (sent again at next), done, refused, withdrawn (no more needed), undone.
CREATE TABLE saga_command (
    machine TEXT    NOT NULL,
    id      TEXT    NOT NULL,
    command TEXT    NOT NULL,
    status  TEXT    NOT NULL,
    body    @bytes@ NOT NULL,
    attempt BIGINT  NOT NULL,
    next    BIGINT  NOT NULL,
    PRIMARY KEY (machine, id, command)
) @keyed@;
CREATE INDEX saga_command_next ON saga_command (machine, next) WHERE status = 'open';

CREATE TABLE saga_timer (
    machine TEXT   NOT NULL,
    id      TEXT   NOT NULL,
    timer   TEXT   NOT NULL,
    due     BIGINT NOT NULL,
    PRIMARY KEY (machine, id, timer)
) @keyed@;
CREATE INDEX saga_timer_due ON saga_timer (machine, due);

-- What has happened to each instance, for people.
CREATE TABLE saga_history (
    machine TEXT   NOT NULL,
    id      TEXT   NOT NULL,
    number  BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    event   TEXT   NOT NULL,
    state   TEXT   NOT NULL,
    note    TEXT   NOT NULL,
    PRIMARY KEY (machine, id, number)
) @keyed@;
