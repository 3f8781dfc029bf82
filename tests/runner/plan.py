"""What there is to run: the test binaries that cargo built, their tests, and the jobs made of them.

A job is one module of a binary (`product kill`), or a whole binary where the tests are not Rust's own harness's.
Each runs its tests one after the other; many jobs run at once."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

# Seconds that a job takes, where no earlier run wrote down how long it did: the long ones begin first.
LONG = {}

# Modules whose tests would change the outcome of others, or be changed by them: each runs when all else is done.
ALONE = {}


class Binary:
    """One test executable, as cargo's message describes it."""

    def __init__(self, message):
        self.executable = message["executable"]
        manifest = Path(message["manifest_path"])
        self.folder = manifest.parent
        self.target = message["target"]["name"]
        self.kind = message["target"]["kind"][0]
        with manifest.open("rb") as file:
            described = tomllib.load(file)
        self.package = described["package"]["name"]
        self.version = described["package"]["version"]
        own = {test["name"] for test in described.get("test", []) if not test.get("harness", True)}
        # One whose tests are made at run time, and take a server to be listed.
        self.listed = not (self.kind == "test" and self.target in own)
        crate = self.package.removeprefix("rivet-plugin-").removeprefix("rivet-")
        role = self.target if self.kind == "test" else "bin" if self.kind == "bin" else "unit"
        self.name = self.target if self.package == "rivet-tests" else f"{crate}/{role}"

    def tests(self, ignored=False):
        command = [self.executable, "--list", "--format", "terse"] + (["--ignored"] if ignored else [])
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True)
        return [line.removesuffix(": test") for line in done.stdout.splitlines() if line.endswith(": test")]


class Job:
    def __init__(self, binary, module, tests, arguments):
        self.binary = binary
        self.module = module
        # None: whatever the binary has.
        self.tests = tests
        self.command = [binary.executable, *arguments, *(["--exact", *tests] if tests else [])]

    @property
    def name(self):
        return f"{self.binary.name} {self.module}".strip()

    @property
    def alone(self):
        return self.name in ALONE


class Documented(Job):
    """The examples in doc comments, which cargo builds and runs."""

    def __init__(self, binary, flags):
        super().__init__(binary, "examples in doc comments", None, [])
        self.command = ["cargo", "test", "--doc", "--workspace", "--manifest-path", str(binary.folder / "Cargo.toml"), *flags]


def documented(found):
    """A binary whose crate has examples in doc comments that run; None if there is none."""
    runs = re.compile(r"(rust|no_run|should_panic|compile_fail|edition\d+)?")
    for binary in found:
        for file in binary.folder.glob("src/**/*.rs"):
            inside = False
            for fence in re.findall(r"^\s*//[/!] ```(.*)$", file.read_text(), re.MULTILINE):
                if not inside and runs.fullmatch(fence.split(",")[0].strip()):
                    return binary
                inside = not inside
    return None


def binaries(artifacts):
    """The test executables of cargo's messages, each once."""
    found = {}
    for line in Path(artifacts).read_text().splitlines():
        if line.startswith("{"):
            message = json.loads(line)
            if message["reason"] == "compiler-artifact" and message["profile"]["test"] and message["executable"]:
                found[message["executable"]] = Binary(message)
    return sorted(found.values(), key=lambda binary: binary.name)


def module(test):
    return test.split("::")[0] if "::" in test else ""


def suites(found):
    """The slow suites: a suite is every module of this name that has tests marked `#[ignore = "slow"]`."""
    names = {}
    for binary in found:
        if binary.listed:
            for test in binary.tests(ignored=True):
                names.setdefault(module(test), []).append((binary, test))
    return names


def jobs(found, filters, slow=None):
    """What to run: tests whose names hold one of `filters` (any, if there are none); with `slow`, the slow ones of
    these suites, and no others."""
    made = []
    for binary in found:
        if not binary.listed:
            if slow is None:
                made.append(Job(binary, "", None, ["--test-threads=1", *filters]))
            continue
        ignored = binary.tests(ignored=True)
        if slow is None:
            tests = [test for test in binary.tests() if test not in set(ignored)]
        else:
            tests = [test for test in ignored if module(test) in slow]
        if filters:
            tests = [test for test in tests if any(word in test for word in filters)]
        arguments = ["--test-threads=1", "--show-output"] + (["--ignored"] if slow is not None else [])
        for name in dict.fromkeys(map(module, tests)):
            made.append(Job(binary, name, [test for test in tests if module(test) == name], arguments))
    return made


def longest_first(made, seconds):
    """In the order in which they begin: what nobody has timed yet counts as short."""
    return sorted(made, key=lambda job: -seconds.get(job.name, LONG.get(job.name, 1.0)))
