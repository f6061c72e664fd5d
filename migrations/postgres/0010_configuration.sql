-- What was proposed and applied of outcome files, each text once under its SHA-256. Which one counts is in the log.
CREATE TABLE configuration (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    hash TEXT NOT NULL,
    content TEXT NOT NULL,
    proposed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, hash)
);

-- A gate about a change of the file is about no one outcome.
ALTER TABLE gate ALTER COLUMN outcome_id DROP NOT NULL;
