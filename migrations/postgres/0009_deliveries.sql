-- What became of a notice in each channel, so that one channel that refuses does not make the others receive it again.
CREATE TABLE delivery (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    message_id UUID NOT NULL,
    channel TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_attempt_at TIMESTAMPTZ NOT NULL,
    last_error TEXT,
    closed_at TIMESTAMPTZ,
    closed_as TEXT,
    PRIMARY KEY (workspace_id, message_id, channel),
    FOREIGN KEY (workspace_id, message_id) REFERENCES outbox (workspace_id, id)
);
