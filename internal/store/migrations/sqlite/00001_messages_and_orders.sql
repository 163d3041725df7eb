-- +goose Up
CREATE TABLE orderctl_messages (
    consumer_group TEXT    NOT NULL,
    msg_id         TEXT    NOT NULL,
    fingerprint    TEXT    NOT NULL,
    state          TEXT    NOT NULL, -- done, retry, parked, dead, discarded
    done_id        TEXT,             -- msg_id when done: one content of a message id takes effect, ever
    outcome        TEXT,
    hop            INTEGER NOT NULL,
    at_topic       TEXT,             -- where the live copy is; at_offset NULL: the hop is on its way
    at_partition   INTEGER,
    at_offset      INTEGER,
    order_id       TEXT,             -- NULL: undecodable
    src_topic      TEXT    NOT NULL,
    src_partition  INTEGER NOT NULL,
    src_offset     INTEGER NOT NULL,
    attempts       INTEGER NOT NULL,
    class          TEXT,
    code           TEXT,
    message        TEXT,
    due_at         INTEGER,          -- all times are Unix milliseconds
    blocked_by     TEXT,
    replay_id      TEXT,
    control_offset INTEGER,
    starts         INTEGER NOT NULL,
    trace_id       TEXT,
    first_failure  INTEGER,
    last_failure   INTEGER,
    updated_at     INTEGER NOT NULL,
    PRIMARY KEY (consumer_group, msg_id, fingerprint),
    UNIQUE (consumer_group, done_id)
) STRICT;

CREATE INDEX orderctl_messages_order ON orderctl_messages (consumer_group, order_id);
CREATE INDEX orderctl_messages_source ON orderctl_messages (consumer_group, src_topic, src_partition, src_offset);
CREATE INDEX orderctl_messages_unfinished ON orderctl_messages (consumer_group, state) WHERE state <> 'done';

CREATE TABLE orders (
    consumer_group TEXT    NOT NULL,
    order_id       TEXT    NOT NULL,
    user_id        TEXT    NOT NULL,
    status         TEXT    NOT NULL,
    currency       TEXT    NOT NULL,
    total_amount   INTEGER NOT NULL, -- minor units of currency
    items          TEXT    NOT NULL, -- JSON array
    attributes     TEXT,             -- JSON object
    created_at     INTEGER NOT NULL, -- the order's own timestamp in the first message applied
    updated_at     INTEGER NOT NULL, -- the order's own timestamp in the last message applied
    msg_id         TEXT    NOT NULL, -- the last message applied, and where it lies
    src_partition  INTEGER NOT NULL,
    src_offset     INTEGER NOT NULL,
    trace_id       TEXT,
    applied_at     INTEGER NOT NULL, -- the clock of the worker that applied it
    PRIMARY KEY (consumer_group, order_id)
) STRICT;

CREATE TABLE orderctl_runs (
    consumer_group TEXT    NOT NULL,
    instance       TEXT    NOT NULL,
    started_at     INTEGER NOT NULL,
    ended_at       INTEGER,          -- NULL: still running, or ended without saying so
    PRIMARY KEY (consumer_group, instance, started_at)
) STRICT;

-- One row. It tells this database from any other that might take its place while a worker runs.
CREATE TABLE orderctl_store (
    id TEXT NOT NULL PRIMARY KEY
) STRICT;
INSERT INTO orderctl_store (id) VALUES (lower(hex(randomblob(16))));
