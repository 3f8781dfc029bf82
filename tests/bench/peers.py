"""One peer exporting one table: peers.py TOOL URL TABLE OUTPUT_FILE STREAMS. Runs in a process of its own.

Every tool writes Parquet with zstd level 3, which has to be said to each in its own way.
"""

import glob
import os
import sys

LEVEL = 3


def duckdb_scanner(url, table, out, streams):
    import duckdb
    import duckdb_extension_postgres_scanner as package

    (extension,) = glob.glob(os.path.join(os.path.dirname(package.__file__), "extensions", "*", "*.duckdb_extension"))
    connection = duckdb.connect(config={"threads": streams, "autoinstall_known_extensions": False})
    connection.execute(f"LOAD '{extension}'")
    connection.execute(f"ATTACH '{url}' AS pg (TYPE postgres, READ_ONLY)")
    connection.execute(
        f"COPY (SELECT * FROM pg.public.{table}) TO '{out}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {LEVEL})"
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
