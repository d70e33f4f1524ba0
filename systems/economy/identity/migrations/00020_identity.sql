-- +goose Up
-- Gil are millionths; times are milliseconds since 1970 in UTC. Secrets that somebody presents, such as codes and cookies, are
-- kept as their SHA-256 in base64url.
CREATE TABLE account (
    id        TEXT   PRIMARY KEY,
    email     TEXT   NOT NULL,
    email_key TEXT   NOT NULL UNIQUE,
    user_name TEXT   NOT NULL,
    password  TEXT   NOT NULL,
    roles     TEXT   NOT NULL,
    gil       BIGINT NOT NULL,
    created   BIGINT NOT NULL,
    version   BIGINT NOT NULL
);

-- Accounts that were removed: one of the same id goes on behind the last version that others have heard of.
CREATE TABLE former_account (
    id      TEXT   PRIMARY KEY,
    version BIGINT NOT NULL
);

-- What was done with the gil of a purchase: debited, or refunded, which may come before the debit.
CREATE TABLE debit (
    purchase TEXT   PRIMARY KEY,
    account  TEXT   NOT NULL,
    gil      BIGINT NOT NULL,
    state    TEXT   NOT NULL,
    at       BIGINT NOT NULL
) @keyed@;

CREATE TABLE signing_key (
    id      TEXT    PRIMARY KEY,
    private @bytes@ NOT NULL,
    created BIGINT  NOT NULL
);

CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- A browser in which somebody is signed in.
CREATE TABLE session (
    id        TEXT   PRIMARY KEY,
    account   TEXT   NOT NULL,
    auth_time BIGINT NOT NULL,
    expires   BIGINT NOT NULL
);
CREATE INDEX session_account ON session (account);
CREATE INDEX session_expires ON session (expires);

-- A sign-in for a client: begun by a browser, done once there is an account, ended when its code was used.
CREATE TABLE sign_in (
    id            TEXT   PRIMARY KEY,
    browser       TEXT   NOT NULL,
    client        TEXT   NOT NULL,
    redirect_uri  TEXT   NOT NULL,
    scopes        TEXT   NOT NULL,
    state         TEXT   NOT NULL,
    nonce         TEXT   NOT NULL,
    response_mode TEXT   NOT NULL,
    challenge     TEXT   NOT NULL,
    account       TEXT   NOT NULL,
    auth_time     BIGINT NOT NULL,
    code          TEXT   UNIQUE,
    used          BIGINT NOT NULL,
    expires       BIGINT NOT NULL
);
CREATE INDEX sign_in_expires ON sign_in (expires);
CREATE INDEX sign_in_account ON sign_in (account);

-- Refresh tokens that come from one sign-in are a family. A used one stays until it expires, so that a second use is seen.
CREATE TABLE refresh_token (
    id        TEXT   PRIMARY KEY,
    family    TEXT   NOT NULL,
    account   TEXT   NOT NULL,
    client    TEXT   NOT NULL,
    scopes    TEXT   NOT NULL,
    auth_time BIGINT NOT NULL,
    used      BIGINT NOT NULL,
    expires   BIGINT NOT NULL
);
CREATE INDEX refresh_token_family ON refresh_token (family);
CREATE INDEX refresh_token_account ON refresh_token (account);
CREATE INDEX refresh_token_expires ON refresh_token (expires);
