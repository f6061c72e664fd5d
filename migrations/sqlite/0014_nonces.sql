-- Values that are over are found without reading all of them.
CREATE INDEX nonce_over ON nonce (workspace_id, expires_at);
