"""Imports modules one by one and says of each how it went, as lines of JSON.

Arguments: seconds until it says where it hangs, the Python minor, the lowest C library, where the layer is, then the
modules.
"""

import builtins
import faulthandler
import json
import os
import sys
import traceback

LAYER = sys.argv[4] + "/python"
LINES = 60


def report(**fields):
    os.write(ANSWER, (json.dumps(fields, sort_keys=True) + "\n").encode())


def unsuitable(minor, libc):
    if sys.version_info[:2] != (3, minor) or sys.implementation.name != "cpython":
        return "the interpreter found is not CPython 3.%d" % minor
    try:
        name, version = os.confstr("CS_GNU_LIBC_VERSION").split()
        found = tuple(int(part) for part in version.split(".")[:2])
    except (AttributeError, OSError, ValueError):
        return "this machine's C library is not glibc"
    if name != "glibc" or found < libc:
        return "this machine has glibc %s, and the runtime has %d.%d" % ((version,) + libc)
    return None


def watch_loading(loaded):
    """Notes the source of each module whose code is run, whether it comes from its source or from bytecode."""
    code_type = type(watch_loading.__code__)
    prefix = LAYER + "/"

    def hook(event, arguments):
        if event == "exec" and arguments and isinstance(arguments[0], code_type):
            path = arguments[0].co_filename
            if path.startswith(prefix) and path.endswith(".py"):
                loaded.add(path[len(prefix) :])

    sys.addaudithook(hook)


def trace_of(error):
    # The frame of this file says nothing to anybody.
    outer = error.__traceback__
    while outer is not None and outer.tb_frame.f_code.co_filename == __file__:
        outer = outer.tb_next
    try:
        lines = traceback.format_exception(type(error), error, outer)
    except BaseException:
        lines = [type(error).__name__]
    return "".join(lines).splitlines()[-LINES:]


def attempt(module, owner):
    report(begin=module)
    try:
        __import__(module)
    except BaseException as error:
        if os.getpid() != owner:
            os._exit(1)
        missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
        report(
            failed=module,
            missing=missing if isinstance(missing, str) else None,
            trace=trace_of(error),
        )
        return
    # A package that forked leaves its child here as well.
    if os.getpid() != owner:
        os._exit(0)
    report(passed=module)


def main():
    patience, minor, libc = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split(".")
    modules = sys.argv[5:]
    reason = unsuitable(minor, (int(libc[0]), int(libc[1])))
    if reason:
        report(skipped=reason)
        return
    # Before the standard library, as on AWS Lambda: a package that hides a module of it hides it there too.
    sys.path[:0] = [
        "/var/task",
        "%s/lib/python3.%d/site-packages" % (LAYER, minor),
        LAYER,
    ]
    sys.path[:] = [path for path in sys.path if path != "/var/runtime"] + ["/var/runtime"]
    # `site`, which adds these, would also add this machine's packages.
    import _sitebuiltins

    builtins.quit = _sitebuiltins.Quitter("quit", "Ctrl-D")
    builtins.exit = _sitebuiltins.Quitter("exit", "Ctrl-D")
    builtins.help = _sitebuiltins._Helper()
    faulthandler.enable(all_threads=False)
    faulthandler.dump_traceback_later(patience)
    sys.argv = [""]
    loaded = set()
    watch_loading(loaded)
    owner = os.getpid()
    for module in modules:
        attempt(module, owner)
    report(loaded=sorted(loaded.copy()))
    report(done=True)


main()
# Neither threads that never end nor functions registered for the end are waited for.
os._exit(0)
