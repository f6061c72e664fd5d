-- What is read, from where and when; who reads it now.
CREATE TABLE job (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    subject_id UUID NOT NULL,
    signal TEXT NOT NULL,
    outcome_id UUID NOT NULL,
    source TEXT NOT NULL,
    urgency BIGINT NOT NULL,
    due_at TIMESTAMPTZ NOT NULL,
    holder TEXT,
    PRIMARY KEY (workspace_id, subject_id, signal)
);
CREATE INDEX job_due ON job (workspace_id, due_at);
CREATE INDEX job_queue ON job (workspace_id, source, urgency, due_at);

-- Programs that read, and until when they count as alive.
CREATE TABLE worker (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    holder TEXT NOT NULL,
    alive_until TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, holder)
);

-- Sources that are left alone for a while, and why.
CREATE TABLE source_state (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    source TEXT NOT NULL,
    failures BIGINT NOT NULL,
    failing_since TIMESTAMPTZ NOT NULL,
    rests_until TIMESTAMPTZ NOT NULL,
    last_error TEXT NOT NULL,
    PRIMARY KEY (workspace_id, source)
);

-- Questions to a vendor's account that limits them, of all workspaces.
CREATE TABLE account (
    name TEXT NOT NULL PRIMARY KEY,
    n_turns BIGINT NOT NULL
);
CREATE TABLE account_turn (
    account TEXT NOT NULL REFERENCES account (name),
    id TEXT NOT NULL,
    began_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    PRIMARY KEY (account, id)
);
CREATE INDEX account_turn_begun ON account_turn (account, began_at);
