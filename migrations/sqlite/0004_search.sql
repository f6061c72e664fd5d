-- The full-text index knows the workspace and the outcome of each text as words, so that a search of one reads only its own.
DROP TRIGGER learning_text_insert;
DROP TABLE learning_text;
CREATE VIRTUAL TABLE learning_text USING fts5 (search_text, place, learning_id UNINDEXED, tokenize = 'porter unicode61');
INSERT INTO learning_text (search_text, place, learning_id)
SELECT search_text, 'w' || hex(workspace_id) || ' o' || hex(outcome_id), id FROM learning ORDER BY created_at, id;
CREATE TRIGGER learning_text_insert AFTER INSERT ON learning BEGIN
    INSERT INTO learning_text (search_text, place, learning_id)
    VALUES (new.search_text, 'w' || hex(new.workspace_id) || ' o' || hex(new.outcome_id), new.id);
END;

-- The newest experiments of an outcome, also where many were made at the same instant.
CREATE INDEX experiment_by_age ON experiment (workspace_id, outcome_id, created_at DESC, id DESC);
DROP INDEX experiment_by_outcome;
