-- The readings of one poll of an experiment, without those of all its other polls.
CREATE INDEX measurement_by_poll ON measurement (workspace_id, experiment_id, measured_at);
