"""hive.py FILE COLUMN: the value of a Hive folder's column, as pyarrow and DuckDB decode it. They must agree."""

import sys

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

file, column = sys.argv[1:]
folders = [part for part in file.split("/")[:-1] if "=" in part]
partitioning = ds.partitioning(pa.schema([(column, pa.string())]), flavor="hive")
expression = partitioning.parse("/".join(folders) + "/")
values = ds.get_partition_keys(expression)
theirs = duckdb.connect().execute(
    f"SELECT DISTINCT {column} FROM read_parquet(?, hive_partitioning = true, hive_types_autocast = false)", [file]
).fetchall()
if [values[column]] != [row[0] for row in theirs]:
    sys.exit(f"{file}: pyarrow reads {values[column]!r}, DuckDB {theirs!r}")
sys.stdout.write(values[column])
