-- What was read of the units of a part of a phase, once their values were final. Nothing is changed: a correction is a new revision.
CREATE TABLE cohort (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    id UUID NOT NULL,
    experiment_id UUID NOT NULL,
    signal TEXT NOT NULL,
    series TEXT NOT NULL,
    phase INTEGER NOT NULL,
    window_from TIMESTAMPTZ NOT NULL,
    window_to TIMESTAMPTZ NOT NULL,
    revision INTEGER NOT NULL,
    reason TEXT NOT NULL,
    arms JSONB NOT NULL,
    as_of TIMESTAMPTZ NOT NULL,
    read_at TIMESTAMPTZ NOT NULL,
    query_hash TEXT NOT NULL,
    raw_hash TEXT NOT NULL,
    checked_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, experiment_id, signal, series, phase, window_from, revision)
);
