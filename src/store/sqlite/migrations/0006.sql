-- When the last try of a step began; NULL where it was not written down.
ALTER TABLE steps ADD COLUMN started_at INTEGER;
