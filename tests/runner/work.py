"""Runs jobs side by side, and remembers of each what its tests said."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

# What hangs for so long is ended.
LIMIT_S = int(os.environ.get("RIVET_TEST_LIMIT_S", 1800))

TEST = re.compile(r"^test (.+?)(?: - should panic)? +?\.\.\. ?(.*)$")
RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;")
BLOCK = re.compile(r"^---- (.+) stdout ----$")


class Outcome:
    """How a job ended."""

    def __init__(self, job):
        self.job = job
        self.seconds = 0.0
        # Of its own and of what it started, the servers left out.
        self.cpu = 0.0
        self.passed = 0
        self.failed = []
        # Pairs of a test and the reason.
        self.skipped = []
        # Pairs of a test and its seconds.
        self.times = []
        self.text = ""

    def read(self, stdout, stderr, ended, hung):
        """Takes in what was printed: pairs of a line and when it came, and the errors."""
        name, before, last, block = None, 0.0, None, None
        kept, quiet = [], False
        for line, at in stdout:
            if match := TEST.match(line):
                name = last = match.group(1)
            if name and (verdict := re.search(r"(ok|FAILED|ignored)$", line)):
                self.times.append((name, at - before))
                if at - before > 1:
                    line += f" ({at - before:.1f} s)"
                if verdict.group(1) == "FAILED":
                    self.failed.append(name)
                name, before = None, at
            elif match := BLOCK.match(line):
                block = match.group(1)
            elif match := RESULT.match(line):
                self.passed += int(match.group(1))
                block, quiet = None, False
            elif line == "successes:":
                quiet = True
            elif line == "failures:":
                quiet = False
            elif line.startswith("skipped: "):
                self.skipped.append((block or last or "", line.removeprefix("skipped: ")))
            if not quiet:
                kept.append(line)
        for line in stderr.splitlines():
            if line.startswith("skipped: "):
                self.skipped.append(("", line.removeprefix("skipped: ")))
        # What says why it was skipped counts as passed to its harness.
        self.passed -= sum(1 for test, _ in self.skipped if test)
        if ended != 0 and not self.failed:
            how = f"ended by signal {-ended}" if ended < 0 else f"exit code {ended}"
            self.failed.append(f"{name or last or 'before any test'} ({'hung' if hung else how})")
        elif hung:
            self.failed.append(f"{name or last} (hung)")
        self.text = "\n".join([*kept, stderr]).strip()

    def named(self, test):
        """A test's full name."""
        return f"{self.job.binary.name} {test or self.job.module}".strip()


class Crew:
    """So many hands that take the next job from a list."""

    def __init__(self, hands, environment):
        self.hands = hands
        self.environment = environment
        self.lock = threading.Lock()
        self.running = set()
        self.stopped = False
        self.outcomes = []

    def run(self, jobs, told):
        """Runs all of them, and calls `told` with each outcome as it comes."""
        waiting = list(jobs)

        def work():
            while True:
                with self.lock:
                    if self.stopped or not waiting:
                        return
                    job = waiting.pop(0)
                outcome = self.one(job)
                with self.lock:
                    if not self.stopped:
                        self.outcomes.append(outcome)
                        told(outcome)

        hands = [threading.Thread(target=work, daemon=True) for _ in range(min(self.hands, len(waiting)))]
        for hand in hands:
            hand.start()
        for hand in hands:
            hand.join()

    def one(self, job):
        environment = dict(
            self.environment,
            CARGO_MANIFEST_DIR=str(job.binary.folder),
            CARGO_PKG_NAME=job.binary.package,
            CARGO_PKG_VERSION=job.binary.version,
        )
        outcome = Outcome(job)
        with tempfile.TemporaryFile() as errors:
            began = time.monotonic()
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *job.command],
                cwd=job.binary.folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=errors, start_new_session=True,
            )
            hung = threading.Event()

            def give_up():
                hung.set()
                end([process])

            timer = threading.Timer(LIMIT_S, give_up)
            timer.start()
            with self.lock:
                self.running.add(process)
                if self.stopped:
                    end([process])
            lines = []
            for line in process.stdout:
                lines.append((line.decode(errors="replace").rstrip("\n"), time.monotonic() - began))
            _, status, used = os.wait4(process.pid, 0)
            ended = process.returncode = os.waitstatus_to_exitcode(status)
            timer.cancel()
            with self.lock:
                self.running.discard(process)
            outcome.seconds = time.monotonic() - began
            outcome.cpu = used.ru_utime + used.ru_stime
            errors.seek(0)
            outcome.read(lines, errors.read().decode(errors="replace"), ended, hung.is_set())
        return outcome

    def stop(self):
        """Ends whatever runs, with all that it has started."""
        with self.lock:
            self.stopped = True
            end(self.running)


def end(processes):
    for process in processes:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def say(text=""):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
