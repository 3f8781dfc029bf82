# The project's own TDS server, which stands in for SQL Server; or the server that the user names.
# Source it after common.sh.
# shellcheck shell=bash

# The password of every login there.
TDS_PASSWORD=Secret_1

# tds_ready: finds what makes its certificates, and builds the server unless RIVET_TEST_TDS says where it is.
tds_ready() {
    [[ ${RIVET_TEST_MSSQL_URL:-} ]] && return
    installed openssl openssl
    TDS_PROGRAM=${RIVET_TEST_TDS:-${CARGO_TARGET_DIR:-$ROOT/target}/debug/rivet-tds}
    [[ ${RIVET_TEST_TDS:-} ]] && return
    cargo build --quiet --manifest-path "$ROOT/Cargo.toml" -p rivet-tds || die "rivet-tds could not be built"
}

# tds_serve: exports RIVET_TEST_MSSQL_URL and RIVET_TEST_MSSQL_CA, unless the user named a server of
# his own. RIVET_TEST_MSSQL_REQUIRED and RIVET_TEST_MSSQL_NONE are the addresses of the same server
# where it insists on encryption, and where it has none.
tds_serve() {
    [[ ${RIVET_TEST_MSSQL_URL:-} ]] && return
    [[ -x $TDS_PROGRAM ]] || die "$TDS_PROGRAM is not there: cargo build --workspace"
    local folder
    folder=$(mktemp -d "$DATA/tds.XXXXXX")
    FOLDERS+=("$folder")
    tds_certificates "$folder"
    # Its own session, so that Ctrl-C reaches it only through us, and a parent-death signal, so that
    # it ends even if we are killed.
    # A shell without job control starts what it leaves behind deaf to INT; the server must hear it.
    setsid env --default-signal=INT setpriv --pdeathsig INT "$TDS_PROGRAM" --folder "$folder/db" --password "$TDS_PASSWORD" \
        --certificate "$folder/server.crt" --key "$folder/server.key" --ready "$folder/ready" \
        --also 127.0.0.2 --listen 127.0.0.1:0=optional --listen 127.0.0.1:0=required --listen 127.0.0.1:0=none \
        </dev/null >"$folder/log" 2>&1 &
    TDS_PID=$!
    SERVERS+=("$TDS_PID")
    tds_wait "$folder" || { cat "$folder/log" >&2; die "the TDS server does not start"; }
    export RIVET_TEST_MSSQL_URL RIVET_TEST_MSSQL_CA=$folder/ca.crt RIVET_TEST_MSSQL_PID=$TDS_PID
    export RIVET_TEST_MSSQL_REQUIRED RIVET_TEST_MSSQL_NONE
    RIVET_TEST_MSSQL_URL=mssql://sa:$TDS_PASSWORD@$(sed -n 1p "$folder/ready")/master
    RIVET_TEST_MSSQL_REQUIRED=$(sed -n 2p "$folder/ready")
    RIVET_TEST_MSSQL_NONE=$(sed -n 3p "$folder/ready")
}

tds_wait() {
    local tenth
    for ((tenth = 0; tenth < 300; tenth++)); do
        kill -0 "$TDS_PID" 2>/dev/null || return 1
        [[ -f $1/ready ]] && return
        sleep 0.1
    done
    return 1
}

# An authority, a server certificate for localhost and 127.0.0.1 (not for 127.0.0.2), and an
# authority that signed nothing.
tds_certificates() {
    local folder=$1
    {
        openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj '/CN=rivet test authority' \
            -keyout "$folder/ca.key" -out "$folder/ca.crt"
        openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj '/CN=another authority' \
            -keyout "$folder/other-ca.key" -out "$folder/other-ca.crt"
        openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout "$folder/server.key" -out "$folder/server.csr"
        printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n' >"$folder/server.ext"
        openssl x509 -req -in "$folder/server.csr" -CA "$folder/ca.crt" -CAkey "$folder/ca.key" -CAcreateserial \
            -days 3650 -extfile "$folder/server.ext" -out "$folder/server.crt"
    } >"$folder/certificates.log" 2>&1 || { cat "$folder/certificates.log" >&2; die "openssl failed"; }
    chmod 600 "$folder"/*.key
}
