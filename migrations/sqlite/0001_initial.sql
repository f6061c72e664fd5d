CREATE TABLE workspace (
    id BLOB PRIMARY KEY,
    slug TEXT NOT NULL,
    organisation TEXT NOT NULL,
    root TEXT NOT NULL,
    is_virtual_clock INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    log_seq INTEGER NOT NULL,
    log_head TEXT NOT NULL
) STRICT;

CREATE TABLE event (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    seq INTEGER NOT NULL,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id BLOB NOT NULL,
    principal TEXT NOT NULL,
    payload TEXT NOT NULL,
    prev TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (workspace_id, seq)
) STRICT;
CREATE INDEX event_by_subject ON event (workspace_id, subject_id, seq);

CREATE TABLE member (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    id BLOB NOT NULL,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, email)
) STRICT;

CREATE TABLE member_key (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    id BLOB NOT NULL,
    member_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    certificate TEXT NOT NULL,
    sealed TEXT,
    created_at TEXT NOT NULL,
    revoked_at TEXT,
    PRIMARY KEY (workspace_id, id)
) STRICT;

CREATE TABLE agent_token (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    revoked_at TEXT,
    PRIMARY KEY (workspace_id, id)
) STRICT;

CREATE TABLE session (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    token_hash TEXT NOT NULL PRIMARY KEY,
    member_id BLOB NOT NULL,
    csrf TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT;

CREATE TABLE outcome (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    id BLOB NOT NULL,
    slug TEXT NOT NULL,
    status TEXT NOT NULL,
    spec TEXT NOT NULL,
    spec_hash TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, slug)
) STRICT;

CREATE TABLE experiment (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    id BLOB NOT NULL,
    outcome_id BLOB NOT NULL,
    slug TEXT NOT NULL,
    status TEXT NOT NULL,
    hypothesis TEXT NOT NULL,
    hypothesis_hash TEXT NOT NULL,
    author TEXT NOT NULL,
    submitted_by TEXT NOT NULL,
    score TEXT NOT NULL,
    state TEXT NOT NULL,
    parent_id BLOB,
    base_commit TEXT,
    build TEXT,
    plan TEXT,
    running TEXT,
    current_result TEXT,
    final_result TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    launched_at TEXT,
    concluded_at TEXT,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, slug),
    FOREIGN KEY (workspace_id, outcome_id) REFERENCES outcome (workspace_id, id)
) STRICT;
CREATE INDEX experiment_by_outcome ON experiment (workspace_id, outcome_id, created_at);
CREATE INDEX experiment_by_status ON experiment (workspace_id, status);

CREATE TABLE allocation_phase (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    experiment_id BLOB NOT NULL,
    phase INTEGER NOT NULL,
    treatment_pct INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    PRIMARY KEY (workspace_id, experiment_id, phase),
    FOREIGN KEY (workspace_id, experiment_id) REFERENCES experiment (workspace_id, id)
) STRICT;

CREATE TABLE gate (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    id BLOB NOT NULL,
    slug TEXT NOT NULL,
    gate_type TEXT NOT NULL,
    status TEXT NOT NULL,
    outcome_id BLOB NOT NULL,
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
CREATE INDEX gate_by_status ON gate (workspace_id, status, due_at);
CREATE INDEX gate_by_experiment ON gate (workspace_id, experiment_id, created_at);

CREATE TABLE decision (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    signature TEXT NOT NULL,
    gate_id BLOB,
    subject_id BLOB NOT NULL,
    member_id BLOB NOT NULL,
    verdict TEXT NOT NULL,
    assurance TEXT NOT NULL,
    document TEXT NOT NULL,
    decided_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, signature)
) STRICT;
CREATE INDEX decision_by_subject ON decision (workspace_id, subject_id, decided_at);

CREATE TABLE measurement (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    id BLOB NOT NULL,
    natural_key TEXT NOT NULL,
    outcome_id BLOB NOT NULL,
    experiment_id BLOB,
    signal TEXT NOT NULL,
    variant TEXT,
    phase INTEGER,
    measured_at TEXT NOT NULL,
    window_from TEXT NOT NULL,
    window_to TEXT NOT NULL,
    sums TEXT NOT NULL,
    n INTEGER,
    value REAL,
    source TEXT NOT NULL,
    query_hash TEXT NOT NULL,
    raw_hash TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, natural_key),
    FOREIGN KEY (workspace_id, outcome_id) REFERENCES outcome (workspace_id, id)
) STRICT;
CREATE INDEX measurement_by_experiment ON measurement (workspace_id, experiment_id, signal, phase, variant, measured_at);
CREATE INDEX measurement_by_outcome ON measurement (workspace_id, outcome_id, signal, measured_at) WHERE experiment_id IS NULL;

CREATE TABLE signal_health (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    subject_id BLOB NOT NULL,
    signal TEXT NOT NULL,
    due_at TEXT NOT NULL,
    last_ok_at TEXT,
    failures INTEGER NOT NULL,
    breaches INTEGER NOT NULL,
    last_error TEXT,
    PRIMARY KEY (workspace_id, subject_id, signal)
) STRICT;
CREATE INDEX signal_health_due ON signal_health (workspace_id, due_at);

CREATE TABLE learning (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    id BLOB NOT NULL,
    outcome_id BLOB NOT NULL,
    experiment_id BLOB NOT NULL,
    finding TEXT NOT NULL,
    finding_type TEXT NOT NULL,
    hypothesis_says TEXT NOT NULL,
    note_says TEXT,
    evidence TEXT NOT NULL,
    confidence REAL NOT NULL,
    grade TEXT NOT NULL,
    applies_to TEXT NOT NULL,
    search_text TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id)
) STRICT;
CREATE INDEX learning_by_outcome ON learning (workspace_id, outcome_id, created_at);

CREATE VIRTUAL TABLE learning_text USING fts5 (search_text, workspace_id UNINDEXED, learning_id UNINDEXED, tokenize = 'porter unicode61');
CREATE TRIGGER learning_text_insert AFTER INSERT ON learning BEGIN
    INSERT INTO learning_text (search_text, workspace_id, learning_id) VALUES (new.search_text, new.workspace_id, new.id);
END;

CREATE TABLE lease (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT;

CREATE TABLE outbox (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    id BLOB NOT NULL,
    kind TEXT NOT NULL,
    natural_key TEXT NOT NULL,
    payload TEXT NOT NULL,
    created_at TEXT NOT NULL,
    next_attempt_at TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    delivered_at TEXT,
    last_error TEXT,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, natural_key)
) STRICT;
CREATE INDEX outbox_due ON outbox (workspace_id, delivered_at, next_attempt_at);

CREATE TABLE nonce (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, kind, value)
) STRICT;
