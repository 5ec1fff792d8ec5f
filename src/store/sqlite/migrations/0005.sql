-- What the read API asks for: live versions of a target in a region.
CREATE INDEX layer_versions_live ON layer_versions (target, region, layer) WHERE state = 'live';
