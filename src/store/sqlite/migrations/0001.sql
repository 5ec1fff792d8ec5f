-- Times are seconds since 1970-01-01T00:00:00Z. `sequence` keeps the order of arrival.

CREATE TABLE deliveries (
    id          TEXT PRIMARY KEY,
    event       TEXT NOT NULL,
    body        TEXT NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;

CREATE TABLE events (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    key         TEXT NOT NULL UNIQUE,
    delivery    TEXT NOT NULL REFERENCES deliveries (id),
    payload     TEXT NOT NULL CHECK (json_valid(payload)),
    received_at INTEGER NOT NULL,
    outcome     TEXT
) STRICT;

CREATE INDEX events_waiting ON events (received_at, sequence) WHERE outcome IS NULL;

CREATE TABLE runs (
    sequence     INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    kind         TEXT NOT NULL,
    pull_request INTEGER,
    head_sha     TEXT NOT NULL,
    base_sha     TEXT,
    state        TEXT NOT NULL,
    detail       TEXT,
    created_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX runs_by_state ON runs (state, created_at, sequence);
CREATE INDEX runs_by_pull_request ON runs (pull_request, created_at, sequence) WHERE pull_request IS NOT NULL;

CREATE TABLE steps (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    run         TEXT NOT NULL REFERENCES runs (id),
    name        TEXT NOT NULL,
    state       TEXT NOT NULL,
    output      TEXT NOT NULL CHECK (json_valid(output)),
    finished_at INTEGER NOT NULL,
    UNIQUE (run, name)
) STRICT;

CREATE TABLE conversations (
    pull_request INTEGER PRIMARY KEY,
    comment_id   INTEGER,
    approved_sha TEXT
) STRICT;

-- `record` is the whole record; the other columns are what it is looked up by.
CREATE TABLE builds (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    layer       TEXT NOT NULL,
    target      TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    digest      TEXT NOT NULL,
    built_at    INTEGER NOT NULL,
    record      TEXT NOT NULL CHECK (json_valid(record)),
    UNIQUE (layer, target, fingerprint)
) STRICT;

CREATE INDEX builds_by_digest ON builds (layer, target, digest, built_at);

CREATE TABLE layer_versions (
    sequence       INTEGER PRIMARY KEY AUTOINCREMENT,
    layer          TEXT NOT NULL,
    target         TEXT NOT NULL,
    region         TEXT NOT NULL,
    digest         TEXT NOT NULL,
    published_name TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('intent', 'live', 'deprecated', 'deleted')),
    arn            TEXT,
    version        TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    live_at        INTEGER,
    expires_at     INTEGER,
    CHECK (CASE state WHEN 'intent' THEN arn IS NULL WHEN 'deleted' THEN TRUE ELSE arn IS NOT NULL END),
    CHECK ((expires_at IS NOT NULL) <= (state IN ('deprecated', 'deleted')))
) STRICT;

-- Whatever a program does, however many of them run: one live version for each layer, target and region …
CREATE UNIQUE INDEX one_live_version ON layer_versions (layer, target, region) WHERE state = 'live';
-- … one intent, or the live version it became, for each key …
CREATE UNIQUE INDEX one_publication ON layer_versions (layer, target, region, digest, published_name)
    WHERE state IN ('intent', 'live');
-- … and one row that speaks for a published version.
CREATE UNIQUE INDEX one_row_per_version ON layer_versions (arn) WHERE arn IS NOT NULL AND state <> 'deleted';
CREATE INDEX layer_versions_by_publication ON layer_versions (layer, target, digest, state);
