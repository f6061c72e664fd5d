-- What members are called stands in one table that can be emptied; the log and the certificates hold commitments to it.
CREATE TABLE member_opening (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    member_id BLOB NOT NULL,
    email TEXT NOT NULL,
    email_salt TEXT NOT NULL,
    name TEXT NOT NULL,
    name_salt TEXT NOT NULL,
    PRIMARY KEY (workspace_id, member_id),
    UNIQUE (workspace_id, email)
) STRICT;
-- Rows of before keep what they say until their member gets another key or is removed. SQLite changes no column, so the table is made
-- again; nothing refers to it.
CREATE TABLE member_anew (
    workspace_id BLOB NOT NULL REFERENCES workspace (id),
    id BLOB NOT NULL,
    email TEXT,
    name TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, email)
) STRICT;
INSERT INTO member_anew (workspace_id, id, email, name, created_at) SELECT workspace_id, id, email, name, created_at FROM member;
DROP TABLE member;
ALTER TABLE member_anew RENAME TO member;
