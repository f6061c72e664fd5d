-- Each line says which step about its subject came before and who wrote it, with the writer's signature.
ALTER TABLE event ADD COLUMN is_step BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE event ADD COLUMN previous_step TEXT;
ALTER TABLE event ADD COLUMN writer TEXT;
ALTER TABLE event ADD COLUMN writer_signature TEXT;
UPDATE event SET is_step = kind NOT IN ('experiment.measured', 'experiment.note_asked', 'experiment.note_restated', 'experiment.note_scope_violation',
    'experiment.refused', 'gate.note_asked', 'gate.refused', 'member.refused', 'agent.refused', 'workspace.note_recomputed',
    'workspace.rows');
-- Polls, notes and refusals leave lines without number; what replays a state must not have to read them.
CREATE INDEX event_steps ON event (workspace_id, subject_id, seq) WHERE is_step;
CREATE INDEX event_writers ON event (workspace_id, seq) WHERE subject_kind = 'writer';
