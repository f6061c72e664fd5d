-- Whose a flag is: it belongs to one experiment for ever, however its key is written.
CREATE INDEX experiment_by_flag ON experiment (workspace_id, lower(hypothesis ->> 'flag_key'));
