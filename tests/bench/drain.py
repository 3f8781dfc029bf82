"""What the drivers' own readers gain: the same table into Arrow batches, by the driver and by the well-known client.

Every round runs each program once, in turn. CPU is user + system of the client's process; what is printed is the median
over the rounds. Instructions are callgrind's, of one run more, which a busy machine does not change."""

import argparse
import datetime
import os
import random
import re
import shutil
import statistics
import subprocess
import tempfile
import urllib.parse

COLUMNS = """l_orderkey bigint NOT NULL, l_partkey int NOT NULL, l_suppkey int NOT NULL, l_linenumber int NOT NULL,
    l_quantity decimal(15, 2) NOT NULL, l_extendedprice decimal(15, 2) NOT NULL, l_discount decimal(15, 2) NOT NULL,
    l_tax decimal(15, 2) NOT NULL, l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL,
    l_commitdate date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct varchar(25) NOT NULL,
    l_shipmode varchar(10) NOT NULL, l_comment varchar(44) NOT NULL"""
WORDS = "furiously regular deposits sleep carefully above the quickly final packages among pending express ideas".split()


def lineitem(rows):
    """Rows of TPC-H lineitem's shape, the same each time."""
    choose = random.Random(14)
    first = datetime.date(1992, 1, 2)
    for row in range(rows):
        ship = first + datetime.timedelta(days=choose.randrange(2500))
        commit, receipt = (ship + datetime.timedelta(days=choose.randrange(-30, 60)) for _ in range(2))
        yield (
            row // 4 + 1, choose.randrange(1, 200_000), choose.randrange(1, 10_000), row % 4 + 1,
            f"{choose.randrange(1, 51)}.00", f"{choose.randrange(90_000, 10_000_000) / 100:.2f}",
            f"0.{choose.randrange(11):02}", f"0.{choose.randrange(9):02}", choose.choice("ANR"), choose.choice("OF"),
            ship, commit, receipt, choose.choice(["DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"]),
            choose.choice(["TRUCK", "MAIL", "REG AIR", "SHIP", "RAIL", "FOB", "AIR"]),
            " ".join(choose.choices(WORDS, k=choose.randrange(2, 5)))[:43].strip(),
        )


def program(name):
    return shutil.which(name, path=os.environ["RIVET_BENCH_PROGRAMS"]) or exit(f"{name} is not built")


def run(command, **options):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)


def postgres(rows, csv):
    """[(program, arguments)], once the table is there: the driver first."""
    url = os.environ["RIVET_TEST_POSTGRES_URL"]
    load = f"CREATE TABLE lineitem ({COLUMNS}); \n\\copy lineitem FROM '{csv}' (FORMAT csv)\nVACUUM ANALYZE lineitem;"
    run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url], input=load, text=True)
    drain = program("drain_postgres")
    return "PostgreSQL", [
        ("this driver", [program("decode_postgres"), f"{url}?sslmode=disable", "lineitem"]),
        ("`postgres`, `BinaryCopyOutIter`", [drain, url, "copy"]),
        ("`postgres`, `query_raw`", [drain, url, "rows"]),
    ]


def mysql(rows, csv):
    parts = urllib.parse.urlsplit(os.environ["RIVET_TEST_MYSQL_URL"])
    client = ["mariadb", "--no-defaults", "--local-infile=1", "--skip-ssl-verify-server-cert", "-h", parts.hostname,
              "-P", str(parts.port), "-u", parts.username]
    load = f"""SET GLOBAL local_infile = 1; CREATE DATABASE drain CHARACTER SET utf8mb4; USE drain;
        CREATE TABLE lineitem ({COLUMNS}, PRIMARY KEY (l_orderkey, l_linenumber));
        LOAD DATA LOCAL INFILE '{csv}' INTO TABLE lineitem FIELDS TERMINATED BY ','; ANALYZE TABLE lineitem;"""
    run(client, input=load, text=True, env={**os.environ, "MYSQL_PWD": parts.password})
    url = parts._replace(path="/drain", query="").geturl()
    return "MySQL", [
        ("this driver", [program("decode_mysql"), f"{url}?sslmode=disable", "lineitem"]),
        ("`mysql`, `exec_iter`", [program("drain_mysql"), url]),
    ]


def mssql(rows, csv):
    url = urllib.parse.urlsplit(os.environ["RIVET_TEST_MSSQL_URL"])
    login = f"{url.username}:{url.password}"
    url = f"mssql://{login}@{os.environ.get('RIVET_TEST_MSSQL_NONE', f'{url.hostname}:{url.port}')}"
    tiberius = program("drain_tiberius")
    run([tiberius, f"{url}/master", "run"], input="CREATE DATABASE drain", text=True)
    statements = [f"CREATE TABLE lineitem ({' '.join(COLUMNS.split())})"]
    values = [", ".join(f"'{cell}'" if index > 7 else str(cell) for index, cell in enumerate(row)) for row in rows]
    for start in range(0, len(values), 500):
        statements.append(f"INSERT INTO lineitem VALUES {', '.join(f'({row})' for row in values[start:start + 500])}")
    url = f"{url}/drain"
    run([tiberius, url, "run"], input="\n".join(statements), text=True)
    return "SQL Server", [
        ("this driver", [program("decode_mssql"), f"{url}?encrypt=disable", "lineitem"]),
        ("`mssql-tds`, `next_row_into`", [program("drain-mssql-tds"), url]),
        ("`tiberius`, `QueryItem`", [tiberius, url]),
    ]


def drained(command, rows):
    """CPU seconds, once it has read every row."""
    with tempfile.TemporaryFile("w+") as says:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=says)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        says.seek(0)
        told = says.read()
    if child.returncode or not told.startswith(f"{rows} rows"):
        exit(f"{command[0]}: {told}")
    return usage.ru_utime + usage.ru_stime


def instructions(command):
    """In millions; None without valgrind."""
    if not shutil.which("valgrind"):
        return None
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    return int(re.search(r"Collected : (\d+)", done.stderr)[1]) / 1e6


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/drain", description=__doc__)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="postgres,mysql,mssql", help="some of them")
    options = parser.parse_args()
    rows = list(lineitem(options.rows))
    with tempfile.TemporaryDirectory() as folder:
        csv = f"{folder}/lineitem.csv"
        with open(csv, "w") as file:
            file.writelines(",".join(map(str, row)) + "\n" for row in rows)
        os.chmod(folder, 0o755)
        print(f"{options.rows} rows of lineitem's shape, {options.rounds} rounds, CPU seconds of the client: median (each)\n")
        print("| server | reader | CPU s | × | M instr | × |\n|---|---|---|---|---|---|")
        for prepare in [{"postgres": postgres, "mysql": mysql, "mssql": mssql}[name] for name in options.only.split(",")]:
            server, programs = prepare(rows, csv)
            seconds = {name: [] for name, _ in programs}
            for _ in range(options.rounds):
                for name, command in programs:
                    seconds[name].append(drained(command, options.rows))
            counted = {name: instructions(command) for name, command in programs}
            ours = programs[0][0]
            for name, _ in programs:
                median, base = statistics.median(seconds[name]), statistics.median(seconds[ours])
                each = ", ".join(f"{second:.3f}" for second in seconds[name])
                counts = ("", "")
                if counted[ours]:
                    counts = (f"{counted[name]:,.0f}", f"{counted[name] / counted[ours]:.1f}")
                print(f"| {server} | {name} | {median:.3f} ({each}) | {median / base:.1f} | {counts[0]} | {counts[1]} |", flush=True)


if __name__ == "__main__":
    main()
