-- The newest experiments of an outcome, also where many were made at the same instant.
CREATE INDEX experiment_by_age ON experiment (workspace_id, outcome_id, created_at DESC, id DESC);
DROP INDEX experiment_by_outcome;
