"""The wheel: `rivet` among the scripts of an environment, the rest beside it."""

import shutil
import subprocess
import sys

import tree

PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "rivet-exporter"
version = "{version}"
description = "rivet: exports database tables to Parquet and CSV through plugins"
readme = "README.md"
license = "Apache-2.0"
license-files = ["LICENSE", "THIRD-PARTY.txt"]
keywords = ["parquet", "csv", "export", "postgresql", "mysql"]
classifiers = [
    "Environment :: Console",
    "Operating System :: POSIX :: Linux",
    "Programming Language :: Rust",
    "Topic :: Database",
]

[tool.hatch.build.targets.wheel]
bypass-selection = true

[tool.hatch.build.targets.wheel.shared-scripts]
"prefix/bin/rivet" = "rivet"

[tool.hatch.build.targets.wheel.hooks.custom]

[tool.hatch.build.targets.wheel.shared-data]
"""

HOOK = """\
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Platform(BuildHookInterface):
    def initialize(self, version, build_data):
        # Any Python 3: nothing in it is Python's.
        build_data["tag"] = "{tag}"
        build_data["pure_python"] = False
"""


def make(prefix, dist, version, glibc, folder):
    tag = f"py3-none-manylinux_{glibc.replace('.', '_')}_x86_64"
    shutil.copytree(prefix, folder / "prefix")
    doc = folder / "prefix/share/doc/rivet"
    # In the wheel's own place for them.
    for name in ("README.md", "LICENSE", "THIRD-PARTY.txt"):
        shutil.move(doc / name, folder / name)
    # By name: of a folder, hatchling takes what it holds for sources of Python.
    data = [path.relative_to(folder / "prefix") for path in tree.entries(folder / "prefix") if path.is_file()]
    shared = "".join(f'"prefix/{path}" = "{path}"\n' for path in data if path.parts[0] != "bin")
    tree.written(folder / "pyproject.toml", PROJECT.format(version=version) + shared)
    tree.written(folder / "hatch_build.py", HOOK.format(tag=tag))
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", dist]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return dist / f"rivet_exporter-{version}-{tag}.whl"
