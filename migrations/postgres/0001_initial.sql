CREATE TABLE workspace (
    id UUID PRIMARY KEY,
    slug TEXT NOT NULL,
    organisation TEXT NOT NULL,
    root TEXT NOT NULL,
    is_virtual_clock BOOLEAN NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    log_seq BIGINT NOT NULL,
    log_head TEXT NOT NULL
);

CREATE TABLE event (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    seq BIGINT NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    kind TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id UUID NOT NULL,
    principal TEXT NOT NULL,
    payload TEXT NOT NULL,
    prev TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (workspace_id, seq)
);
CREATE INDEX event_by_subject ON event (workspace_id, subject_id, seq);

CREATE TABLE member (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    id UUID NOT NULL,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, email)
);

CREATE TABLE member_key (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    id UUID NOT NULL,
    member_id UUID NOT NULL,
    kind TEXT NOT NULL,
    certificate TEXT NOT NULL,
    sealed TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    revoked_at TIMESTAMPTZ,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE agent_token (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    id UUID NOT NULL,
    name TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    created_at TIMESTAMPTZ NOT NULL,
    revoked_at TIMESTAMPTZ,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE session (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    token_hash TEXT NOT NULL PRIMARY KEY,
    member_id UUID NOT NULL,
    csrf TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE outcome (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    id UUID NOT NULL,
    slug TEXT NOT NULL,
    status TEXT NOT NULL,
    spec JSONB NOT NULL,
    spec_hash TEXT NOT NULL,
    state JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, slug)
);

CREATE TABLE experiment (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    id UUID NOT NULL,
    outcome_id UUID NOT NULL,
    slug TEXT NOT NULL,
    status TEXT NOT NULL,
    hypothesis JSONB NOT NULL,
    hypothesis_hash TEXT NOT NULL,
    author TEXT NOT NULL,
    submitted_by JSONB NOT NULL,
    score JSONB NOT NULL,
    state JSONB NOT NULL,
    parent_id UUID,
    base_commit TEXT,
    build JSONB,
    plan JSONB,
    running JSONB,
    current_result JSONB,
    final_result JSONB,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    launched_at TIMESTAMPTZ,
    concluded_at TIMESTAMPTZ,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, slug),
    FOREIGN KEY (workspace_id, outcome_id) REFERENCES outcome (workspace_id, id)
);
CREATE INDEX experiment_by_outcome ON experiment (workspace_id, outcome_id, created_at);
CREATE INDEX experiment_by_status ON experiment (workspace_id, status);

CREATE TABLE allocation_phase (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    experiment_id UUID NOT NULL,
    phase INTEGER NOT NULL,
    treatment_pct INTEGER NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    PRIMARY KEY (workspace_id, experiment_id, phase),
    FOREIGN KEY (workspace_id, experiment_id) REFERENCES experiment (workspace_id, id)
);

CREATE TABLE gate (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    id UUID NOT NULL,
    slug TEXT NOT NULL,
    gate_type TEXT NOT NULL,
    status TEXT NOT NULL,
    outcome_id UUID NOT NULL,
    experiment_id UUID,
    rules JSONB NOT NULL,
    state JSONB NOT NULL,
    context TEXT NOT NULL,
    context_hash TEXT NOT NULL,
    due_at TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    responded_at TIMESTAMPTZ,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, slug),
    FOREIGN KEY (workspace_id, outcome_id) REFERENCES outcome (workspace_id, id),
    FOREIGN KEY (workspace_id, experiment_id) REFERENCES experiment (workspace_id, id)
);
CREATE INDEX gate_by_status ON gate (workspace_id, status, due_at);
CREATE INDEX gate_by_experiment ON gate (workspace_id, experiment_id, created_at);

CREATE TABLE decision (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    signature TEXT NOT NULL,
    gate_id UUID,
    subject_id UUID NOT NULL,
    member_id UUID NOT NULL,
    verdict TEXT NOT NULL,
    assurance TEXT NOT NULL,
    document TEXT NOT NULL,
    decided_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, signature)
);
CREATE INDEX decision_by_subject ON decision (workspace_id, subject_id, decided_at);

CREATE TABLE measurement (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    id UUID NOT NULL,
    natural_key TEXT NOT NULL,
    outcome_id UUID NOT NULL,
    experiment_id UUID,
    signal TEXT NOT NULL,
    variant TEXT,
    phase INTEGER,
    measured_at TIMESTAMPTZ NOT NULL,
    window_from TIMESTAMPTZ NOT NULL,
    window_to TIMESTAMPTZ NOT NULL,
    sums JSONB NOT NULL,
    n BIGINT,
    value DOUBLE PRECISION,
    source TEXT NOT NULL,
    query_hash TEXT NOT NULL,
    raw_hash TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, natural_key),
    FOREIGN KEY (workspace_id, outcome_id) REFERENCES outcome (workspace_id, id)
);
CREATE INDEX measurement_by_experiment ON measurement (workspace_id, experiment_id, signal, phase, variant, measured_at);
CREATE INDEX measurement_by_outcome ON measurement (workspace_id, outcome_id, signal, measured_at) WHERE experiment_id IS NULL;

CREATE TABLE signal_health (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    subject_id UUID NOT NULL,
    signal TEXT NOT NULL,
    due_at TIMESTAMPTZ NOT NULL,
    last_ok_at TIMESTAMPTZ,
    failures BIGINT NOT NULL,
    breaches BIGINT NOT NULL,
    last_error TEXT,
    PRIMARY KEY (workspace_id, subject_id, signal)
);
CREATE INDEX signal_health_due ON signal_health (workspace_id, due_at);

CREATE TABLE learning (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    id UUID NOT NULL,
    outcome_id UUID NOT NULL,
    experiment_id UUID NOT NULL,
    finding TEXT NOT NULL,
    finding_type TEXT NOT NULL,
    hypothesis_says TEXT NOT NULL,
    note_says TEXT,
    evidence JSONB NOT NULL,
    confidence DOUBLE PRECISION NOT NULL,
    grade TEXT NOT NULL,
    applies_to JSONB NOT NULL,
    search_text TEXT NOT NULL,
    search_vector TSVECTOR GENERATED ALWAYS AS (to_tsvector('english', search_text)) STORED,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX learning_by_outcome ON learning (workspace_id, outcome_id, created_at);

CREATE INDEX learning_search ON learning USING GIN (search_vector);

CREATE TABLE lease (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE outbox (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    natural_key TEXT NOT NULL,
    payload JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    next_attempt_at TIMESTAMPTZ NOT NULL,
    attempts BIGINT NOT NULL,
    delivered_at TIMESTAMPTZ,
    last_error TEXT,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, natural_key)
);
CREATE INDEX outbox_due ON outbox (workspace_id, delivered_at, next_attempt_at);

CREATE TABLE nonce (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, kind, value)
);
