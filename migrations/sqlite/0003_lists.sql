-- Lists of the newest learnings, and how many experiments an outcome has in each status, without reading every row.
CREATE INDEX learning_by_age ON learning (workspace_id, created_at DESC, id DESC);
CREATE INDEX experiment_by_outcome_status ON experiment (workspace_id, outcome_id, status);
