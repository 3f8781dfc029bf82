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

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def main():
    options = arguments()
    url = os.environ["RIVET_TEST_POSTGRES_URL"]
    cache = os.path.join(ROOT, ".servers", "bench")
    tables = data.load(url, options.scale, options.wide_rows)
    results = []
    with tempfile.TemporaryDirectory(prefix="rivet-bench-", dir=options.scratch) as scratch:
        for table, rows in tables.items():
            wanted = data.expected(url, table, rows, scratch if options.no_cache else cache_folder(cache))
            results += measure(options, url, table, rows, wanted, scratch)
            show(table, rows, [row for row in results if row["table"] == table])
    report = {"machine": machine(), "rounds": options.rounds, "scale": options.scale, "wide_rows": options.wide_rows, "results": results}
    with open(options.json, "w") as file:
        json.dump(report, file, indent=1)
    print(f"\nwritten to {options.json}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1, help="of TPC-H lineitem; 0 leaves it out")
    parser.add_argument("--wide-rows", type=int, default=2_000_000, help="of the wide table; 0 leaves it out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="comma-separated beginnings of names, e.g. floor,rivet,duckdb")
    parser.add_argument("--rivet", default=os.path.join(ROOT, "target", "release", "rivet"))
    parser.add_argument("--rivet-cli", default=os.path.join(os.path.dirname(sys.executable), "rivet"))
    parser.add_argument("--scratch", help="where outputs go (default: the temporary folder)")
    parser.add_argument("--json", default=os.path.join(ROOT, ".servers", "bench.json"))
    parser.add_argument("--no-cache", action="store_true", help="make the checksums again")
    return parser.parse_args()


def cache_folder(folder):
    path = os.path.join(folder, "checksums")
    os.makedirs(path, exist_ok=True)
    return path


# ---- the contestants: name -> (command, environment), given a table and an output folder


def contestants(options, url, table, rows, scratch):
    """[(name, make)]: make(folder) gives the command, or a text saying why there is none."""
    drain = os.path.join(ROOT, "target", "release", "examples", "drain")
    pages = int(data.psql(url, "-c", f"SELECT relpages FROM pg_class WHERE relname = '{table}'"))
    copy = "COPY (SELECT * FROM {} {}) TO STDOUT (FORMAT binary)"
    halves = [copy.format(table, f"WHERE ctid < '({pages // 2},0)'"), copy.format(table, f"WHERE ctid >= '({pages // 2},0)'")]
    peer = [sys.executable, os.path.join(HERE, "peers.py")]

    def floor(statements):
        return lambda folder: [drain, url, *statements] if os.path.exists(drain) else "drain is not built"

    def python(tool, streams):
        return lambda folder: [*peer, tool, url, table, os.path.join(folder, "out.parquet"), str(streams)]

    def rivet(binary, workers, ours):
        def make(folder):
            if not os.path.exists(binary):
                return f"{os.path.relpath(binary, ROOT)} is not there"
            config = os.path.join(scratch, "rivet.yaml")
            with open(config, "w") as file:
                file.write(rivet_config(url, table, rows, folder, workers, ours))
            # rivet-cli keeps its state beside the configuration: none is left from the round before.
            for state in glob.glob(os.path.join(scratch, ".rivet_state*")):
                os.remove(state)
            return [binary, "run", "-c", config]

        return make

    every = [
        ("floor 1", floor([copy.format(table, "")])),
        ("rivet 1", rivet(options.rivet, 1, True)),
        ("duckdb 1", python("duckdb", 1)),
        ("connectorx 1", python("connectorx", 1)),
        ("adbc", python("adbc", 1)),
        ("rivet-cli 1", rivet(options.rivet_cli, 1, False)),
        ("floor 2", floor(halves)),
        ("rivet 2", rivet(options.rivet, 2, True)),
        ("rivet 4", rivet(options.rivet, 4, True)),
        ("duckdb 2", python("duckdb", 2)),
        ("connectorx 2", python("connectorx", 2)),
        ("rivet-cli 2", rivet(options.rivet_cli, 2, False)),
    ]
    only = [start for start in options.only.split(",") if start]
    return [(name, make) for name, make in every if not only or any(name.startswith(start) for start in only)]


def rivet_config(url, table, rows, folder, workers, ours):
    """Plain `full` for one worker; range chunks over the key for more. rivet-cli is told the same."""
    key = {"lineitem": "l_orderkey", "wide": "id"}[table]
    lines = [
        "source:",
        "  type: postgres",
        f"  url: {url}",
        "  tls: {mode: disable}",
        "  tuning: {profile: fast}",
        "exports:",
        f"  - name: {table}",
        f"    table: {table}" if ours else f'    query: "SELECT * FROM {table}"',
        "    format: parquet",
        "    compression: zstd",
        "    compression_level: 3",
        f"    destination: {{type: local, path: {folder}}}",
    ]
    if workers == 1:
        lines.append("    mode: full")
    else:
        lines += ["    mode: chunked", f"    chunk_column: {key}", f"    parallel: {workers}"]
        lines.append(f"    chunk_count: {workers * 4}")
    return "\n".join(lines) + "\n"


# ---- measuring


def measure(options, url, table, rows, wanted, scratch):
    every = contestants(options, url, table, rows, scratch)
    taken = {name: [] for name, _ in every}
    faults = {name: None for name, _ in every}
    data.psql(url, "-c", f"SELECT count({list(data.TYPES[table])[-1]}) FROM {table}")  # warm the server's cache
    for number in range(options.rounds):
        for name, make in every:
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
            run = once(command, scratch)
            print(f"{run['wall_s']:8.2f} s wall {run['cpu_s']:8.2f} s CPU {run['rss_mb']:6.0f} MB", file=sys.stderr, flush=True)
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
    return [summary(table, name, taken[name], faults[name] or []) for name, _ in every]


def once(command, scratch):
    """Runs the command; its wall time, CPU of its whole tree, peak memory, and what the server spent."""
    counts = os.path.join(scratch, "perf")
    if can_count():
        command = ["perf", "stat", "-x,", "-e", "instructions:u", "-o", counts, "--", *command]
    server = server_cpu()
    environment = {**os.environ, "TZ": "UTC", "RIVET_PLUGIN_PATH": os.path.join(ROOT, "target", "release")}
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
        "server_cpu_s": server_cpu() - server,
    }
    if can_count():
        with open(counts) as file:
            run["instructions"] = int(next(line for line in file if "instructions" in line).split(",")[0])
    return run


def server_cpu():
    """CPU seconds of the server's processes that have ended (its postmaster has waited for them)."""
    pid = os.environ.get("RIVET_TEST_POSTGRES_PID")
    if not pid:
        return 0.0
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


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


def show(table, rows, results):
    base = {name: next((r for r in results if r["tool"] == name and r["rounds"]), None) for name in ("rivet 1", "floor 1", "floor 2")}
    counted = any("instructions" in row for row in results)
    print(f"\n{table}: {rows:,} rows, medians of {max(r['rounds'] for r in results)} rounds, all zstd 3")
    head = f"{'tool':<14}{'wall s':>8}{'CPU s':>8}{'server':>8}{'RSS MB':>8}{'out MB':>8}{'/floor':>8}{'CPU/rivet 1':>13}"
    print(head + (f"{'G instr':>9}" if counted else "") + "  verdict")
    for row in results:
        verdict = "; ".join(row["faults"]) or ("" if row["tool"].startswith("floor") else "same values")
        if not row["rounds"]:
            print(f"{row['tool']:<14}{'–':>8}  {verdict}")
            continue
        floor = base["floor 1" if row["tool"].endswith("1") or row["tool"] == "adbc" else "floor 2"]
        wall = f"{row['wall_s'] / floor['wall_s']:.2f}" if floor else "–"
        cpu = f"{row['cpu_s'] / base['rivet 1']['cpu_s']:.2f}" if base["rivet 1"] else "–"
        line = (
            f"{row['tool']:<14}{row['wall_s']:>8.2f}{row['cpu_s']:>8.2f}{row['server_cpu_s']:>8.2f}{row['rss_mb']:>8.0f}"
            f"{row['size'] / 1e6:>8.1f}{wall:>8}{cpu:>13}"
        )
        if counted:
            line += f"{row.get('instructions', 0) / 1e9:>9.1f}"
        print(f"{line}  {verdict}")


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown")
    return {"cpu": model, "cores": os.cpu_count(), "load": os.getloadavg(), "at": time.strftime("%FT%TZ", time.gmtime())}


if __name__ == "__main__":
    main()
