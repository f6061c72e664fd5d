-- What earlier programs read out of a natural key stands in columns of its own; no key is taken apart again.
ALTER TABLE measurement ADD COLUMN is_pushed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE measurement ADD COLUMN reread_of TEXT;
UPDATE measurement SET is_pushed = 1 WHERE natural_key LIKE 'push/%';
UPDATE measurement SET reread_of = substr(natural_key, 8, 27) WHERE natural_key LIKE 'reread/%';

-- What a message is about, and how it was closed.
ALTER TABLE outbox ADD COLUMN subject_id BLOB;
ALTER TABLE outbox ADD COLUMN closed_as TEXT;
UPDATE outbox SET subject_id = unhex(replace(substr(natural_key, 6, 36), '-', '')) WHERE kind = 'flag';
UPDATE outbox SET closed_as = CASE
        WHEN kind <> 'flag' THEN 'no_channel'
        WHEN last_error IS NULL THEN 'delivered'
        ELSE 'overtaken'
    END
    WHERE delivered_at IS NOT NULL;
CREATE INDEX outbox_by_subject ON outbox (workspace_id, kind, subject_id, created_at);
CREATE INDEX outbox_closed ON outbox (workspace_id, closed_as, created_at);
