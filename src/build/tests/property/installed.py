"""Installs wheels with pip and says what it put where.

    installed.py FOLDER-WITH-PIP < jobs

`jobs` is JSON: folders, each with the wheels that go there by one `pip install --target`. What is printed is JSON: by path
relative to its folder, whether a file is executable, its SHA-256 and its size. A script's first line that names this
interpreter is given as the one that suits every interpreter; headers are given without the interpreter's own folders and
below the package's normalised name, which pip's versions spell differently.
"""

import functools
import hashlib
import json
import os
import re
import sys

sys.path.insert(0, sys.argv[1])
# What is installed here is read once and thrown away: it need not survive a power failure.
os.fsync = lambda descriptor: None
import pip._internal.utils.compatibility_tags as tags

# Asked for once per wheel, and the same each time: most of pip's time for a small wheel.
tags.get_supported = functools.lru_cache(None)(tags.get_supported)
from pip._internal.cli.main import main

OPTIONS = "install --quiet --isolated --disable-pip-version-check --no-cache-dir --no-deps --no-index --no-compile".split()
HEADERS = re.compile(r"^include/(?:site/)?python[^/]*/([^/]+)/")
THIS_INTERPRETER = b"#!" + os.fsencode(sys.executable) + b"\n"



def normalized_headers(match):
    return "include/" + re.sub("[-_.]+", "-", match[1]).lower() + "/"


found = {}
for target, wheels in json.load(sys.stdin):
    if main([*OPTIONS, "--target", target, *wheels]) != 0:
        sys.exit(f"pip refused one of {wheels}")
    for folder, _, names in os.walk(target):
        for name in names:
            file = os.path.join(folder, name)
            with open(file, "rb") as opened:
                contents = opened.read()
                is_executable = os.fstat(opened.fileno()).st_mode & 0o111 != 0
            path = HEADERS.sub(normalized_headers, os.path.relpath(file, target))
            if path.startswith("bin/") and contents.startswith(THIS_INTERPRETER):
                contents = b"#!/usr/bin/env python3\n" + contents[len(THIS_INTERPRETER) :]
            assert path not in found, path
            found[path] = [is_executable, hashlib.sha256(contents).hexdigest(), len(contents)]
json.dump(found, sys.stdout)
