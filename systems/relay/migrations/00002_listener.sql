-- +goose Up
-- What this server has subscribed to, at other hubs by their address, or at itself: address ''. The cookies are those that it has
-- handed out, the last one for each address and eventguid. version is that of listening when the cookie came, told the one that the
-- hub has been told, with what it said to it. A cookie that ends a subscription stays until the hub has been told.
CREATE TABLE handed_out (
    hub     TEXT    NOT NULL,
    guid    @bytes@ NOT NULL,
    cookie  @bytes@ NOT NULL,
    version BIGINT  NOT NULL,
    told    BIGINT  NOT NULL,
    refusal TEXT    NOT NULL,
    PRIMARY KEY (hub, guid)
);
CREATE INDEX handed_out_version ON handed_out (version);

-- One row: the name of this server as a listener elsewhere, the process that listens, until when it does so unless it says that it is
-- still there, and the newest version of what is handed out.
CREATE TABLE listening (
    name    TEXT PRIMARY KEY,
    node    TEXT   NOT NULL,
    until   BIGINT NOT NULL,
    version BIGINT NOT NULL
);

-- +goose Down
DROP TABLE listening;
DROP TABLE handed_out;
