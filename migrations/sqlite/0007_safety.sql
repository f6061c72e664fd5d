-- How a stretch of time with one split begins: whether the safety process goes on or begins anew.
ALTER TABLE allocation_phase ADD COLUMN begins TEXT NOT NULL DEFAULT 'resumed';
UPDATE allocation_phase SET begins = 'launch' WHERE phase = 0;
UPDATE allocation_phase SET begins = 'step' WHERE phase > 0 AND treatment_pct <> (
    SELECT before.treatment_pct FROM allocation_phase AS before
    WHERE before.workspace_id = allocation_phase.workspace_id
        AND before.experiment_id = allocation_phase.experiment_id
        AND before.phase = allocation_phase.phase - 1);

-- Since when a signal fails, so that many failures within minutes do not count as a long silence.
ALTER TABLE signal_health ADD COLUMN failing_since TEXT;
UPDATE signal_health SET failing_since = due_at WHERE failures > 0;
