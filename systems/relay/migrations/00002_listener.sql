-- +goose Up
-- What this server has subscribed to, at other hubs by their address, or at itself: address ''. The cookies are those that it has
-- handed out, the last one for each address and eventguid.
CREATE TABLE handed_out (
    hub     TEXT    NOT NULL,
    guid    @bytes@ NOT NULL,
    cookie  @bytes@ NOT NULL,
    created BIGINT  NOT NULL,
    PRIMARY KEY (hub, guid)
);

-- The name of this server as a listener elsewhere.
CREATE TABLE listener_name (
    name TEXT PRIMARY KEY
);

-- +goose Down
DROP TABLE listener_name;
DROP TABLE handed_out;
