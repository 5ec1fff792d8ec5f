-- For whom those versions are that pages and the read API list: a JSON list, in the one row there is.
CREATE TABLE listed_for (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    visibilities TEXT NOT NULL
) STRICT;
