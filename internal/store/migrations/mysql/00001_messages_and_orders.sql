-- +goose Up
-- A definition commits by itself here: cut short, the migration runs again and goes on where it was. Ids are bytes, as
-- every text collation takes some ids for equal that are not ("A " and "A").
CREATE TABLE IF NOT EXISTS orderctl_messages (
    consumer_group VARBINARY(255)  NOT NULL,
    msg_id         VARBINARY(1024) NOT NULL,
    fingerprint    VARBINARY(64)   NOT NULL,
    state          VARCHAR(16)     NOT NULL, -- done, retry, parked, dead, discarded
    done_id        VARBINARY(1024),          -- msg_id when done: one content of a message id takes effect, ever
    outcome        VARCHAR(16),
    hop            BIGINT          NOT NULL,
    at_topic       VARBINARY(255),           -- where the live copy is; at_offset NULL: the hop is on its way
    at_partition   BIGINT,
    at_offset      BIGINT,
    order_id       VARBINARY(255),           -- NULL: undecodable
    src_topic      VARBINARY(255)  NOT NULL,
    src_partition  BIGINT          NOT NULL,
    src_offset     BIGINT          NOT NULL,
    attempts       BIGINT          NOT NULL,
    class          VARCHAR(32),
    code           TEXT,
    message        TEXT,
    due_at         BIGINT,                   -- all times are Unix milliseconds
    blocked_by     VARBINARY(1024),
    replay_id      VARBINARY(255),
    control_offset BIGINT,
    starts         BIGINT          NOT NULL,
    trace_id       VARCHAR(64),
    first_failure  BIGINT,
    last_failure   BIGINT,
    updated_at     BIGINT          NOT NULL,
    PRIMARY KEY (consumer_group, msg_id, fingerprint),
    UNIQUE KEY orderctl_messages_done (consumer_group, done_id),
    KEY orderctl_messages_order (consumer_group, order_id),
    KEY orderctl_messages_source (consumer_group, src_topic, src_partition, src_offset),
    KEY orderctl_messages_unfinished (consumer_group, state)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS orders (
    consumer_group VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    order_id       VARCHAR(255) NOT NULL,
    user_id        VARCHAR(255) NOT NULL,
    status         VARCHAR(32)  NOT NULL,
    currency       VARCHAR(16)  NOT NULL,
    total_amount   BIGINT       NOT NULL, -- minor units of currency
    items          LONGTEXT     NOT NULL, -- JSON array
    attributes     LONGTEXT,              -- JSON object
    created_at     BIGINT       NOT NULL, -- the order's own timestamp in the first message applied
    updated_at     BIGINT       NOT NULL, -- the order's own timestamp in the last message applied
    msg_id         VARBINARY(1024) NOT NULL, -- the last message applied, and where it lies
    src_partition  BIGINT       NOT NULL,
    src_offset     BIGINT       NOT NULL,
    trace_id       VARCHAR(64),
    applied_at     BIGINT       NOT NULL, -- the clock of the worker that applied it
    PRIMARY KEY (consumer_group, order_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- A table of that name that the shop had before ends the migration here.
SELECT consumer_group, order_id, status, msg_id, applied_at FROM orders LIMIT 0;

CREATE TABLE IF NOT EXISTS orderctl_runs (
    consumer_group VARBINARY(255) NOT NULL,
    instance       VARBINARY(255) NOT NULL,
    started_at     BIGINT         NOT NULL,
    ended_at       BIGINT,                   -- NULL: still running, or ended without saying so
    PRIMARY KEY (consumer_group, instance, started_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- One row. It tells this database from any other that might take its place while a worker runs.
CREATE TABLE IF NOT EXISTS orderctl_store (
    one TINYINT     NOT NULL PRIMARY KEY,
    id  VARCHAR(64) NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

INSERT IGNORE INTO orderctl_store (one, id) VALUES (1, REPLACE(UUID(), '-', ''));
