-- +goose Up
CREATE TABLE orderctl_messages (
    consumer_group TEXT COLLATE "C" NOT NULL,
    msg_id         TEXT COLLATE "C" NOT NULL,
    fingerprint    TEXT COLLATE "C" NOT NULL,
    state          TEXT             NOT NULL, -- done, retry, parked, dead, discarded
    done_id        TEXT COLLATE "C",          -- msg_id when done: one content of a message id takes effect, ever
    outcome        TEXT,
    hop            BIGINT           NOT NULL,
    at_topic       TEXT COLLATE "C",          -- where the live copy is; at_offset NULL: the hop is on its way
    at_partition   BIGINT,
    at_offset      BIGINT,
    order_id       TEXT COLLATE "C",          -- NULL: undecodable
    src_topic      TEXT COLLATE "C" NOT NULL,
    src_partition  BIGINT           NOT NULL,
    src_offset     BIGINT           NOT NULL,
    attempts       BIGINT           NOT NULL,
    class          TEXT,
    code           TEXT,
    message        TEXT,
    due_at         BIGINT,                    -- all times are Unix milliseconds
    blocked_by     TEXT,
    replay_id      TEXT,
    control_offset BIGINT,
    starts         BIGINT           NOT NULL,
    trace_id       TEXT,
    first_failure  BIGINT,
    last_failure   BIGINT,
    updated_at     BIGINT           NOT NULL,
    PRIMARY KEY (consumer_group, msg_id, fingerprint),
    UNIQUE (consumer_group, done_id)
);

CREATE INDEX orderctl_messages_order ON orderctl_messages (consumer_group, order_id);
CREATE INDEX orderctl_messages_source ON orderctl_messages (consumer_group, src_topic, src_partition, src_offset);
CREATE INDEX orderctl_messages_unfinished ON orderctl_messages (consumer_group, state) WHERE state <> 'done';

CREATE TABLE orders (
    consumer_group TEXT COLLATE "C" NOT NULL,
    order_id       TEXT COLLATE "C" NOT NULL,
    user_id        TEXT             NOT NULL,
    status         TEXT             NOT NULL,
    currency       TEXT             NOT NULL,
    total_amount   BIGINT           NOT NULL, -- minor units of currency
    items          TEXT             NOT NULL, -- JSON array; as text, since jsonb refuses what an order may hold (\u0000)
    attributes     TEXT,                      -- JSON object
    created_at     BIGINT           NOT NULL, -- the order's own timestamp in the first message applied
    updated_at     BIGINT           NOT NULL, -- the order's own timestamp in the last message applied
    msg_id         TEXT COLLATE "C" NOT NULL, -- the last message applied, and where it lies
    src_partition  BIGINT           NOT NULL,
    src_offset     BIGINT           NOT NULL,
    trace_id       TEXT,
    applied_at     BIGINT           NOT NULL, -- the clock of the worker that applied it
    PRIMARY KEY (consumer_group, order_id)
);

CREATE TABLE orderctl_runs (
    consumer_group TEXT COLLATE "C" NOT NULL,
    instance       TEXT COLLATE "C" NOT NULL,
    started_at     BIGINT           NOT NULL,
    ended_at       BIGINT,                    -- NULL: still running, or ended without saying so
    PRIMARY KEY (consumer_group, instance, started_at)
);

-- One row. It tells this database from any other that might take its place while a worker runs.
CREATE TABLE orderctl_store (
    id TEXT NOT NULL PRIMARY KEY
);

INSERT INTO orderctl_store (id) VALUES (replace(gen_random_uuid()::text, '-', ''));
