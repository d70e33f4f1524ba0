-- +goose Up
CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- Logins. Times are milliseconds since 1970 in UTC; ended is 0 while the session lives.
CREATE TABLE session (
    id        TEXT PRIMARY KEY,
    user_name TEXT   NOT NULL,
    device    TEXT   NOT NULL,
    refresh   TEXT   NOT NULL,
    address   TEXT   NOT NULL,
    created   BIGINT NOT NULL,
    seen      BIGINT NOT NULL,
    expires   BIGINT NOT NULL,
    ended     BIGINT NOT NULL
);
CREATE INDEX session_alive ON session (ended, expires);
CREATE INDEX session_of_user ON session (user_name, device);

-- References of publishers, for the time of the dedupe window.
CREATE TABLE reference (
    publisher    TEXT   NOT NULL,
    reference    TEXT   NOT NULL,
    notification TEXT   NOT NULL,
    at           BIGINT NOT NULL,
    PRIMARY KEY (publisher, reference)
);
CREATE INDEX reference_at ON reference (at);

CREATE TABLE webhook (
    id         TEXT PRIMARY KEY,
    url        TEXT   NOT NULL,
    secret     TEXT   NOT NULL,
    filter     TEXT   NOT NULL,
    rights     TEXT   NOT NULL,
    created_by TEXT   NOT NULL,
    created    BIGINT NOT NULL
);

-- What webhooks have not got yet, in order; parked is what they will not get without somebody asking for it.
CREATE TABLE delivery (
    seq          @identity@,
    webhook      TEXT    NOT NULL,
    notification TEXT    NOT NULL,
    body         TEXT    NOT NULL,
    created      BIGINT  NOT NULL,
    expires      BIGINT  NOT NULL,
    tries        BIGINT  NOT NULL,
    due          BIGINT  NOT NULL,
    lease        BIGINT  NOT NULL,
    parked       BOOLEAN NOT NULL,
    error        TEXT    NOT NULL
);
CREATE INDEX delivery_head ON delivery (webhook, parked, seq);

-- Retained notifications, and how far each user at each device has heard them when it left.
CREATE TABLE retained (
    seq      @identity@,
    event    TEXT   NOT NULL,
    resource TEXT   NOT NULL,
    action   BIGINT NOT NULL,
    created  BIGINT NOT NULL,
    expires  BIGINT NOT NULL,
    body     TEXT   NOT NULL
);
CREATE INDEX retained_created ON retained (created);
CREATE TABLE away (
    user_id TEXT   NOT NULL,
    device  TEXT   NOT NULL,
    seq     BIGINT NOT NULL,
    filters TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (user_id, device)
);

-- +goose Down
DROP TABLE away;
DROP TABLE retained;
DROP TABLE delivery;
DROP TABLE webhook;
DROP TABLE reference;
DROP TABLE session;
DROP TABLE setting;
