"""The bench's MariaDB or MySQL: its lineitem, loaded once and kept, and who exports it."""

import os
import shlex
import subprocess
import sys
import urllib.parse

import data
import tools

DATABASE = "bench"


class Server:
    """MARIADB or MYSQL, as the runner started it."""

    def __init__(self, name):
        self.SERVER = name
        self.FOLDER = os.path.join(tools.ROOT, ".servers", f"bench-{name.lower()}")
        parts = urllib.parse.urlsplit(os.environ[f"RIVET_TEST_{name}_URL"])
        self.host, self.port, self.user, self.password = parts.hostname, str(parts.port), parts.username, parts.password
        self.address = parts._replace(path=f"/{DATABASE}").geturl()
        os.environ["MYSQL_PWD"] = self.password

    def client(self, *arguments):
        login = ["-h", self.host, "-P", self.port, "-u", self.user]
        return ["mariadb", "--no-defaults", "--skip-ssl", "--local-infile=1", "--batch", "--raw", "-N", "--quick", *login, *arguments]

    def ask(self, statements, database=DATABASE, **options):
        command = self.client("-D", database, "-e", statements)
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout.strip()

    def load(self, options):
        """{table: rows}, once everything is there."""
        self.ask(f"CREATE DATABASE IF NOT EXISTS {DATABASE} CHARACTER SET utf8mb4; SET GLOBAL local_infile = 1", "mysql")
        if self.count() != data.LINEITEM_ROWS.get(options.scale, -1):
            print(f"loading lineitem at scale {options.scale:g}", flush=True)
            with open(f"{tools.HERE}/lineitem_mysql.sql") as file, data.lineitem(options.scale) as rows_as_csv:
                self.ask(file.read(), stdin=rows_as_csv.stdout)
            if rows_as_csv.returncode:
                raise SystemExit("tpchgen-cli failed")
        return {"lineitem": self.count()}

    def count(self):
        if not self.ask("SHOW TABLES LIKE 'lineitem'"):
            return -1
        return int(self.ask("SELECT count(*) FROM lineitem"))

    def expected(self, path, table):
        command = self.client("-D", DATABASE, "-e", f"SELECT * FROM {table}")
        return data.expected(path, table, command, "delim='\t', quote='', escape=''")

    def warm(self, table):
        """Puts the table into the server's cache."""
        self.ask(f"SELECT sum(length({list(data.TYPES[table])[-1]})) FROM {table}")

    def contestants(self, options, table, rows, scratch):
        middle = int(self.ask(f"SELECT max(l_orderkey) DIV 2 FROM {table}"))
        whole = f"SELECT * FROM {table}"
        halves = [f"{whole} WHERE l_orderkey < {middle}", f"{whole} WHERE l_orderkey >= {middle}"]
        floor_program = compiled(scratch)
        peer = [sys.executable, os.path.join(tools.HERE, "peers.py")]

        def floor(protocol, statements):
            return lambda folder: [floor_program, self.host, self.port, self.user, DATABASE, protocol, *statements]

        def python(tool, streams):
            return lambda folder: [*peer, tool, self.address, table, os.path.join(folder, "out.parquet"), str(streams)]

        def rivet(workers):
            return tools.rivet(options.rivet, scratch, "mysql", self.address, table, workers)

        return [
            ("floor 1", floor("binary", [whole])),
            ("floor text", floor("text", [whole])),
            ("rivet 1", rivet(1)),
            ("duckdb 1", python("duckdb", 1)),
            ("connectorx 1", python("connectorx", 1)),
            ("floor 2", floor("binary", halves)),
            ("rivet 2", rivet(2)),
            ("rivet 4", rivet(4)),
            ("duckdb 2", python("duckdb", 2)),
            ("connectorx 2", python("connectorx", 2)),
        ]

    # (what, of whom, against whom, at most)
    BARS = [
        ("cpu_s", "rivet 1", "connectorx 1", 0.55),
        ("cpu_s", "rivet 1", "duckdb 1", 0.55),
        ("wall_s", "rivet 1", "floor 1", 1.15),
        ("rss_mb", "rivet 1", None, 150),
    ]


def compiled(scratch):
    """The floor's C client, compiled with the machine's compiler against MariaDB's client library."""
    program = os.path.join(scratch, "floor_mysql")
    if not os.path.exists(program):
        library = subprocess.run(["mariadb_config", "--include", "--libs"], check=True, stdout=subprocess.PIPE, text=True).stdout
        subprocess.run(["gcc", "-O2", "-o", program, f"{tools.HERE}/floor_mysql.c", *shlex.split(library)], check=True)
    return program
