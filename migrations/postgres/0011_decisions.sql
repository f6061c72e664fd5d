-- The last line of a kind about something: what is applied, and the end of a chain of readings, are looked up at each use.
CREATE INDEX event_by_kind ON event (workspace_id, subject_id, kind, seq);
