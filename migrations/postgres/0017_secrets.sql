-- Secrets of sources, flag services and channels, sealed with a key that is never stored.
CREATE TABLE secret (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    name TEXT NOT NULL,
    nonce TEXT NOT NULL,
    sealed TEXT NOT NULL,
    key_id TEXT NOT NULL,
    hint TEXT,
    set_at TIMESTAMPTZ NOT NULL,
    set_by TEXT NOT NULL,
    PRIMARY KEY (workspace_id, name)
);
