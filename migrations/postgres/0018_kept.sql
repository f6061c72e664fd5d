-- What sources answered about experiments, for a stated time; and up to which day levels were thinned.
CREATE TABLE raw_answer (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    hash TEXT NOT NULL,
    packed BYTEA NOT NULL,
    read_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, hash)
);
CREATE INDEX raw_answer_by_time ON raw_answer (workspace_id, read_at);

CREATE TABLE retention (
    workspace_id UUID NOT NULL PRIMARY KEY REFERENCES workspace (id),
    levels_until TIMESTAMPTZ NOT NULL
);
