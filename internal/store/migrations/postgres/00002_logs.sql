-- +goose Up
CREATE TABLE orderctl_logs (
    consumer_group TEXT COLLATE "C" NOT NULL,
    topic          TEXT COLLATE "C" NOT NULL,
    part           BIGINT           NOT NULL,
    topic_id       TEXT             NOT NULL, -- of the log that the commit belongs to; '' where Kafka does not say
    halted_at      BIGINT,                    -- the commit at which it is read no further; NULL: it is read
    PRIMARY KEY (consumer_group, topic, part)
);
