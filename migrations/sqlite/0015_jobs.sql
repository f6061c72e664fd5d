-- What is read, from where and when; who reads it now.
CREATE TABLE job (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    subject_id BLOB NOT NULL,
    signal TEXT NOT NULL,
    outcome_id BLOB NOT NULL,
    source TEXT NOT NULL,
    urgency INTEGER NOT NULL,
    due_at TEXT NOT NULL,
    holder TEXT,
    PRIMARY KEY (workspace_id, subject_id, signal)
) STRICT;
CREATE INDEX job_due ON job (workspace_id, due_at);
CREATE INDEX job_queue ON job (workspace_id, source, urgency, due_at);

-- Programs that read, and until when they count as alive.
CREATE TABLE worker (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    holder TEXT NOT NULL,
    alive_until TEXT NOT NULL,
    PRIMARY KEY (workspace_id, holder)
) STRICT;

-- Sources that are left alone for a while, and why.
CREATE TABLE source_state (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    source TEXT NOT NULL,
    failures INTEGER NOT NULL,
    failing_since TEXT NOT NULL,
    rests_until TEXT NOT NULL,
    last_error TEXT NOT NULL,
    PRIMARY KEY (workspace_id, source)
) STRICT;

-- Questions to a vendor's account that limits them, of all workspaces.
CREATE TABLE account (
    name TEXT NOT NULL PRIMARY KEY,
    n_turns INTEGER NOT NULL
) STRICT;
CREATE TABLE account_turn (
    account TEXT NOT NULL REFERENCES account (name),
    id TEXT NOT NULL,
    began_at TEXT NOT NULL,
    ended_at TEXT,
    PRIMARY KEY (account, id)
) STRICT;
CREATE INDEX account_turn_begun ON account_turn (account, began_at);
