-- Of an intent: whether nothing that was sent for it can be at work any more. One that nobody noted that of was left by a
-- process that ended in the middle.
ALTER TABLE layer_versions ADD COLUMN is_idle INTEGER NOT NULL DEFAULT 0;
