"""Runs the scripts beside it without the seconds that Python and its libraries take to start: a copy of this process
for each call.

usage: serve.py SOCKET. A call is one line of JSON, {"script", "arguments", "environment"}; so is the answer,
{"code", "stdout", "stderr"}."""

import io
import json
import os
import runpy
import signal
import socket
import sys
import traceback

# What the scripts import.
import duckdb  # noqa: F401
import jsonschema  # noqa: F401
import pyarrow.csv  # noqa: F401
import pyarrow.fs  # noqa: F401
import pyarrow.parquet  # noqa: F401

FOLDER = os.path.dirname(os.path.abspath(__file__))


def answer(call):
    os.environ.update(call["environment"])
    sys.argv = [call["script"], *call["arguments"]]
    sys.stdout, sys.stderr, code = io.StringIO(), io.StringIO(), 0
    try:
        runpy.run_path(os.path.join(FOLDER, call["script"]), run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    return {"code": code, "stdout": sys.stdout.getvalue(), "stderr": sys.stderr.getvalue()}


def main():
    # Nobody waits for the copies.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen(64)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            with connection, connection.makefile("rw", encoding="utf-8", errors="surrogateescape") as line:
                call = json.loads(line.readline())
                line.write(json.dumps(answer(call)) + "\n")
                line.flush()
            os._exit(0)
        connection.close()


main()
