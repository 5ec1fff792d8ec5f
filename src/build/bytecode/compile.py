"""Compiles Python sources that come on standard input; nothing of them is run or imported.

Numbers are four bytes, little-endian. A request is a length, a path in UTF-8, a length and a source. An answer is one
byte (0: compiled, 1: not), a length, and a .pyc file (PEP 552, unchecked hash) or the reason why there is none.
"""
import os
import resource
import sys

MEMORY = 2 << 30
SECONDS_FOR_ONE_FILE = 60
ANSWER_LIMIT = 32 << 20


def limit(kind, soft):
    """Lowers a limit, as far as what is set already allows."""
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY and (soft == resource.RLIM_INFINITY or soft > hard):
        soft = hard
    resource.setrlimit(kind, (soft, hard if kind == resource.RLIMIT_CPU else soft))


limit(resource.RLIMIT_AS, MEMORY)
limit(resource.RLIMIT_FSIZE, 0)
limit(resource.RLIMIT_CORE, 0)
limit(resource.RLIMIT_NPROC, 0)

import importlib.util
import marshal

# The current folder is not to be imported from, empty as it is.
sys.path = [folder for folder in sys.path if folder]
sys.dont_write_bytecode = True
# PEP 552: the lowest bit says that there is a hash, the next one that it is checked against the source.
HEADER = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")


def read(stream):
    length = stream.read(4)
    if len(length) < 4:
        return None
    length = int.from_bytes(length, "little")
    data = stream.read(length)
    return data if len(data) == length else None


def is_short_of_memory():
    """Whether a good part of the memory was ever used.

    The parser raises a MemoryError for what is nested too deeply as well (MAXSTACK in CPython's Parser/pegen.h), and does
    so every time.
    """
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > most // 8


def compiled(path, source):
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + SECONDS_FOR_ONE_FILE)
    try:
        code = compile(source, path, "exec", dont_inherit=True, optimize=0)
        data = HEADER + importlib.util.source_hash(source) + marshal.dumps(code)
    except MemoryError:
        if is_short_of_memory():
            # May pass where less else is going on, so that it is no answer to keep.
            os._exit(1)
        return 1, b"MemoryError"
    except Exception as error:
        return 1, type(error).__name__.encode()
    if len(data) > ANSWER_LIMIT:
        return 1, b"TooLarge"
    return 0, data


def main():
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while True:
        path, source = read(requests), read(requests)
        if path is None or source is None:
            return
        status, data = compiled(path.decode(), source)
        answers.write(bytes([status]) + len(data).to_bytes(4, "little"))
        answers.write(data)
        answers.flush()


main()
