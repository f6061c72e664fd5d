-- What was read of the units of a part of a phase, once their values were final. Nothing is changed: a correction is a new revision.
CREATE TABLE cohort (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    id BLOB NOT NULL,
    experiment_id BLOB NOT NULL,
    signal TEXT NOT NULL,
    series TEXT NOT NULL,
    phase INTEGER NOT NULL,
    window_from TEXT NOT NULL,
    window_to TEXT NOT NULL,
    revision INTEGER NOT NULL,
    reason TEXT NOT NULL,
    arms TEXT NOT NULL,
    as_of TEXT NOT NULL,
    read_at TEXT NOT NULL,
    query_hash TEXT NOT NULL,
    raw_hash TEXT NOT NULL,
    checked_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, experiment_id, signal, series, phase, window_from, revision)
) STRICT;
