"""One peer exporting one table: peers.py TOOL URL TABLE OUTPUT_FILE STREAMS. Runs in a process of its own.

Every tool writes Parquet with zstd level 3, which has to be said to each in its own way.
"""

import glob
import importlib
import os
import sys
import urllib.parse

LEVEL = 3


def duckdb_scanner(url, table, out, streams):
    import duckdb

    place = urllib.parse.urlsplit(url)
    kind = "mysql" if place.scheme == "mysql" else "postgres"
    package = importlib.import_module(f"duckdb_extension_{kind}_scanner")
    (extension,) = glob.glob(os.path.join(os.path.dirname(package.__file__), "extensions", "*", "*.duckdb_extension"))
    connection = duckdb.connect(config={"threads": streams, "autoinstall_known_extensions": False})
    connection.execute(f"LOAD '{extension}'")
    if kind == "mysql":
        login = f"host={place.hostname} port={place.port} user={place.username} passwd={place.password}"
        connection.execute(f"ATTACH '{login} db={place.path[1:]} ssl_mode=disabled' AS source (TYPE mysql, READ_ONLY)")
        relation = f"source.{place.path[1:]}.{table}"
    else:
        connection.execute(f"ATTACH '{url}' AS source (TYPE postgres, READ_ONLY)")
        relation = f"source.public.{table}"
    connection.execute(
        f"COPY (SELECT * FROM {relation}) TO '{out}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {LEVEL})"
    )


def connectorx(url, table, out, streams):
    import connectorx
    import pyarrow.parquet

    key = {"lineitem": "l_orderkey", "wide": "id"}[table]
    split = {"partition_on": key, "partition_num": streams} if streams > 1 else {}
    rows = connectorx.read_sql(url, f"SELECT * FROM {table}", return_type="arrow", protocol="binary", **split)
    pyarrow.parquet.write_table(rows, out, compression="zstd", compression_level=LEVEL)


def adbc(url, table, out, streams):
    import adbc_driver_postgresql.dbapi
    import pyarrow.parquet

    with adbc_driver_postgresql.dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")
        reader = cursor.fetch_record_batch()
        with pyarrow.parquet.ParquetWriter(out, reader.schema, compression="zstd", compression_level=LEVEL) as writer:
            for batch in reader:
                writer.write_batch(batch)


if __name__ == "__main__":
    tool, url, table, out, streams = sys.argv[1:]
    {"duckdb": duckdb_scanner, "connectorx": connectorx, "adbc": adbc}[tool](url, table, out, int(streams))
