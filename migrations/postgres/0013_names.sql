-- What members are called stands in one table that can be emptied; the log and the certificates hold commitments to it.
CREATE TABLE member_opening (
    workspace_id UUID NOT NULL REFERENCES workspace (id),
    member_id UUID NOT NULL,
    email TEXT NOT NULL,
    email_salt TEXT NOT NULL,
    name TEXT NOT NULL,
    name_salt TEXT NOT NULL,
    PRIMARY KEY (workspace_id, member_id),
    UNIQUE (workspace_id, email)
);
-- Rows of before keep what they say until their member gets another key or is removed.
ALTER TABLE member ALTER COLUMN email DROP NOT NULL;
ALTER TABLE member ALTER COLUMN name DROP NOT NULL;
