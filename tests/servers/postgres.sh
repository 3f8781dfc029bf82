# A private PostgreSQL on loopback: TLS with its own authority, SCRAM passwords, three users.
# Source it after common.sh.
# shellcheck shell=bash

# The passwords of a server that listens on loopback for the length of a test run.
POSTGRES_PASSWORD=secret

# postgres_ready: finds PostgreSQL 15's programs (or the newest there), installing Debian's if there are none.
postgres_ready() {
    postgres_find && return
    [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || die "no PostgreSQL in /usr/lib/postgresql: install postgresql"
    # Debian's package starts a cluster of its own on install; nobody asked for that one.
    if [[ ! -e /etc/postgresql-common/createcluster.conf ]]; then
        mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
    fi
    apt_install postgresql
    postgres_find || die "PostgreSQL was installed, but /usr/lib/postgresql/*/bin/postgres is not there"
}

# postgres_serve: the server of a test run, or with KEEP the bench's, exported as RIVET_TEST_POSTGRES_*.
postgres_serve() {
    local user folder
    user=$(postgres_user)
    if $KEEP; then
        folder=$ROOT/.servers/bench
        if [[ ! -d $folder ]]; then mv "$(reachable_folder "$user" bench "$ROOT/.servers")" "$folder"; fi
        as_user "$user" test -x "$folder" || die "user $user cannot enter $folder: move the checkout to where it can"
        postgres_start "$folder" shared_buffers=1GB wal_level=minimal max_wal_senders=0 max_wal_size=4GB \
            maintenance_work_mem=256MB jit=off
    else
        folder=$(reachable_folder "$user" tests)
        FOLDERS+=("$folder")
        postgres_start "$folder" wal_level=logical
    fi
    export RIVET_TEST_POSTGRES_URL=$POSTGRES_URL RIVET_TEST_POSTGRES_CA=$POSTGRES_CA RIVET_TEST_POSTGRES_PID=$POSTGRES_PID
    export PATH=$POSTGRES_BIN:$PATH
}

postgres_find() {
    local bin
    for bin in /usr/lib/postgresql/15/bin $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
        [[ -x $bin/postgres && -x $bin/initdb ]] && POSTGRES_BIN=$bin && return
    done
    return 1
}

# PostgreSQL refuses to run as root.
postgres_user() {
    if [[ $(id -u) != 0 ]]; then id -un; return; fi
    id -u postgres >/dev/null 2>&1 || useradd --system --no-create-home --shell /usr/sbin/nologin postgres
    echo postgres
}

# postgres_start FOLDER [SETTING=VALUE...]: starts a server whose data are FOLDER/db, made if absent.
# Sets POSTGRES_URL (the superuser's), POSTGRES_CA, POSTGRES_PORT and POSTGRES_PID.
postgres_start() {
    local folder=$1 user log attempt setting settings=()
    shift
    user=$(postgres_user)
    log=$folder/log
    [[ -f $folder/db/PG_VERSION ]] || postgres_create "$folder" "$user"
    for setting in "$@"; do settings+=(-c "$setting"); done
    for attempt in 1 2 3; do
        POSTGRES_PORT=$(free_port)
        # Its own session, so that Ctrl-C reaches it only through us, and a parent-death signal, so
        # that it ends even if we are killed.
        setsid setpriv $([[ $(id -un) == "$user" ]] || echo "--reuid $user --regid $(id -g "$user") --clear-groups") \
            --pdeathsig INT "$POSTGRES_BIN/postgres" -D "$folder/db" -p "$POSTGRES_PORT" "${settings[@]}" \
            </dev/null >"$log" 2>&1 &
        POSTGRES_PID=$!
        SERVERS+=("$POSTGRES_PID")
        if postgres_wait "$folder"; then
            POSTGRES_URL=postgresql://postgres:$POSTGRES_PASSWORD@127.0.0.1:$POSTGRES_PORT/postgres
            POSTGRES_CA=$folder/ca.crt
            return
        fi
        wait "$POSTGRES_PID" || true
        say "PostgreSQL did not start on port $POSTGRES_PORT, attempt $attempt"
    done
    cat "$log" >&2
    die "PostgreSQL does not start"
}

# Ready when its pid file says so: eight lines, the last one the state.
postgres_wait() {
    local tenth
    for ((tenth = 0; tenth < 600; tenth++)); do
        kill -0 "$POSTGRES_PID" 2>/dev/null || return 1
        if [[ $(sed -n 8p "$1/db/postmaster.pid" 2>/dev/null) == ready* &&
            $(sed -n 1p "$1/db/postmaster.pid") == "$POSTGRES_PID" ]]; then return; fi
        sleep 0.1
    done
    kill -INT "$POSTGRES_PID"
    return 1
}

postgres_create() {
    local folder=$1 user=$2
    certificates "$folder"
    echo "$POSTGRES_PASSWORD" >"$folder/password"
    mkdir "$folder/db" "$folder/socket"
    [[ $(id -u) != 0 ]] || chown -R "$user" "$folder"
    (cd "$folder" && as_user "$user" "$POSTGRES_BIN/initdb" -D "$folder/db" -U postgres --pwfile="$folder/password" \
        -A scram-sha-256 -E UTF8 --locale=C --no-sync) >"$folder/initdb.log" 2>&1 ||
        { cat "$folder/initdb.log" >&2; die "initdb failed"; }
    cat >>"$folder/db/postgresql.conf" <<-SETTINGS
	listen_addresses = '127.0.0.1,127.0.0.2'
	unix_socket_directories = '$folder/socket'
	ssl = on
	ssl_cert_file = '$folder/server.crt'
	ssl_key_file = '$folder/server.key'
	fsync = off
	max_connections = 200
	SETTINGS
    cat >"$folder/db/pg_hba.conf" <<-RULES
	local     all all     scram-sha-256
	hostssl   all tlsonly 127.0.0.0/8 scram-sha-256
	hostnossl all tlsonly 127.0.0.0/8 reject
	host      all all     127.0.0.0/8 scram-sha-256
	RULES
    # `reader` may read what a test grants and nothing else; `tlsonly` is the same over TLS alone.
    as_user "$user" "$POSTGRES_BIN/postgres" --single -j -D "$folder/db" postgres >"$folder/roles.log" 2>&1 <<-SQL ||
	CREATE ROLE reader LOGIN PASSWORD '$POSTGRES_PASSWORD';

	CREATE ROLE tlsonly LOGIN PASSWORD '$POSTGRES_PASSWORD';

	SQL
        { cat "$folder/roles.log" >&2; die "the roles could not be made"; }
}
