-- +goose Up
-- Tickets. Times are milliseconds since 1970 in UTC, 0 for none. state is 0 waiting for its time, 1 ready, 2 running, 3 done,
-- 4 failed. rank is the priority, or 2^63-1 where there is none. Who runs a ticket is said by node, a process, and claim, which
-- counts what it took; it has the ticket until lease. cut counts the runs in a row that ended with their process.
CREATE TABLE ticket (
    seq        @identity@,
    view_model TEXT   NOT NULL,
    root_id    TEXT   NOT NULL,
    priority   BIGINT,
    rank       BIGINT NOT NULL,
    earliest   BIGINT NOT NULL,
    keep       BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    done       BIGINT NOT NULL,
    delete_at  BIGINT NOT NULL,
    error      TEXT   NOT NULL,
    attempts   BIGINT NOT NULL,
    cut        BIGINT NOT NULL,
    state      BIGINT NOT NULL,
    node       TEXT   NOT NULL,
    claim      BIGINT NOT NULL,
    lease      BIGINT NOT NULL,
    dedupe     TEXT
);
CREATE UNIQUE INDEX ticket_dedupe ON ticket (dedupe) WHERE dedupe IS NOT NULL;
CREATE INDEX ticket_waiting ON ticket (earliest) WHERE state = 0;
CREATE INDEX ticket_ready ON ticket (rank, seq) WHERE state = 1;
CREATE INDEX ticket_running ON ticket (lease) WHERE state = 2;
CREATE INDEX ticket_done ON ticket (delete_at) WHERE state = 3;
CREATE INDEX ticket_failed ON ticket (seq) WHERE state = 4;
CREATE INDEX ticket_root ON ticket (root_id, seq);

-- Objects that view models run for; attributes is a JSON object.
CREATE TABLE object (
    id         TEXT PRIMARY KEY,
    class      TEXT NOT NULL,
    attributes TEXT NOT NULL
);
CREATE INDEX object_class ON object (class, id);

-- Texts that are stored together with tickets.
CREATE TABLE mark (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- When view models run by period for the next time.
CREATE TABLE period (
    view_model TEXT PRIMARY KEY,
    due        BIGINT NOT NULL
);

-- +goose Down
DROP TABLE period;
DROP TABLE mark;
DROP TABLE object;
DROP TABLE ticket;
