-- +goose Up
CREATE TABLE IF NOT EXISTS orderctl_logs (
    consumer_group VARBINARY(255) NOT NULL,
    topic          VARBINARY(255) NOT NULL,
    part           BIGINT         NOT NULL,
    topic_id       VARCHAR(64)    NOT NULL, -- of the log that the commit belongs to; '' where Kafka does not say
    halted_at      BIGINT,                  -- the commit at which it is read no further; NULL: it is read
    PRIMARY KEY (consumer_group, topic, part)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
