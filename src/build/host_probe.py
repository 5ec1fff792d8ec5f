"""What a package of a layer would find: importing this fails where it gets at what no package may."""

import glob
import os
import socket

# Where AWS Lambda's own interface listens within a function.
RUNTIME_INTERFACE = ("127.0.0.1", 9001)
SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API")


def reached():
    try:
        socket.create_connection(RUNTIME_INTERFACE, 5).close()
        yield "the network"
    except OSError:
        pass
    if any(name in os.environ for name in SECRETS):
        yield "credentials in its environment"
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            with open(path, "rb") as file:
                environment = file.read(1 << 20)
        except OSError:
            continue
        if any(name.encode() + b"=" in environment for name in SECRETS):
            yield "credentials in " + path


found = list(reached())
if found:
    raise ImportError("a package gets at " + ", ".join(found))
