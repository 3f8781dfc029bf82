"""Runs the tests that cargo built, side by side, and closes with what came of it. `tests/run` calls it."""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

import plan
from report import closing
from work import Crew, say

# Much of the time tests wait for a server, a lock, a clock: more of them than cores.
HANDS = int(os.environ.get("RIVET_TEST_JOBS", 3 * (os.cpu_count() or 2)))
SLOWEST = 15
ROOT = Path(__file__).resolve().parents[2]


def arguments():
    parser = argparse.ArgumentParser(prog="tests/run", description="runs tests beside private servers")
    parser.add_argument("words", nargs="*", metavar="WORD", help="tests whose names hold one of these words")
    parser.add_argument("-p", "--package", action="append", default=[], help="this crate's tests only")
    parser.add_argument("--workspace", action="store_true", help="every crate's: the default")
    parser.add_argument("--test", action="append", default=[], help="this test target only")
    parser.add_argument("--slow", action="store_true", help="the slow suites; each WORD names one, none means all")
    parser.add_argument("--artifacts", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--cargo", default="", help=argparse.SUPPRESS)
    return parser.parse_intermixed_args()


def chosen(wanted):
    """The jobs that are asked for. Ends the program where nobody knows them."""
    found = plan.binaries(wanted.artifacts)
    for package in wanted.package:
        if package not in {binary.package for binary in found}:
            sys.exit(f"tests/run: there is no crate `{package}` with tests")
    if wanted.package:
        found = [binary for binary in found if binary.package in wanted.package]
    if wanted.test:
        found = [binary for binary in found if binary.kind == "test" and binary.target in wanted.test]
    if wanted.slow:
        suites = [*plan.SLOW, *plan.ELSEWHERE]
        words = [word.replace("_", "-") for word in wanted.words]
        for word in words:
            if word not in suites:
                sys.exit(f"tests/run: there is no slow suite `{word}`; there are: {', '.join(suites)}")
        return plan.slow_jobs(found, words or suites, ROOT, Path(wanted.artifacts).parents[1])
    jobs = plan.jobs(found, wanted.words)
    if not (wanted.words or wanted.test) and (examples := plan.documented(found)):
        jobs.append(plan.Documented(examples, wanted.cargo.split()))
    return jobs


def told(outcome):
    verdict = "FAILED" if outcome.failed else "ok"
    count = f"{outcome.passed} passed"
    for number, word in ((len(outcome.failed), "failed"), (len(outcome.skipped), "skipped")):
        count += f", {number} {word}" if number else ""
    say(f"=== {outcome.job.name}: {verdict}, {count}, {outcome.seconds:.1f} s, {outcome.cpu:.1f} s of CPU")
    if outcome.text:
        say(outcome.text)


def summary(outcomes, whole, wall):
    """The last words, and the exit code."""
    skipped = {(outcome.named(test), why) for outcome in outcomes for test, why in outcome.skipped}
    if why := os.environ.get("RIVET_TEST_MYSQL_MISSING"):
        skipped.add(("everything on MySQL", why))
    failed = [outcome.named(test) for outcome in outcomes for test in outcome.failed]
    passed = sum(outcome.passed for outcome in outcomes)
    say(f"\n=== the slowest of {len(outcomes)} modules, which took {wall:.0f} s with {HANDS} at a time")
    for outcome in sorted(outcomes, key=lambda outcome: -outcome.seconds)[:SLOWEST]:
        say(f"{outcome.seconds:7.1f} s  {outcome.cpu:7.1f} s of CPU  {outcome.job.name}")
    say("=== the slowest tests")
    times = [(seconds, outcome.named(test)) for outcome in outcomes for test, seconds in outcome.times]
    for seconds, test in sorted(times, reverse=True)[:SLOWEST]:
        say(f"{seconds:7.1f} s  {test}")
    if whole:
        say(f"=== left to `make test-slow`\n{', '.join([*plan.SLOW, *plan.ELSEWHERE])}")
    if not (passed or failed or skipped):
        say("no test has such a name")
        failed.append("nothing")
    if report := os.environ.get("RIVET_TEST_REPORT"):
        with open(report, "a", encoding="utf-8") as file:
            file.write(json.dumps({"passed": passed, "failed": failed, "skipped": list(skipped)}) + "\n")
    say(closing(passed, failed, skipped))
    return 1 if failed else 0


def main():
    wanted = arguments()
    jobs = chosen(wanted)
    if wanted.check:
        return 0
    seconds = Path(wanted.artifacts).with_name("test-seconds.json")
    known = json.loads(seconds.read_text()) if seconds.exists() else {}
    depth = "slow " if wanted.slow else ""
    jobs = plan.longest_first(jobs, known, depth)
    environment = dict(os.environ, CARGO=os.environ.get("CARGO", "cargo"))
    if wanted.slow:
        environment["RIVET_TEST_SLOW"] = "1"
    crew = Crew(HANDS, environment)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    try:
        crew.run([job for job in jobs if not job.alone], told)
        for job in jobs:
            if job.alone:
                crew.run([job], told)
    except KeyboardInterrupt:
        crew.stop()
        say("interrupted")
        return 130
    known.update({depth + outcome.job.name: round(outcome.seconds, 1) for outcome in crew.outcomes})
    seconds.write_text(json.dumps(known, indent=1, sort_keys=True))
    whole = not (wanted.slow or wanted.words or wanted.package or wanted.test)
    return summary(crew.outcomes, whole, time.monotonic() - began)


sys.exit(main())
