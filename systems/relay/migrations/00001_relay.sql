-- +goose Up
-- Times are milliseconds since 1970 in UTC. Eventguids and cookies are any text, with zero bytes too, and so are kept as bytes.

-- The last number given to a retained event, and which numbering that is.
CREATE TABLE ledger (
    epoch TEXT   PRIMARY KEY,
    seq   BIGINT NOT NULL
);

-- Listeners whose events are retained: seen is when they were last connected.
CREATE TABLE listener (
    id      TEXT PRIMARY KEY,
    user_id TEXT   NOT NULL,
    name    TEXT   NOT NULL,
    seen    BIGINT NOT NULL
);
CREATE INDEX listener_seen ON listener (seen);

CREATE TABLE subscription (
    listener TEXT    NOT NULL,
    guid     @bytes@ NOT NULL,
    cookie   @bytes@ NOT NULL,
    PRIMARY KEY (listener, guid)
);
CREATE INDEX subscription_guid ON subscription (guid);

-- Events of listeners, with the cookies they had; sent is when one was handed to a connection, 0 before that.
CREATE TABLE retained (
    listener TEXT    NOT NULL,
    seq      BIGINT  NOT NULL,
    guid     @bytes@ NOT NULL,
    cookie   @bytes@ NOT NULL,
    created  BIGINT  NOT NULL,
    sent     BIGINT  NOT NULL,
    PRIMARY KEY (listener, seq)
);
CREATE INDEX retained_created ON retained (created);

CREATE TABLE webhook (
    url     TEXT    NOT NULL,
    guid    @bytes@ NOT NULL,
    cookie  @bytes@ NOT NULL,
    secret  TEXT    NOT NULL,
    user_id TEXT    NOT NULL,
    created BIGINT  NOT NULL,
    PRIMARY KEY (url, guid)
);
CREATE INDEX webhook_guid ON webhook (guid);

-- What webhooks have not got yet, in order.
CREATE TABLE delivery (
    seq     @identity@,
    url     TEXT    NOT NULL,
    guid    @bytes@ NOT NULL,
    body    TEXT    NOT NULL,
    created BIGINT  NOT NULL,
    tries   BIGINT  NOT NULL,
    due     BIGINT  NOT NULL,
    lease   BIGINT  NOT NULL
);
CREATE INDEX delivery_head ON delivery (url, seq);

-- +goose Down
DROP TABLE delivery;
DROP TABLE webhook;
DROP TABLE retained;
DROP TABLE subscription;
DROP TABLE listener;
DROP TABLE ledger;
