-- What a machine's clock showed when it was last believed, beside the machine's uptime, and why it is not believed now.
CREATE TABLE machine_clock (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    boot TEXT NOT NULL,
    believed_at TIMESTAMPTZ,
    up_micros BIGINT NOT NULL,
    doubt TEXT,
    seen_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, boot)
);
