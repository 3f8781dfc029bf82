"""What a Parquet or CSV file holds, as two independent readers see it.

    read.py rows [--csv JSON] FILE...    every value, once both readers agree on it
    read.py schema FILE...               types, nullability, metadata and layout of Parquet files
    read.py sql STATEMENT FILE...        DuckDB's answer; the files are the table `t`

Prints one JSON document. A value is null or a text that loses nothing:

    kind                     text
    boolean                  true, false
    int, decimal             digits; a decimal keeps its scale: 1.50
    float32, float64         shortest digits that read back the same; NaN, inf, -inf, -0.0
    text                     itself
    binary                   lower-case hex
    uuid                     with hyphens
    date                     days since 1970-01-01 (readers' own calendars end at year 9999)
    time_us … duration_ns    a count of the unit; timestamptz_us counts from 1970 UTC
    list, struct, map        a JSON array, an object, an array of [key, value]
"""

import decimal
import json
import os
import struct
import sys
import uuid

import duckdb
import pyarrow as pa
import pyarrow.csv  # noqa: F401, as pa.csv
import pyarrow.parquet as pq


def main():
    what, *rest = sys.argv[1:]
    if what == "rows":
        csv = json.loads(rest[1]) if rest[0] == "--csv" else None
        document = rows(files_of(rest[2:] if rest[0] == "--csv" else rest), csv)
    elif what == "schema":
        document = [schema(file) for file in files_of(rest)]
    elif what == "sql":
        document = sql(rest[0], files_of(rest[1:]))
    else:
        sys.exit(f"unknown command {what}")
    json.dump(document, sys.stdout, ensure_ascii=False)


def files_of(paths):
    """Folders stand for the data files in them, by name; names that start with _ or . are not data."""
    files = []
    for path in paths:
        if not os.path.isdir(path):
            files.append(path)
            continue
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if name == "__HIVE_DEFAULT_PARTITION__" or name[0] not in "_.")
            files += [os.path.join(folder, name) for name in sorted(names) if name[0] not in "_." and is_data(name)]
    return files


def is_data(name):
    return any(part in ("parquet", "csv") for part in name.split(".")[1:])


def rows(files, csv):
    """{columns: [{name, kind, readers}], rows: [[value]]}; the order of files and rows is kept."""
    columns, out = None, []
    for file in files:
        if csv is None:
            here, found = pyarrow_rows(file)
            judged = check_with_duckdb(file, here, found)
            here = [{**column, "readers": readers} for column, readers in zip(here, judged)]
        else:
            here, found = csv_rows(file, csv)
        if columns is not None and [(c["name"], c["kind"]) for c in columns] != [(c["name"], c["kind"]) for c in here]:
            sys.exit(f"{file}: columns differ from those of {files[0]}")
        columns = columns or here
        out += found
    return {"columns": columns or [], "rows": out}


# ---- pyarrow


def pyarrow_rows(file):
    table = pq.read_table(file, partitioning=None)
    columns = [{"name": field.name, "kind": kind_of(field.type)} for field in table.schema]
    values = [[value for chunk in column.chunks for value in arrow_values(chunk)] for column in table.columns]
    return columns, [list(row) for row in zip(*values)]


def kind_of(t):
    if isinstance(t, pa.BaseExtensionType):
        return "uuid" if t.extension_name == "arrow.uuid" else kind_of(t.storage_type)
    if pa.types.is_dictionary(t):
        return kind_of(t.value_type)
    if pa.types.is_null(t):
        return "null"
    if pa.types.is_boolean(t):
        return "boolean"
    if pa.types.is_integer(t):
        return "int"
    if pa.types.is_floating(t):
        return f"float{t.bit_width}"
    if pa.types.is_decimal(t):
        return "decimal"
    if pa.types.is_string(t) or pa.types.is_large_string(t) or pa.types.is_string_view(t):
        return "text"
    if pa.types.is_binary(t) or pa.types.is_large_binary(t) or pa.types.is_fixed_size_binary(t) or pa.types.is_binary_view(t):
        return "binary"
    if pa.types.is_date(t):
        return "date"
    if pa.types.is_time(t):
        return f"time_{t.unit}"
    if pa.types.is_timestamp(t):
        return f"timestamp{'tz' if t.tz else ''}_{t.unit}"
    if pa.types.is_duration(t):
        return f"duration_{t.unit}"
    if pa.types.is_map(t):
        return "map"
    if pa.types.is_list(t) or pa.types.is_large_list(t) or pa.types.is_fixed_size_list(t):
        return "list"
    if pa.types.is_struct(t):
        return "struct"
    sys.exit(f"no rendering for the Arrow type {t}")


def arrow_values(array):
    """The canonical values of one Arrow array. Counts are taken as the integers they are stored as."""
    t = array.type
    if isinstance(t, pa.BaseExtensionType):
        values = arrow_values(array.storage)
        return [v and str(uuid.UUID(hex=v)) for v in values] if t.extension_name == "arrow.uuid" else values
    if pa.types.is_dictionary(t):
        return arrow_values(array.dictionary_decode())
    valid = array.is_valid().to_pylist()
    kind = kind_of(t)
    if kind == "null":
        return [None] * len(array)
    if kind == "map":
        keys, items = arrow_values(array.keys), arrow_values(array.items)
        return nested(array.offsets.to_pylist(), valid, [list(pair) for pair in zip(keys, items)])
    if kind == "list":
        if pa.types.is_fixed_size_list(t):
            array = array.cast(pa.list_(t.value_field))
        return nested(array.offsets.to_pylist(), valid, arrow_values(array.values))
    if kind == "struct":
        names = [t.field(i).name for i in range(t.num_fields)]
        children = [arrow_values(child) for child in array.flatten()]
        return [dict(zip(names, row)) if ok else None for ok, *row in zip(valid, *children)]
    if kind == "date":
        array = array.cast(pa.date32()).view(pa.int32())
    elif kind.split("_")[0] in ("time", "timestamp", "timestamptz", "duration"):
        array = array.view(pa.int32() if t.bit_width == 32 else pa.int64())
    return [scalar(value, kind) for value in array.to_pylist()]


def nested(offsets, valid, values):
    return [values[a:b] if ok else None for ok, a, b in zip(valid, offsets, offsets[1:])]


def scalar(value, kind):
    if value is None:
        return None
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "float32":
        return shortest32(value)
    if kind == "float64":
        return "NaN" if value != value else repr(value)
    if kind == "decimal":
        return format(value, "f")
    if kind == "binary":
        return bytes(value).hex()
    return str(value)


def shortest32(value):
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return repr(value)
    for digits in range(1, 10):
        text = f"{value:.{digits}g}"
        try:
            same = struct.pack("f", float(text)) == struct.pack("f", value)
        except OverflowError:  # rounded up past the largest
            continue
        if same:
            return repr(float(text))
    return repr(value)


# ---- DuckDB


def check_with_duckdb(file, columns, rows):
    """The readers that judged each column; ends the program where they disagree."""
    connection = connect()
    source = connection.read_parquet(file, hive_partitioning=False)
    if source.columns != [column["name"] for column in columns]:
        sys.exit(f"{file}: DuckDB sees the columns {source.columns}")
    select, types, judged = [], [], []
    for column, t in zip(columns, source.types):
        able = can_hold(t, pq.read_schema(file).field(column["name"]).type)
        judged.append(["pyarrow", "duckdb"] if able else ["pyarrow"])
        types.append(t if able else None)
        select.append(counted(quoted(column["name"]), t) if able else "NULL")
    if not columns:
        return judged
    for number, (ours, theirs) in enumerate(zip(rows, connection.sql(f"SELECT {', '.join(select)} FROM source").fetchall(), strict=True)):
        for column, t, one, other in zip(columns, types, ours, theirs):
            if t is None:
                continue
            other = duckdb_value(other, t, column["kind"])
            if one != other:
                sys.exit(f"{file}: row {number}, column {column['name']}: pyarrow reads {one!r:.200}, DuckDB {other!r:.200}")
    return judged


def connect():
    connection = duckdb.connect(config={"autoinstall_known_extensions": False})
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def can_hold(t, arrow):
    """False where DuckDB rounds: decimals beyond 38 digits, clock times in nanoseconds, instants in nanoseconds with a zone."""
    if isinstance(arrow, pa.BaseExtensionType):
        arrow = arrow.storage_type
    if pa.types.is_decimal(arrow):
        return arrow.precision <= 38
    if pa.types.is_time(arrow):
        return arrow.unit != "ns"
    if pa.types.is_timestamp(arrow):
        return not (arrow.unit == "ns" and arrow.tz) and arrow.unit != "ms"
    if pa.types.is_duration(arrow) or pa.types.is_floating(arrow) and arrow.bit_width == 16:
        return False
    if pa.types.is_nested(arrow):
        return all(can_hold(t, arrow.field(i).type) for i in range(arrow.num_fields))
    return True


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def counted(expression, t):
    """The expression with dates and times as counts: Python has no values for most of them."""
    if t.id == "date":
        return f"({expression} - DATE '1970-01-01')"
    if t.id in ("timestamp", "timestamp with time zone", "time"):
        return f"epoch_us({expression})"
    if t.id == "timestamp_ns":
        return f"epoch_ns({expression})"
    # A lambda's parameter must not have the name of a column.
    if t.id in ("list", "array"):
        return f"list_transform({expression}, lambda rivet_item: {counted('rivet_item', t.children[0][1])})"
    if t.id == "map":
        key, value = (child for _, child in t.children)
        pair = f"{{'k': {counted('rivet_entry.key', key)}, 'v': {counted('rivet_entry.value', value)}}}"
        return f"list_transform(map_entries({expression}), lambda rivet_entry: {pair})"
    if t.id == "struct":
        fields = ", ".join(f"{quoted(name)} := {counted(f'({expression}).{quoted(name)}', child)}" for name, child in t.children)
        return f"CASE WHEN {expression} IS NOT NULL THEN struct_pack({fields}) END"
    return expression


def duckdb_value(value, t, kind=None):
    if value is None:
        return None
    if t.id in ("list", "array"):
        return [duckdb_value(one, t.children[0][1]) for one in value]
    if t.id == "map":
        key, item = (child for _, child in t.children)
        return [[duckdb_value(pair["k"], key), duckdb_value(pair["v"], item)] for pair in value]
    if t.id == "struct":
        return {name: duckdb_value(value[name], child) for name, child in t.children}
    if t.id == "float":
        return shortest32(value)
    if t.id == "double":
        return "NaN" if value != value else repr(value)
    if t.id == "boolean":
        return "true" if value else "false"
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    return str(value)


# ---- CSV: every column is text, and an empty field is NULL where "" is an empty text


def csv_rows(file, options):
    """options: delimiter, quote, null, header; rivet's defaults where left out."""
    delimiter, quote = options.get("delimiter", ","), options.get("quote", '"')
    null, header = options.get("null", ""), options.get("header", True)
    with pa.input_stream(file, compression="detect") as stream:
        content = stream.read()
    if not content:
        return [], []
    read = pa.csv.ReadOptions(autogenerate_column_names=not header, block_size=max(len(content) + 1, 1 << 20))
    parse = pa.csv.ParseOptions(delimiter=delimiter, quote_char=quote, newlines_in_values=True, ignore_empty_lines=False)
    names = pa.csv.read_csv(pa.py_buffer(content), read, parse).column_names
    if not header:
        names = [f"column{number}" for number in range(len(names))]
    convert = pa.csv.ConvertOptions(
        column_types={name: pa.string() for name in names}, strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[null]
    )
    read = pa.csv.ReadOptions(column_names=None if header else names, block_size=read.block_size)
    table = pa.csv.read_csv(pa.py_buffer(content), read, parse, convert)
    found = [list(row) for row in zip(*(column.to_pylist() for column in table.columns))]
    connection = connect()
    literal = lambda text: "'" + text.replace("'", "''") + "'"
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    theirs = connection.sql(
        f"SELECT * FROM read_csv({literal(file)}, delim={literal(delimiter)}, quote={literal(quote)}, escape={literal(quote)}, "
        f"nullstr={literal(null)}, allow_quoted_nulls=false, header={str(header).lower()}, auto_detect=false, "
        f"columns={{{columns}}}, "
        f"max_line_size={max(len(content) + 1, 2097152)}, null_padding=false, strict_mode=true, parallel=false)"
    ).fetchall()
    if len(theirs) != len(found):
        sys.exit(f"{file}: pyarrow reads {len(found)} rows, DuckDB {len(theirs)}")
    for number, (ours, others) in enumerate(zip(found, theirs)):
        if ours != list(others):
            sys.exit(f"{file}: row {number}: pyarrow reads {ours!r:.300}, DuckDB {list(others)!r:.300}")
    return [{"name": name, "kind": "text", "readers": ["pyarrow", "duckdb"]} for name in names], found


# ---- the rest


def schema(file):
    parquet = pq.ParquetFile(file)
    arrow = parquet.schema_arrow
    text = lambda pairs: {key.decode(): value.decode("utf-8", "replace") for key, value in (pairs or {}).items() if key != b"ARROW:schema"}
    leaves = []
    for index in range(len(parquet.schema)):
        leaf = parquet.schema.column(index)
        chunks = [parquet.metadata.row_group(group).column(index) for group in range(parquet.metadata.num_row_groups)]
        leaves.append(
            {
                "path": leaf.path,
                "physical": leaf.physical_type,
                "length": leaf.length,
                "logical": str(leaf.logical_type),
                "required": leaf.max_definition_level == 0,
                "max_definition_level": leaf.max_definition_level,
                "max_repetition_level": leaf.max_repetition_level,
                "codecs": sorted({chunk.compression for chunk in chunks}),
                "encodings": sorted({encoding for chunk in chunks for encoding in chunk.encodings}),
                "compressed_bytes": sum(chunk.total_compressed_size for chunk in chunks),
            }
        )
    return {
        "file": file,
        "rows": parquet.metadata.num_rows,
        "row_groups": [parquet.metadata.row_group(group).num_rows for group in range(parquet.metadata.num_row_groups)],
        "created_by": parquet.metadata.created_by,
        "metadata": text(parquet.metadata.metadata),
        "columns": [
            {"name": field.name, "arrow": str(field.type), "kind": kind_of(field.type), "nullable": field.nullable, "metadata": text(field.metadata)}
            for field in arrow
        ],
        "leaves": leaves,
    }


def sql(statement, files):
    connection = connect()
    if files:
        reader = "read_csv" if any(".csv" in os.path.basename(file) for file in files) else "read_parquet"
        connection.execute(f"CREATE VIEW t AS SELECT * FROM {reader}({files!r})")
    answer = connection.execute(statement)
    return [[None if value is None else str(value) for value in row] for row in answer.fetchall()]


if __name__ == "__main__":
    main()
