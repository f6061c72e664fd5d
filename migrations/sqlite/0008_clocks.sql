-- What a machine's clock showed when it was last believed, beside the machine's uptime, and why it is not believed now.
CREATE TABLE machine_clock (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    boot TEXT NOT NULL,
    believed_at TEXT,
    up_micros INTEGER NOT NULL,
    doubt TEXT,
    seen_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, boot)
) STRICT;
