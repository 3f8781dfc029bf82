"""What there is to run: the test binaries that cargo built, their tests, and the jobs made of them.

A job is one module of a binary (`product kill`), or a whole binary where the tests are not Rust's own harness's.
Each runs its tests one after the other; many jobs run at once."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

# Seconds that a job takes, where no earlier run wrote down how long it did: the long ones begin first.
LONG = {
    "rivet/unit commit": 150,
    "product stores": 110,
    "product ties": 80,
    "product store_faults": 105,
    "azure/conformance": 100,
    "mysql/driver slices": 95,
    "product incremental_others": 95,
    "mysql/driver values": 90,
    "product mssql_types": 90,
    "product kill": 80,
    "s3/conformance": 75,
    "product verify": 70,
    "product keys": 65,
    "product urls": 60,
    "product silence": 75,
    "product hostile": 45,
    "product locks": 40,
    "product tls": 45,
    "product secrets": 60,
    "product crash_points": 65,
    "product memory": 55,
    "product gates": 50,
    "product mysql_server": 50,
    "product incremental": 40,
    "product chunks": 40,
    "product modes": 40,
    "product repair": 35,
    "gcs/conformance": 35,
    "mysql/driver compression": 30,
    "product late_commits": 30,
    "product connections": 25,
}

# Modules and tests that would change the outcome of others, or be changed by them: each runs when all else is done.
ALONE = {
    # They change settings of the whole server.
    "mysql/driver traps",
    "product mysql_server::a_statement_larger_than_the_server_takes_is_told",
    "product sql_modes",
    # They take a lock of the whole server, which waits for everybody's statements, and for which everybody waits.
    "mysql/driver snapshots",
    "mysql/driver server::select_alone_is_enough_and_doctor_says_what_more_buys",
    "product mysql_snapshot",
    "product connections::four_workers_read_every_row_once_over_five_connections",
}

# The slow suites: modules and tests that are run to their full depth there, with RIVET_TEST_SLOW. Those that are not
# marked `#[ignore]` are in the usual run, too, where they try less.
SLOW = {
    "kills": (
        "product kill::killed_at_random_and_resumed_it_is_the_table",
        "product stores::killed_at_random_and_resumed_elsewhere_it_is_the_table",
    ),
    "models": ("model/unit commit::explore::the_protocol_holds_in_every_interleaving_with_two_deaths",),
    "consistency": ("product consistency",),
    "crash-points": ("product crash_points",),
    "store-faults": ("product store_faults",),
    "keys": ("product keys",),
    # A job for each dialect: together they would be the longest by far.
    "queries": (
        "product queries::generated_texts_return_what_postgresqls_client_gets",
        "product queries::generated_texts_return_what_mariadbs_client_gets",
        "product queries::generated_texts_return_what_mysqls_client_gets",
        "product queries::generated_texts_return_what_sqlite_gets",
        "product queries::generated_texts_return_what_sql_servers_written_rules_say",
        "product sql_modes",
    ),
    "slices": ("postgres/driver slices", "mysql/driver slices", "mssql/driver slices"),
    "scaffold": ("product scaffold",),
    "skew": ("product skew",),
    "mutations": ("product mutations",),
    "ties": ("product ties",),
    "secrets": ("product secrets",),
    "silence": ("product silence",),
}

# Marked `#[ignore]`, and in no suite.
BY_HAND = {
    "rivet/unit commit::tests::crash::victim": "another test starts it, and kills it",
}

# Slow suites that are workspaces of their own, by the folder of each.
ELSEWHERE = {"tds-tls": "tests/tds/tls"}


# One after the other, so that each has a time of its own; and what a test says that passed.
LISTED = ["--test-threads=1", "--show-output"]


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
        # Or the name of a test that is a job by itself.
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


class Elsewhere(Job):
    """The tests of another workspace, which cargo builds and runs, too."""

    def __init__(self, suite, folder, target):
        super().__init__(Workspace(suite, folder), "", None, [])
        self.command = ["cargo", "test", "--quiet", "--no-fail-fast", "--target-dir", str(target / suite)]
        self.command += ["--", "--test-threads=1", "--format=pretty"]


class Workspace:
    executable = ""
    version = ""

    def __init__(self, suite, folder):
        self.name = self.package = suite
        self.folder = folder


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


def within(places, binary, test):
    return f"{binary.name} {module(test)}" in places or f"{binary.name} {test}" in places


def grouped(binary, tests, arguments):
    """A job for each module, and for each test that is to run alone."""
    of = {}
    for test in tests:
        by_itself = f"{binary.name} {test}" in ALONE
        of.setdefault(test if by_itself else module(test), []).append(test)
    return [Job(binary, name, tests, arguments) for name, tests in of.items()]


def jobs(found, words):
    """What the usual run has: tests whose names hold one of `words`; any, if there are none."""
    made = []
    for binary in found:
        if not binary.listed:
            # Its harness takes one word.
            made += [Job(binary, word, None, ["--test-threads=1", word]) for word in words]
            if not words:
                made.append(Job(binary, "", None, ["--test-threads=1"]))
            continue
        ignored = set(binary.tests(ignored=True))
        for test in ignored:
            if not any(within(places, binary, test) for places in [*SLOW.values(), BY_HAND]):
                sys.exit(f"tests/run: {binary.name} {test} is ignored, and no slow suite has it: see SLOW in {__file__}")
        tests = [test for test in binary.tests() if test not in ignored]
        if words:
            tests = [test for test in tests if any(word in test for word in words)]
        made += grouped(binary, tests, LISTED)
    return made


def slow_jobs(found, suites, root, target):
    """What these slow suites have."""
    made = []
    for suite in suites:
        if suite in ELSEWHERE:
            made.append(Elsewhere(suite, root / ELSEWHERE[suite], target))
            continue
        for binary in found:
            if binary.listed and any(place.split(" ")[0] == binary.name for place in SLOW[suite]):
                tests = [test for test in binary.tests() if within(SLOW[suite], binary, test)]
                made += grouped(binary, tests, [*LISTED, "--include-ignored"])
    return made


def longest_first(made, seconds, depth):
    """In the order in which they begin: what nobody has timed yet counts as short."""
    return sorted(made, key=lambda job: -seconds.get(depth + job.name, LONG.get(job.name, 1.0)))
