"""Measures rivet, its peers and the floor on the same tables. See README.md beside this file."""

import argparse
import glob
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import data
import memory
import mysql
import postgres
import store
from tools import HERE, ROOT


def main():
    options = arguments()
    family = options.bench in ("mariadb", "mysql")
    bench = mysql.Server(options.bench.upper()) if family else {"postgres": postgres, "s3": store, "memory": memory}[options.bench]
    tables = bench.load(options)
    results = []
    with tempfile.TemporaryDirectory(prefix="rivet-bench-", dir=options.scratch) as scratch:
        for table, rows in tables.items():
            checksums = scratch if options.no_cache else os.path.join(bench.FOLDER, "checksums")
            os.makedirs(checksums, exist_ok=True)
            wanted = bench.expected(os.path.join(checksums, f"{table}-{rows}.json"), table)
            found = measure(options, bench, table, rows, wanted, scratch)
            show(table, rows, found, bench.BARS, "same values" if wanted else "types and rows")
            results += found
        if hasattr(bench, "after"):
            bench.after(options, results, scratch)
    report = {
        "bench": options.bench, "machine": machine(), "rounds": options.rounds, "scale": options.scale,
        "wide_rows": options.wide_rows, "results": results,
    }
    with open(options.json, "w") as file:
        json.dump(report, file, indent=1)
    print(f"\nwritten to {options.json}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bench", nargs="?", default="postgres", choices=["postgres", "mariadb", "mysql", "s3", "memory"])
    parser.add_argument("--scale", type=float, default=1, help="of TPC-H lineitem; 0 leaves it out (postgres)")
    parser.add_argument("--big-scale", type=float, default=10, help="of the second lineitem (memory)")
    parser.add_argument("--wide-rows", type=int, default=2_000_000, help="of the wide table; 0 leaves it out (postgres)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="comma-separated beginnings of names, e.g. floor,rivet,duckdb")
    parser.add_argument("--rivet", default=os.path.join(ROOT, "target", "release", "rivet"), help="with its plugins beside it")
    parser.add_argument("--rivet-cli", default=os.path.join(os.path.dirname(sys.executable), "rivet"))
    parser.add_argument("--scratch", help="where outputs go (default: the temporary folder)")
    parser.add_argument("--json", help="default: .servers/bench.json, or bench-BENCH.json")
    parser.add_argument("--no-cache", action="store_true", help="make the checksums again")
    options = parser.parse_args()
    options.rivet = os.path.abspath(options.rivet)
    name = "bench.json" if options.bench == "postgres" else f"bench-{options.bench}.json"
    options.json = options.json or os.path.join(ROOT, ".servers", name)
    return options


# ---- measuring


def measure(options, bench, table, rows, wanted, scratch):
    """Every contestant is (name, make) or (name, make, fetch): make(folder) gives the command, or a text saying why
    there is none; fetch(folder) brings what it wrote."""
    only = [start for start in options.only.split(",") if start]
    every = [one for one in bench.contestants(options, table, rows, scratch) if not only or any(one[0].startswith(start) for start in only)]
    taken = {name: [] for name, *_ in every}
    faults = {name: None for name, *_ in every}
    bench.warm(table)
    for number in range(options.rounds):
        for name, make, *fetch in every:
            if faults[name] and not taken[name]:
                continue  # it failed before
            folder = os.path.join(scratch, "out")
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
            command = make(folder)
            if isinstance(command, str):
                faults[name] = [command]
                continue
            print(f"{table}, round {number + 1} of {options.rounds}: {name:<14}", end="", file=sys.stderr, flush=True)
            run = once(command, scratch, bench.SERVER, os.path.dirname(options.rivet))
            print(f"{run['wall_s']:8.2f} s wall {run['cpu_s']:8.2f} s CPU {run['rss_mb']:6.0f} MB", file=sys.stderr, flush=True)
            for bring in fetch:
                bring(folder)
            files = sorted(glob.glob(os.path.join(folder, "**", "*.parquet"), recursive=True))
            run["size"] = sum(os.path.getsize(file) for file in files)
            if run.pop("status") != 0:
                with open(os.path.join(scratch, "stderr"), errors="replace") as file:
                    faults[name] = ["failed: " + (file.read().strip().splitlines() or ["without a word"])[-1][:150]]
                taken[name] = []
                continue
            taken[name].append(run)
            if faults[name] is None and not name.startswith("floor"):
                faults[name] = data.judge(files, table, rows, wanted)
    return [summary(table, name, taken[name], faults[name] or []) for name, *_ in every]


def once(command, scratch, server, plugins):
    """Runs the command; its wall time, CPU of its whole tree, peak memory, and what the server spent."""
    counts = os.path.join(scratch, "perf")
    if can_count():
        command = ["perf", "stat", "-x,", "-e", "instructions:u", "-o", counts, "--", *command]
    before = server_cpu(server)
    environment = {**os.environ, "TZ": "UTC", "RIVET_PLUGIN_PATH": plugins}
    with open(os.path.join(scratch, "stdout"), "wb") as out, open(os.path.join(scratch, "stderr"), "wb") as err:
        usage = os.path.join(scratch, "usage")
        launch = [sys.executable, "-I", "-S", os.path.join(HERE, "launch.py"), usage, *command]
        subprocess.run(launch, check=True, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=scratch, env=environment)
    with open(usage) as file:
        status, wall, cpu, rss = (float(number) for number in file.read().split())
    time.sleep(0.3)  # the server's processes end after their clients do
    run = {
        "status": int(status),
        "wall_s": wall,
        "cpu_s": cpu,
        "rss_mb": rss,  # of the largest process; every tool here is one process
        "server_cpu_s": server_cpu(server) - before,
    }
    if can_count():
        with open(counts) as file:
            run["instructions"] = int(next(line for line in file if "instructions" in line).split(",")[0])
    return run


def server_cpu(server):
    """CPU seconds of the server's process and of its children that have ended."""
    pid = os.environ.get(f"RIVET_TEST_{server}_PID")
    if not pid:
        return 0.0
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def can_count(answer=[]):
    if not answer:
        try:
            probe = subprocess.run(["perf", "stat", "-x,", "-e", "instructions:u", "true"], capture_output=True, text=True)
            answer.append(probe.returncode == 0 and probe.stderr.split(",")[0].isdigit())
        except OSError:
            answer.append(False)
    return answer[0]


def summary(table, name, runs, faults):
    row = {"table": table, "tool": name, "rounds": len(runs), "faults": faults, "runs": runs}
    if runs:
        row |= {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        row["rss_mb"] = max(run["rss_mb"] for run in runs)
    return row


# ---- printing


def show(table, rows, results, bars, good):
    base = {name: next((r for r in results if r["tool"] == name and r["rounds"]), None) for name in ("rivet 1", "floor 1", "floor 2")}
    counted = any("instructions" in row for row in results)
    print(f"\n{table}: {rows:,} rows, medians of {max(r['rounds'] for r in results)} rounds, all zstd 3")
    head = f"{'tool':<14}{'wall s':>8}{'CPU s':>8}{'server':>8}{'RSS MB':>8}{'out MB':>8}{'/floor':>8}{'CPU/rivet 1':>13}"
    print(head + (f"{'G instr':>9}" if counted else "") + "  verdict")
    for row in results:
        verdict = "; ".join(row["faults"]) or ("" if row["tool"].startswith("floor") else good)
        if not row["rounds"]:
            print(f"{row['tool']:<14}{'–':>8}  {verdict}")
            continue
        floor = base["floor 1" if row["tool"].endswith("1") or row["tool"] in ("adbc", "floor text") else "floor 2"]
        wall = f"{row['wall_s'] / floor['wall_s']:.2f}" if floor else "–"
        cpu = f"{row['cpu_s'] / base['rivet 1']['cpu_s']:.2f}" if base["rivet 1"] else "–"
        line = (
            f"{row['tool']:<14}{row['wall_s']:>8.2f}{row['cpu_s']:>8.2f}{row['server_cpu_s']:>8.2f}{row['rss_mb']:>8.0f}"
            f"{row['size'] / 1e6:>8.1f}{wall:>8}{cpu:>13}"
        )
        if counted:
            line += f"{row.get('instructions', 0) / 1e9:>9.1f}"
        print(f"{line}  {verdict}")
    for what, tool, against, most in bars:
        measured = {row["tool"]: row[what] for row in results if row["rounds"]}
        if tool in measured and (against is None or against in measured):
            value = measured[tool] / measured[against] if against else measured[tool]
            held = "held" if value <= most else "NOT HELD"
            print(f"bar: {what} of {tool}{' / ' + against if against else ''} = {value:.2f}, at most {most:g}: {held}")


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown")
    return {"cpu": model, "cores": os.cpu_count(), "load": os.getloadavg(), "at": time.strftime("%FT%TZ", time.gmtime())}


if __name__ == "__main__":
    main()
