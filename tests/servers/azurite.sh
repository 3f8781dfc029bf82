# A private Azurite on loopback: Azure Blob Storage's protocol. Source it after common.sh.
# shellcheck shell=bash

AZURITE_VERSION=3.35.0
AZURITE_KEY=cml2ZXRzZWNyZXRrZXkwMTIzNDU2Nzg5MDEyMzQ1Njc4OQ==

azurite_ready() {
    installed node nodejs
    installed npm npm
    local folder=$ROOT/.servers/azurite-$AZURITE_VERSION
    AZURITE=$folder/node_modules/.bin/azurite-blob
    [[ -x $AZURITE ]] && return
    say "installing azurite $AZURITE_VERSION"
    mkdir -p "$folder"
    (
        flock 9
        [[ -x $AZURITE ]] || npm install --prefix "$folder" --no-audit --no-fund --ignore-scripts \
            "azurite@$AZURITE_VERSION" >"$folder/npm.log" 2>&1 || { cat "$folder/npm.log" >&2; die "npm install azurite failed"; }
    ) 9>"$ROOT/.servers/npm.lock"
}

# azurite_serve: exports RIVET_TEST_AZURE_*.
azurite_serve() {
    local folder port attempt
    folder=$(mktemp -d "$DATA/azurite.XXXXXX")
    FOLDERS+=("$folder")
    for attempt in 1 2 3; do
        port=$(free_port)
        AZURITE_ACCOUNTS="rivetacct:$AZURITE_KEY" AZURITE_TELEMETRY_OPTOUT=1 \
            setsid setpriv --pdeathsig INT "$AZURITE" --blobHost 127.0.0.1 --blobPort "$port" -l "$folder" --silent \
            --disableTelemetry --skipApiVersionCheck </dev/null >"$folder/log" 2>&1 &
        SERVERS+=("$!")
        export RIVET_TEST_AZURE_ENDPOINT=http://127.0.0.1:$port/rivetacct RIVET_TEST_AZURE_BUCKET=rivet \
            RIVET_TEST_AZURE_ACCOUNT=rivetacct RIVET_TEST_AZURE_KEY=$AZURITE_KEY
        if "$PYTHON" "$ROOT/tests/servers/make_bucket.py" azure $! 2>"$folder/ready"; then return; fi
        say "Azurite did not start on port $port, attempt $attempt"
    done
    tail -n 20 "$folder/log" "$folder/ready" >&2
    die "Azurite does not start"
}
