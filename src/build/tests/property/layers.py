"""Reads layers with Python's own `zipfile` and `importlib.metadata`.

    layers.py < layers

`layers` is JSON: paths of zips. What is printed is JSON: for each its files, by path relative to `python/`, with whether a
file is executable, its SHA-256 and its size. A layer that is not sound, or in which a package's `RECORD` is wrong, ends
everything.
"""

import base64
import hashlib
import json
import stat
import sys
import zipfile
from importlib.metadata import PathDistribution


def digest_in_record(contents):
    return base64.urlsafe_b64encode(hashlib.sha256(contents).digest()).rstrip(b"=").decode()


def check_record(archive, files, folder):
    """Gives the files that one package lists."""
    listed = set()
    for file in PathDistribution(zipfile.Path(archive, f"python/{folder}/")).files:
        path = str(file)
        assert path in files, f"{folder} lists {path}, which is not there"
        assert path not in listed, f"{folder} lists {path} twice"
        listed.add(path)
        if path == f"{folder}/RECORD":
            assert file.hash is None and file.size is None
            continue
        contents = archive.read(f"python/{path}")
        assert file.size == len(contents), f"{folder} has another size of {path}"
        assert file.hash.mode == "sha256" and file.hash.value == digest_in_record(contents), f"{folder}: {path}"
    return listed


def read(path):
    files, folders = {}, set()
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert names == sorted(names, key=str.encode), "not sorted"
        assert len(names) == len(set(names)), "a name twice"
        for entry in archive.infolist():
            mode = entry.external_attr >> 16
            assert mode in (stat.S_IFREG | 0o644, stat.S_IFREG | 0o755), entry
            assert entry.date_time == (1980, 1, 1, 0, 0, 0) and not entry.extra and not entry.comment, entry
            root, _, name = entry.filename.partition("/")
            assert root == "python" and name, entry
            contents = archive.read(entry)
            files[name] = [mode & 0o111 != 0, hashlib.sha256(contents).hexdigest(), len(contents)]
            if name.split("/")[0].endswith(".dist-info"):
                folders.add(name.split("/")[0])
        listed = set().union(*(check_record(archive, files, folder) for folder in sorted(folders)))
    assert listed == set(files), f"listed by no package: {set(files) - listed}"
    return files


found = {}
for path in json.load(sys.stdin):
    try:
        found[path] = read(path)
    except Exception as problem:
        raise SystemExit(f"{path}: {problem!r}")
json.dump(found, sys.stdout)
