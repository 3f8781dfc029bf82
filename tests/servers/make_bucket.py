"""Makes the bucket of a store that is starting, and so waits until it serves.

usage: make_bucket.py s3|gcs|azure PID; the store's RIVET_TEST_* variables say where it is."""

import json
import os
import sys
import time
import urllib.parse
import urllib.request

kind, pid = sys.argv[1], int(sys.argv[2])


def make():
    environment = lambda name: os.environ[f"RIVET_TEST_{kind.upper()}_{name}"]
    endpoint, bucket = environment("ENDPOINT"), environment("BUCKET")
    host = urllib.parse.urlsplit(endpoint).netloc
    if kind == "s3":
        from pyarrow.fs import S3FileSystem

        S3FileSystem(
            access_key=environment("ACCESS_KEY"), secret_key=environment("SECRET_KEY"), endpoint_override=host, scheme="http",
            region="us-east-1", allow_bucket_creation=True, connect_timeout=2, request_timeout=10,
        ).create_dir(bucket)
    elif kind == "azure":
        from pyarrow.fs import AzureFileSystem

        AzureFileSystem(
            account_name=environment("ACCOUNT"), account_key=environment("KEY"), blob_storage_authority=host,
            dfs_storage_authority=host, blob_storage_scheme="http", dfs_storage_scheme="http",
        ).create_dir(bucket)
    else:
        request = urllib.request.Request(
            f"{endpoint}/storage/v1/b?project=test", json.dumps({"name": bucket}).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {environment('TOKEN')}"},
        )
        urllib.request.urlopen(request, timeout=10).read()


deadline = time.monotonic() + 60
while True:
    try:
        make()
        break
    except Exception as error:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            sys.exit("the server ended")
        if time.monotonic() > deadline:
            sys.exit(f"{type(error).__name__}: {error}")
        time.sleep(0.2)
