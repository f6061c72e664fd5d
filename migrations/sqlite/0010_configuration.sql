-- What was proposed and applied of outcome files, each text once under its SHA-256. Which one counts is in the log.
CREATE TABLE configuration (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    hash TEXT NOT NULL,
    content TEXT NOT NULL,
    proposed_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, hash)
) STRICT;

-- A gate about a change of the file is about no one outcome.
CREATE TABLE gate_anew (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    id BLOB NOT NULL,
    slug TEXT NOT NULL,
    gate_type TEXT NOT NULL,
    status TEXT NOT NULL,
    outcome_id BLOB,
    experiment_id BLOB,
    rules TEXT NOT NULL,
    state TEXT NOT NULL,
    context TEXT NOT NULL,
    context_hash TEXT NOT NULL,
    due_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    responded_at TEXT,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, slug),
    FOREIGN KEY (workspace_id, outcome_id) REFERENCES outcome (workspace_id, id),
    FOREIGN KEY (workspace_id, experiment_id) REFERENCES experiment (workspace_id, id)
) STRICT;
INSERT INTO gate_anew (workspace_id, id, slug, gate_type, status, outcome_id, experiment_id, rules, state, context, context_hash,
    due_at, created_at, responded_at)
SELECT workspace_id, id, slug, gate_type, status, outcome_id, experiment_id, rules, state, context, context_hash,
    due_at, created_at, responded_at
FROM gate;
DROP TABLE gate;
ALTER TABLE gate_anew RENAME TO gate;
CREATE INDEX gate_by_status ON gate (workspace_id, status, due_at);
CREATE INDEX gate_by_experiment ON gate (workspace_id, experiment_id, created_at);
