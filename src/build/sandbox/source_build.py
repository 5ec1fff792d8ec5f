"""Looks into a source distribution, or builds a wheel from one; says what came of it in a line of JSON.

    driver.py look SDIST - []                              {"pyproject": text or null}
    driver.py build SDIST BACKEND PATHS UV WHEELS REQUIREMENT...
                                                           {"wheel": name, "size": bytes}, then those bytes
                                                           {"needs": [requirement]} when more is needed
                                                           {"failed": what}
    driver.py hook NAME BACKEND PATHS                      calls a hook of PEP 517 in the environment of the build
"""

import importlib
import json
import os
import subprocess
import sys
import tarfile
import zipfile

TEMPORARY = os.environ["TMPDIR"]
SOURCE = TEMPORARY + "/source"
ENVIRONMENT = TEMPORARY + "/environment"
PYTHON = ENVIRONMENT + "/bin/python"
OUTPUT = TEMPORARY + "/wheel"
RESULT = TEMPORARY + "/result.json"
PYPROJECT_LIMIT = 1024 * 1024


class Failed(Exception):
    pass


def report(**fields):
    write((json.dumps(fields, sort_keys=True) + "\n").encode())


def write(data):
    view = memoryview(data)
    while view:
        view = view[os.write(ANSWER, view) :]


def unpack(path):
    """The one folder of a source distribution. Where it is unpacked, it can only harm itself."""
    os.mkdir(SOURCE)
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                archive.extractall(SOURCE)
        else:
            with tarfile.open(path) as archive:
                if hasattr(tarfile, "data_filter"):
                    archive.extractall(SOURCE, filter="data")
                else:
                    archive.extractall(SOURCE)
    except Exception as error:
        raise Failed("it cannot be unpacked: %s" % error)
    folders = os.listdir(SOURCE)
    if len(folders) != 1 or not os.path.isdir(os.path.join(SOURCE, folders[0])):
        raise Failed("it does not hold one folder")
    return os.path.join(SOURCE, folders[0])


def read_pyproject(folder):
    try:
        with open(os.path.join(folder, "pyproject.toml"), "rb") as file:
            data = file.read(PYPROJECT_LIMIT + 1)
    except FileNotFoundError:
        return None
    if len(data) > PYPROJECT_LIMIT:
        raise Failed("its pyproject.toml is too large")
    return data.decode("utf-8", "replace")


def run(*command, **options):
    return subprocess.run(command, stdin=subprocess.DEVNULL, **options).returncode == 0


def install(uv, wheels, requirements):
    return not requirements or run(
        uv, "pip", "install", "--quiet", "--offline", "--no-index", "--no-build",
        "--find-links", wheels, "--python", PYTHON, "--", *requirements,
    )  # fmt: skip


def call(folder, hook):
    driver = os.path.abspath(__file__)
    if not run(PYTHON, "-B", driver, "hook", hook, *sys.argv[3:5], cwd=folder):
        raise Failed("its build stopped with an error")
    with open(RESULT) as file:
        return json.load(file)


def build(path, backend, backend_path, uv, wheels, *requirements):
    folder = unpack(path)
    if not run(uv, "venv", "--quiet", "--offline", "--python", sys.executable, ENVIRONMENT):
        raise Failed("no environment could be made for its build")
    if not install(uv, wheels, requirements):
        raise Failed("what its build needs could not be installed")
    needs = call(folder, "get_requires_for_build_wheel")
    if not install(uv, wheels, needs):
        report(needs=needs)
        return
    os.mkdir(OUTPUT)
    name = os.path.basename(call(folder, "build_wheel"))
    with open(os.path.join(OUTPUT, name), "rb") as wheel:
        report(wheel=name, size=os.fstat(wheel.fileno()).st_size)
        while True:
            piece = wheel.read(1024 * 1024)
            if not piece:
                break
            write(piece)


def hook(name, backend, backend_path):
    """PEP 517: the backend comes from the environment, or from a folder of the source that it names."""
    # The folder of this file.
    del sys.path[0]
    sys.path[:0] = [os.path.abspath(part) for part in json.loads(backend_path)]
    module, _, attribute = backend.partition(":")
    target = importlib.import_module(module)
    for part in filter(None, attribute.split(".")):
        target = getattr(target, part)
    if name == "build_wheel":
        result = target.build_wheel(OUTPUT, {})
    else:
        result = [str(each) for each in getattr(target, name, lambda _: [])({})]
    with open(RESULT, "w") as file:
        json.dump(result, file)


def main():
    what, subject, backend, backend_path = sys.argv[1:5]
    if what == "hook":
        hook(subject, backend, backend_path)
        return
    try:
        if what == "look":
            report(pyproject=read_pyproject(unpack(subject)))
        else:
            build(subject, backend, backend_path, *sys.argv[5:])
    except Failed as error:
        report(failed=str(error))
    except OSError as error:
        report(failed="its build stopped with an error: %s" % error.strerror)


main()
