"""Runs before anything of a stranger: closes what was inherited, sets the limits, hands over to a driver.

Called with the limits as NAME=NUMBER words, then `--`, then the driver's path and its arguments. What the driver
answers goes to what is standard output here, under another descriptor; whatever else is printed goes to standard error.
"""

import os
import resource
import sys


def main():
    split = sys.argv.index("--")
    answer = 3
    os.dup2(1, answer, inheritable=False)
    os.dup2(2, 1)
    os.closerange(answer + 1, 65536)
    for word in sys.argv[1:split]:
        name, _, number = word.partition("=")
        kind = getattr(resource, "RLIMIT_" + name)
        soft = int(number)
        # One second more before the hard limit, so that SIGXCPU, which says why, comes before SIGKILL.
        hard = soft + 1 if name == "CPU" else soft
        _, highest = resource.getrlimit(kind)
        if highest != resource.RLIM_INFINITY:
            soft, hard = min(soft, highest), min(hard, highest)
        resource.setrlimit(kind, (soft, hard))
    os.write(answer, b"begun\n")
    sys.argv = sys.argv[split + 1 :]
    # The folder of this file; the drivers say themselves where modules come from.
    del sys.path[0]
    with open(sys.argv[0], "rb") as driver:
        code = compile(driver.read(), sys.argv[0], "exec")
    exec(code, {"__name__": "__main__", "__file__": sys.argv[0], "ANSWER": answer})


main()
