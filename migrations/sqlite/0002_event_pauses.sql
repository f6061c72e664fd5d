-- Replaying an experiment asks when its flag was found where it had not been put: among the few lines that paused it.
CREATE INDEX event_pauses ON event (workspace_id, subject_id) WHERE kind = 'experiment.auto_paused';
