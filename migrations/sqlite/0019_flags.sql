-- Whose a flag is: it belongs to one experiment for ever.
CREATE INDEX experiment_by_flag ON experiment (workspace_id, (hypothesis ->> 'flag_key'));
