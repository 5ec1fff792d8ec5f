-- Deliveries go after a while, with the events that they told of.
CREATE INDEX deliveries_by_age ON deliveries (received_at);
CREATE INDEX events_by_delivery ON events (delivery);

-- What the tables that were committed last do not show. Triggers write it in the transaction of the change itself, whoever
-- makes it, from when somebody first asks: before that there is the row of `tables_note`, nobody keeps tables.
CREATE TABLE tables_note (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    -- The last change that they show.
    sequence INTEGER NOT NULL,
    note     TEXT
) STRICT;

-- A region is empty where a build changed.
CREATE TABLE table_changes (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    layer    TEXT NOT NULL,
    target   TEXT NOT NULL,
    region   TEXT NOT NULL,
    UNIQUE (layer, target, region)
) STRICT;

CREATE TRIGGER table_change_of_a_version
AFTER UPDATE OF state, arn, version, live_at, expires_at, visibility ON layer_versions
WHEN (old.state IN ('live', 'deprecated') OR new.state IN ('live', 'deprecated'))
    AND (old.state, old.arn, old.version, old.live_at, old.expires_at, old.visibility)
        IS NOT (new.state, new.arn, new.version, new.live_at, new.expires_at, new.visibility)
    AND EXISTS (SELECT 1 FROM tables_note)
BEGIN
    INSERT OR REPLACE INTO table_changes (layer, target, region) VALUES (new.layer, new.target, new.region);
END;

CREATE TRIGGER table_change_of_a_new_version AFTER INSERT ON layer_versions
WHEN new.state IN ('live', 'deprecated') AND EXISTS (SELECT 1 FROM tables_note)
BEGIN
    INSERT OR REPLACE INTO table_changes (layer, target, region) VALUES (new.layer, new.target, new.region);
END;

CREATE TRIGGER table_change_of_a_removed_version AFTER DELETE ON layer_versions
WHEN old.state IN ('live', 'deprecated') AND EXISTS (SELECT 1 FROM tables_note)
BEGIN
    INSERT OR REPLACE INTO table_changes (layer, target, region) VALUES (old.layer, old.target, old.region);
END;

CREATE TRIGGER table_change_of_a_build AFTER INSERT ON builds
WHEN EXISTS (SELECT 1 FROM tables_note)
BEGIN
    INSERT OR REPLACE INTO table_changes (layer, target, region) VALUES (new.layer, new.target, '');
END;

CREATE TRIGGER table_change_of_a_removed_build AFTER DELETE ON builds
WHEN EXISTS (SELECT 1 FROM tables_note)
BEGIN
    INSERT OR REPLACE INTO table_changes (layer, target, region) VALUES (old.layer, old.target, '');
END;
