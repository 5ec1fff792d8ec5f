-- Who may use a version, as it was last read back: the policy's visibility as JSON; NULL where nobody looked yet.
ALTER TABLE layer_versions ADD COLUMN visibility TEXT CHECK (visibility IS NULL OR json_valid(visibility));

CREATE INDEX layer_versions_by_visibility ON layer_versions (visibility) WHERE state IN ('live', 'deprecated');
CREATE INDEX layer_versions_by_expiry ON layer_versions (expires_at) WHERE state = 'deprecated';
CREATE INDEX layer_versions_intents ON layer_versions (created_at) WHERE state = 'intent';
CREATE INDEX runs_by_kind ON runs (kind, created_at, sequence);
