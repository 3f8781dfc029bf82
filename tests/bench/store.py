"""The bench of an object store: PostgreSQL's lineitem to SeaweedFS over S3 and to the local disk, in turn."""

import os
import socket
import subprocess
import threading
import time
import urllib.parse

import data
import postgres
import tools
from postgres import FOLDER, SERVER, expected, warm

PREFIX = "bench"
BARS = [("wall_s", "s3 1", "local 1", 1.15), ("wall_s", "s3 4", "local 4", 1.15)]


def load(options):
    return {"lineitem": postgres.load_lineitem(postgres.url(), "lineitem", options.scale)}


def contestants(options, table, rows, scratch):
    def rivet(workers, destination):
        return tools.rivet(options.rivet, scratch, "postgres", postgres.url(), table, workers, destination=destination)

    local, s3 = "{{type: local, path: {folder}}}", destination(os.environ["RIVET_TEST_S3_ENDPOINT"])
    return [
        ("local 1", rivet(1, local)),
        ("s3 1", rivet(1, s3), fetch),
        ("local 4", rivet(4, local)),
        ("s3 4", rivet(4, s3), fetch),
    ]


def destination(endpoint):
    os.environ["STORE_USER"] = os.environ["RIVET_TEST_S3_ACCESS_KEY"]
    os.environ["STORE_SECRET"] = os.environ["RIVET_TEST_S3_SECRET_KEY"]
    bucket = os.environ["RIVET_TEST_S3_BUCKET"]
    login = "access_key_env: STORE_USER, secret_key_env: STORE_SECRET"
    return f"{{{{type: s3, bucket: {bucket}, prefix: {PREFIX}, endpoint: '{endpoint}', {login}}}}}"


def fetch(folder):
    """Takes everything out of the store: the next run finds it empty."""
    from pyarrow.fs import FileSelector, LocalFileSystem, S3FileSystem, copy_files

    store = S3FileSystem(
        access_key=os.environ["STORE_USER"],
        secret_key=os.environ["STORE_SECRET"],
        endpoint_override=urllib.parse.urlsplit(os.environ["RIVET_TEST_S3_ENDPOINT"]).netloc,
        scheme="http",
        region="us-east-1",
    )
    root = f"{os.environ['RIVET_TEST_S3_BUCKET']}/{PREFIX}"
    copy_files(root, folder, source_filesystem=store, destination_filesystem=LocalFileSystem())
    for file in store.get_file_info(FileSelector(root, recursive=True)):
        if file.is_file:
            store.delete_file(file.path)


def after(options, results, scratch):
    """Looks at the wire: how much of the file had left before the source's last row came."""
    source = Wire(urllib.parse.urlsplit(postgres.url()))
    store = Wire(urllib.parse.urlsplit(os.environ["RIVET_TEST_S3_ENDPOINT"]))
    make = tools.rivet(
        options.rivet, scratch, "postgres", source.address, "lineitem", 1, destination=destination(store.address)
    )
    folder = os.path.join(scratch, "wire")
    os.makedirs(folder, exist_ok=True)
    start = time.monotonic()
    environment = {**os.environ, "TZ": "UTC", "RIVET_PLUGIN_PATH": os.path.dirname(os.path.abspath(options.rivet))}
    subprocess.run(make(folder), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=scratch, env=environment)
    fetch(folder)
    # The rows came over the connection that received most.
    rows = max((events for _, events in source.connections), key=lambda events: events[-1][1] if events else 0)
    sent = sorted(moment for uploads, _ in store.connections for moment in steps(uploads))
    last = rows[-1][0]
    first = next((moment for moment, _, total in totals(sent) if total > 1 << 20), None)
    before = sum(size for moment, size in sent if moment <= last)
    whole = sum(size for _, size in sent)
    print("\nthe wire, one worker, through two proxies (not timed above)")
    if first is None:
        print(f"  all of it was {whole / 1e6:.1f} MB: too little for a part to be sent before the last row")
        return
    word = "before" if first < last else "AFTER"
    print(f"  first megabyte to the store after {first - start:.2f} s, {word} the source's last row at {last - start:.2f} s;")
    print(f"  by then {before / 1e6:.1f} of {whole / 1e6:.1f} MB had been sent")


def steps(events):
    """(moment, running total) -> (moment, bytes of that step)."""
    return [(moment, total - (events[number - 1][1] if number else 0)) for number, (moment, total) in enumerate(events)]


def totals(sizes):
    total = 0
    for moment, size in sizes:
        total += size
        yield moment, size, total


class Wire:
    """A proxy that writes down when which bytes passed, for each connection and direction."""

    def __init__(self, url):
        self.target = (url.hostname, url.port)
        self.connections = []
        listener = socket.create_server(("127.0.0.1", 0))
        here = f"127.0.0.1:{listener.getsockname()[1]}"
        login = url.netloc.rpartition("@")[0]
        self.address = url._replace(netloc=f"{login}@{here}" if login else here).geturl()
        threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(self.target)
            up, down = [], []
            self.connections.append((up, down))
            threading.Thread(target=self.pass_on, args=(client, server, up), daemon=True).start()
            threading.Thread(target=self.pass_on, args=(server, client, down), daemon=True).start()

    @staticmethod
    def pass_on(source, target, events):
        total = 0
        try:
            while piece := source.recv(1 << 18):
                total += len(piece)
                events.append((time.monotonic(), total))
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other side has hung up
