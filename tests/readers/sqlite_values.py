"""Reads a SQLite table with Python's own client, and the Parquet files of it with pyarrow, and compares value by value.

usage: sqlite_values.py DATABASE TABLE FOLDER

What a declared type promises is computed here from the cell that the client gives. Prints how many values of each
column were compared."""

import datetime
import decimal
import json
import sqlite3
import struct
import sys
import uuid
from pathlib import Path

import pyarrow.parquet

database, table, folder = sys.argv[1:]


def seconds(cell):
    """A moment as the driver's page reads it: text, or seconds since 1970 if it is a whole number."""
    if isinstance(cell, int):
        return datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=cell)
    moment = datetime.datetime.fromisoformat(cell)
    return moment.astimezone(datetime.timezone.utc).replace(tzinfo=None) if moment.tzinfo else moment


PROMISES = {
    "INTEGER": int, "BIGINT": int, "TINYINT": int, "BOOLEAN": bool, "REAL": float, "DOUBLE": float,
    "DECIMAL(12,2)": lambda cell: decimal.Decimal(repr(cell)).quantize(decimal.Decimal("0.01")),
    "TEXT": str, "VARCHAR(20)": str, "JSON": str, "BLOB": bytes,
    "UUID": lambda cell: (uuid.UUID(cell) if isinstance(cell, str) else uuid.UUID(bytes=cell)).bytes,
    "DATE": lambda cell: datetime.date.fromisoformat(cell),
    "TIME": lambda cell: datetime.time.fromisoformat(cell),
    "DATETIME": seconds, "TIMESTAMP": seconds,
    "TIMESTAMP WITH TIME ZONE": lambda cell: seconds(cell).replace(tzinfo=datetime.timezone.utc),
}


def same(expected, found):
    if isinstance(expected, float):
        return isinstance(found, float) and struct.pack("d", expected) == struct.pack("d", found)
    if isinstance(found, uuid.UUID):
        found = found.bytes
    return type(expected) is type(found) and expected == found


client = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
columns = [(name, declared) for _, name, declared, *_ in client.execute(f'PRAGMA table_info("{table}")')]
cells = client.execute(f'SELECT * FROM "{table}" ORDER BY 1').fetchall()
files = sorted(Path(folder).glob("*.parquet"))
landed = sorted((row for file in files for row in pyarrow.parquet.read_table(file).to_pylist()), key=lambda row: row[columns[0][0]])
assert len(cells) == len(landed) > 0, f"{len(cells)} rows there, {len(landed)} here"
compared = dict.fromkeys((name for name, _ in columns), 0)
for row, (there, here) in enumerate(zip(cells, landed)):
    for (name, declared), cell in zip(columns, there):
        expected = None if cell is None else PROMISES[declared](cell)
        assert same(expected, here[name]), f"row {row}, {name} {declared}: {cell!r} is {expected!r}, and {here[name]!r} landed"
        compared[name] += cell is not None
print(json.dumps(compared))
