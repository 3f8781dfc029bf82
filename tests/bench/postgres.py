"""The bench's PostgreSQL: its tables, loaded once and kept, and who exports them."""

import os
import subprocess
import sys

import data
import tools

SERVER = "POSTGRES"
FOLDER = os.path.join(tools.ROOT, ".servers", "bench")


def psql(url, *arguments, **options):
    command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", url, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout.strip()


def url():
    return os.environ["RIVET_TEST_POSTGRES_URL"]


def load(options):
    """{table: rows}, once everything is there."""
    rows = {}
    if options.scale:
        rows["lineitem"] = load_lineitem(url(), "lineitem", options.scale)
    if options.wide_rows:
        if count(url(), "wide") != options.wide_rows:
            print(f"loading {options.wide_rows} wide rows", flush=True)
            psql(url(), "-v", f"rows={options.wide_rows}", "-f", f"{tools.HERE}/wide.sql")
            psql(url(), "-c", "VACUUM ANALYZE wide")
        rows["wide"] = count(url(), "wide")
    return rows


def load_lineitem(url, table, scale):
    """Makes `table` TPC-H's lineitem, unless it has as many rows already; how many those are."""
    if count(url, table) != data.LINEITEM_ROWS.get(scale, -1):
        print(f"loading {table} at scale {scale:g}", flush=True)
        psql(url, "-v", f"table={table}", "-f", f"{tools.HERE}/lineitem.sql")
        with data.lineitem(scale) as rows_as_csv:
            psql(url, "-c", f"COPY {table} FROM STDIN (FORMAT csv, HEADER)", stdin=rows_as_csv.stdout)
        if rows_as_csv.returncode:
            raise SystemExit("tpchgen-cli failed")
        psql(url, "-c", f"ALTER TABLE {table} ADD PRIMARY KEY (l_orderkey, l_linenumber)", "-c", f"VACUUM ANALYZE {table}")
    return count(url, table)


def count(url, table):
    if psql(url, "-c", f"SELECT to_regclass('{table}') IS NULL") == "t":
        return -1
    return int(psql(url, "-c", f"SELECT count(*) FROM {table}"))


def expected(path, table):
    command = ["psql", "-X", "-q", url(), "-c", "SET timezone = 'UTC'", "-c", f"COPY {table} TO STDOUT (FORMAT csv)"]
    return data.expected(path, table, command, """delim=',', quote='"', escape='"'""")


def warm(table):
    """Puts the table into the server's cache."""
    psql(url(), "-c", f"SELECT count({list(data.TYPES[table])[-1]}) FROM {table}")


def contestants(options, table, rows, scratch):
    drain = os.path.join(tools.ROOT, "target", "release", "examples", "drain")
    pages = int(psql(url(), "-c", f"SELECT relpages FROM pg_class WHERE relname = '{table}'"))
    copy = "COPY (SELECT * FROM {} {}) TO STDOUT (FORMAT binary)"
    halves = [copy.format(table, f"WHERE ctid < '({pages // 2},0)'"), copy.format(table, f"WHERE ctid >= '({pages // 2},0)'")]
    peer = [sys.executable, os.path.join(tools.HERE, "peers.py")]

    def floor(statements):
        return lambda folder: [drain, url(), *statements] if os.path.exists(drain) else "drain is not built"

    def python(tool, streams):
        return lambda folder: [*peer, tool, url(), table, os.path.join(folder, "out.parquet"), str(streams)]

    def rivet(binary, workers, ours=True):
        return tools.rivet(binary, scratch, "postgres", url(), table, workers, ours=ours)

    return [
        ("floor 1", floor([copy.format(table, "")])),
        ("rivet 1", rivet(options.rivet, 1)),
        ("duckdb 1", python("duckdb", 1)),
        ("connectorx 1", python("connectorx", 1)),
        ("adbc", python("adbc", 1)),
        ("rivet-cli 1", rivet(options.rivet_cli, 1, False)),
        ("floor 2", floor(halves)),
        ("rivet 2", rivet(options.rivet, 2)),
        ("rivet 4", rivet(options.rivet, 4)),
        ("duckdb 2", python("duckdb", 2)),
        ("connectorx 2", python("connectorx", 2)),
        ("rivet-cli 2", rivet(options.rivet_cli, 2, False)),
    ]


BARS = []
