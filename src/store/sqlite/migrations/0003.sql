-- What became of layer versions and nobody was told of yet. The triggers write it in the transaction of the change itself,
-- whoever makes it: what is not written down at that moment may never be told.
CREATE TABLE news (
    sequence      INTEGER PRIMARY KEY AUTOINCREMENT,
    layer_version INTEGER NOT NULL REFERENCES layer_versions (sequence) ON DELETE CASCADE,
    kind          TEXT NOT NULL CHECK (kind IN ('published', 'deprecated'))
) STRICT;

CREATE INDEX news_by_layer_version ON news (layer_version);

CREATE TRIGGER news_of_a_publication AFTER UPDATE OF state ON layer_versions
WHEN old.state = 'intent' AND new.state = 'live'
BEGIN
    INSERT INTO news (layer_version, kind) VALUES (new.sequence, 'published');
END;

CREATE TRIGGER news_of_a_deprecation AFTER UPDATE OF state ON layer_versions
WHEN old.state = 'live' AND new.state = 'deprecated'
BEGIN
    INSERT INTO news (layer_version, kind) VALUES (new.sequence, 'deprecated');
END;

-- Messages on their way, one row for each destination; delivered ones and those that were given up are removed.
CREATE TABLE notifications (
    sequence        INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT NOT NULL,
    destination     TEXT NOT NULL,
    subject         TEXT NOT NULL,
    body            TEXT NOT NULL CHECK (json_valid(body)),
    created_at      INTEGER NOT NULL,
    attempts        INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    UNIQUE (id, destination)
) STRICT;

CREATE INDEX notifications_due ON notifications (next_attempt_at, sequence);
