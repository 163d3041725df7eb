-- +goose Up
CREATE TABLE orderctl_logs (
    consumer_group TEXT    NOT NULL,
    topic          TEXT    NOT NULL,
    part           INTEGER NOT NULL,
    topic_id       TEXT    NOT NULL, -- of the log that the commit belongs to; '' where Kafka does not say
    halted_at      INTEGER,          -- the commit at which it is read no further; NULL: it is read
    PRIMARY KEY (consumer_group, topic, part)
) WITHOUT ROWID;
