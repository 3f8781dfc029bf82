"""Adds up what several runs wrote into RIVET_TEST_REPORT. usage: report.py FILE"""

import json
import sys


def closing(passed, failed, skipped):
    """The last lines of a run, or of several: what was skipped and why, what failed, how many."""
    lines = []
    if skipped:
        lines += ["=== skipped", *(f"{test}: {why}" for test, why in sorted(skipped))]
    if failed:
        lines += ["=== failed", *sorted(failed)]
    return "\n".join([*lines, f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped"])


def main():
    passed, failed, skipped = 0, [], set()
    with open(sys.argv[1], encoding="utf-8") as file:
        for run in map(json.loads, file):
            passed += run["passed"]
            failed += run["failed"]
            skipped |= {(test, why) for test, why in run["skipped"]}
    print(closing(passed, failed, skipped))
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
