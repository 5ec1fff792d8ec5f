-- A request that stays as it is comes out as another zip whenever there are new releases, and the zip before it is still
-- published, so that there is a build for each zip. SQLite cannot drop a constraint: the rows move to a new table.
CREATE TABLE builds_by_zip (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    layer       TEXT NOT NULL,
    target      TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    digest      TEXT NOT NULL,
    built_at    INTEGER NOT NULL,
    record      TEXT NOT NULL CHECK (json_valid(record)),
    UNIQUE (layer, target, fingerprint, digest)
) STRICT;

INSERT INTO builds_by_zip (sequence, layer, target, fingerprint, digest, built_at, record)
SELECT sequence, layer, target, fingerprint, digest, built_at, record FROM builds ORDER BY sequence;

DROP TABLE builds;
ALTER TABLE builds_by_zip RENAME TO builds;
