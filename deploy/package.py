"""Puts the executable for AWS Lambda and uv into one zip, the same bytes for the same files, and holds both to what they must be.

    python package.py BOOTSTRAP ZIP     run by the Python that uv is installed beside

Both have to start on Amazon Linux 2 (glibc 2.26), on which Python 3.11's runtime is built, and with no library but the C
library's own. uv is taken from the wheel for glibc 2.17 of the version that is installed.
"""

import hashlib
import importlib.metadata
import os
import pathlib
import platform
import re
import subprocess
import sys
import zipfile

GLIBC = (2, 26)
# Without uv, zipped: what a cold start has to fetch before our code runs. More is slower, and works.
WANTED = 15_000_000
# All of them are parts of glibc, or of its compiler's support, and in every Lambda runtime.
LIBRARIES = re.compile(r"(libc|libm|libdl|librt|libpthread|libutil|libgcc_s|ld-linux-[a-z0-9-]+)\.so\.\d+")


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def uv(folder):
    """uv's executable, from its wheel, which is fetched once."""
    wanted = importlib.metadata.version("uv")
    found = list(folder.glob(f"uv-{wanted}-*.whl"))
    if not found:
        folder.mkdir(parents=True, exist_ok=True)
        options = ["--quiet", "--no-deps", "--only-binary=:all:", "--platform", f"manylinux_2_17_{platform.machine()}"]
        subprocess.run([sys.executable, "-m", "pip", "download", *options, "--dest", folder, f"uv=={wanted}"], check=True)
        found = list(folder.glob(f"uv-{wanted}-*.whl"))
    with zipfile.ZipFile(found[0]) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith(".data/scripts/uv")]
        path = folder / "uv"
        path.write_bytes(wheel.read(name))
        path.chmod(0o755)
        return path


def complaints(path):
    """What keeps an executable from starting in a Lambda runtime."""
    found = []
    versions = {tuple(int(part) for part in version.split(".")) for version in re.findall(r"\bGLIBC_([0-9.]+)", output("readelf", "--version-info", "--wide", path))}
    newest = max(versions, default=(0,))
    if newest > GLIBC:
        found.append(f"{path.name} needs glibc {'.'.join(map(str, newest))}, and {'.'.join(map(str, GLIBC))} is what there is")
    needed = re.findall(r"Shared library: \[(.+)\]", output("readelf", "--dynamic", "--wide", path))
    strange = [library for library in needed if not LIBRARIES.fullmatch(library)]
    if strange:
        found.append(f"{path.name} needs {', '.join(strange)}, which not every runtime has")
    try:
        version = output(path, "--version").splitlines()[0]
    except (OSError, IndexError, subprocess.CalledProcessError) as error:
        version = ""
        found.append(f"{path.name} --version: {error}")
    print(f"{path.name}: {version}, {path.stat().st_size:,} bytes, glibc {'.'.join(map(str, newest))}, {', '.join(needed) or 'no libraries'}")
    return found


def write(zip_path, entries):
    """A zip with sorted entries, one fixed time and one mode; the size of each as it is in there."""
    partial = zip_path.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for name, path in sorted(entries.items()):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o100755 << 16
            file.writestr(entry, path.read_bytes())
        sizes = {entry.filename: entry.compress_size for entry in file.infolist()}
    os.replace(partial, zip_path)
    return sizes


def main():
    bootstrap, zip_path = (pathlib.Path(argument) for argument in sys.argv[1:])
    executable = uv(zip_path.parent / "uv")
    found = complaints(bootstrap) + complaints(executable)
    sizes = write(zip_path, {"bootstrap": bootstrap, "uv": executable})
    for name, size in sizes.items():
        print(f"{name}: {size:,} bytes zipped")
    if sizes["bootstrap"] > WANTED:
        print(f"warning: bootstrap takes {sizes['bootstrap']:,} bytes zipped, more than the {WANTED:,} it should", file=sys.stderr)
    print(f"{hashlib.sha256(zip_path.read_bytes()).hexdigest()}  {zip_path}")
    if found:
        zip_path.unlink()
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
