"""mysql.py FILE: what MariaDB's client library gets from a server for each of many queries.

FILE is JSON: `host`, `port`, `user`, `password`, `database`, `queries`. Prints a list: for each query its rows (texts, or
null), or the error's text. The library cuts nothing: each text goes to the server as it is."""

import ctypes
import json
import sys
from pathlib import Path

CHARSET_NAME = 7


def library():
    client = ctypes.CDLL("libmariadb.so.3")
    for name in ("mysql_init", "mysql_real_connect", "mysql_store_result", "mysql_fetch_row", "mysql_fetch_lengths"):
        getattr(client, name).restype = ctypes.c_void_p
    client.mysql_error.restype = ctypes.c_char_p
    return client


def answer(client, connection, query):
    text = query.encode()
    if client.mysql_real_query(connection, text, ctypes.c_ulong(len(text))):
        return client.mysql_error(connection).decode(errors="replace")
    result = ctypes.c_void_p(client.mysql_store_result(connection))
    if not result:
        return client.mysql_error(connection).decode(errors="replace") or "no rows"
    rows = []
    width = client.mysql_num_fields(result)
    while row := client.mysql_fetch_row(result):
        lengths = ctypes.cast(client.mysql_fetch_lengths(result), ctypes.POINTER(ctypes.c_ulong))
        values = ctypes.cast(row, ctypes.POINTER(ctypes.c_void_p))
        rows.append([ctypes.string_at(values[i], lengths[i]).decode() if values[i] else None for i in range(width)])
    client.mysql_free_result(result)
    # An error may come after rows.
    return client.mysql_error(connection).decode(errors="replace") or rows


def main(file):
    asked = json.loads(Path(file).read_text())
    client = library()
    connection = ctypes.c_void_p(client.mysql_init(None))
    client.mysql_options(connection, CHARSET_NAME, b"utf8mb4")
    words = [asked[name].encode() for name in ("host", "user", "password", "database")]
    port = ctypes.c_uint(int(asked["port"]))
    if not client.mysql_real_connect(connection, *words, port, None, ctypes.c_ulong(0)):
        sys.exit(client.mysql_error(connection).decode(errors="replace"))
    print(json.dumps([answer(client, connection, query) for query in asked["queries"]]))
    client.mysql_close(connection)


main(sys.argv[1])
