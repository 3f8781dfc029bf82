"""The bench's tables: their types, the checksum of every column, and the verdict on what a tool wrote."""

import json
import os
import subprocess
import sys

LINEITEM_ROWS = {0.01: 60_175, 0.1: 600_572, 1: 6_001_215, 10: 59_986_052}

# Column -> the type a faithful Parquet file has, in DuckDB's words. `json` may also arrive as text.
TYPES = {
    "lineitem": {
        "l_orderkey": "BIGINT", "l_partkey": "BIGINT", "l_suppkey": "INTEGER", "l_linenumber": "INTEGER",
        "l_quantity": "DECIMAL(15,2)", "l_extendedprice": "DECIMAL(15,2)", "l_discount": "DECIMAL(15,2)",
        "l_tax": "DECIMAL(15,2)", "l_returnflag": "VARCHAR", "l_linestatus": "VARCHAR", "l_shipdate": "DATE",
        "l_commitdate": "DATE", "l_receiptdate": "DATE", "l_shipinstruct": "VARCHAR", "l_shipmode": "VARCHAR",
        "l_comment": "VARCHAR",
    },
    "wide": {
        "id": "BIGINT", "name": "VARCHAR", "body": "VARCHAR", "document": "JSON", "amount": "DECIMAL(18,4)",
        "created_at": "TIMESTAMP WITH TIME ZONE", "active": "BOOLEAN", "token": "UUID", "day": "DATE",
        "ratio": "DOUBLE", "payload": "BLOB", "note": "VARCHAR", "quantity": "INTEGER", "discount": "DECIMAL(10,2)",
        "updated_at": "TIMESTAMP WITH TIME ZONE", "rare": "VARCHAR",
    },
}


def lineitem(scale):
    """TPC-H's lineitem as CSV with a header, to be read from `stdout`."""
    make = [os.path.join(os.path.dirname(sys.executable), "tpchgen-cli"), "csv", "-s", f"{scale:g}", "-T", "lineitem", "--stdout"]
    return subprocess.Popen(make, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def expected(path, table, command, csv):
    """The checksums of the table's columns, from the text that `command`, the server's own client, prints.

    `csv` says how DuckDB reads it. They are kept in the file `path`."""
    if not os.path.exists(path):
        print(f"reading {table} once for its checksums", flush=True)
        columns = {name: "VARCHAR" if kind in ("BLOB", "JSON", "BOOLEAN") else kind for name, kind in TYPES[table].items()}
        read, write = os.pipe()
        server = subprocess.Popen(command, stdout=write)
        os.close(write)
        source = f"read_csv('/dev/fd/{read}', header=false, columns={json.dumps(columns)}, auto_detect=false, {csv})"
        sums = checksums(connect(), source, table, from_csv=True)
        os.close(read)
        if server.wait():
            raise SystemExit(f"{command[0]} failed")
        with open(path, "w") as file:
            json.dump(sums, file)
    with open(path) as file:
        return json.load(file)


def connect():
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def checksums(connection, source, table, from_csv=False):
    """{column: order-independent sum of the hashes of its values, each cast to the expected type}."""
    parts = []
    for name, kind in TYPES[table].items():
        if kind == "BLOB":
            value = f"lower(substr({name}, 3))" if from_csv else f"lower(hex({name}::BLOB))"
        elif kind == "BOOLEAN" and from_csv:
            value = f"CASE {name} WHEN 't' THEN 'true' WHEN 'f' THEN 'false' END"
        elif kind == "JSON":
            # Any spelling of the same document is the same value here; rivet's own tests are stricter.
            value = f"json({name})::VARCHAR"
        else:
            value = f"{name}::{kind}::VARCHAR"
        parts.append(f"sum(hash({value})::HUGEINT)::VARCHAR || '/' || count({name}) AS {name}")
    names = list(TYPES[table])
    return dict(zip(names, connection.sql(f"SELECT {', '.join(parts)} FROM {source}").fetchone()))


def judge(files, table, rows, wanted):
    """What is wrong with these Parquet files: a list of short texts, empty when they are faithful.

    Without `wanted`, the checksums, types and the number of rows must do."""
    connection = connect()
    source = f"read_parquet({files!r})"
    faults = []
    found = {name: kind for name, kind, *_ in connection.sql(f"DESCRIBE SELECT * FROM {source}").fetchall()}
    for name, kind in TYPES[table].items():
        if found.get(name) != kind and not (kind == "JSON" and found.get(name) == "VARCHAR"):
            faults.append(f"{name}: {found.get(name, 'missing')} for {kind}")
    (have,) = connection.sql(f"SELECT count(*) FROM {source}").fetchone()
    if have != rows:
        faults.append(f"{have} rows of {rows}")
    for name in TYPES[table] if wanted else []:
        if name not in found:
            continue
        try:
            one = {name: TYPES[table][name]}
            TYPES["_one"] = one
            if checksums(connection, source, "_one")[name] != wanted[name]:
                faults.append(f"{name}: other values")
        except Exception as error:  # a type that can't even be cast
            faults.append(f"{name}: {str(error).splitlines()[0][:80]}")
        finally:
            TYPES.pop("_one", None)
    return faults
