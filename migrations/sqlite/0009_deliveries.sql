-- What became of a notice in each channel, so that one channel that refuses does not make the others receive it again.
CREATE TABLE delivery (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    message_id BLOB NOT NULL,
    channel TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at TEXT NOT NULL,
    last_error TEXT,
    closed_at TEXT,
    closed_as TEXT,
    PRIMARY KEY (workspace_id, message_id, channel),
    FOREIGN KEY (workspace_id, message_id) REFERENCES outbox (workspace_id, id)
) STRICT;
