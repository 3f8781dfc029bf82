# What MariaDB and MySQL have in common as test servers. Their own scripts source it.
# shellcheck shell=bash

# The password of every user of a server that listens on loopback for the length of a test run.
FAMILY_PASSWORD=secret

# A bench's server: the whole table in memory.
FAMILY_BENCH=(--innodb-buffer-pool-size=2G --innodb-flush-method=fsync)

# family_users PLUGIN SECRET: `reader` may read what a test grants and nothing else; `tlsonly` is the
# same over TLS alone; `root` may do everything. One statement a line: an init file wants it so.
family_users() {
    local user require
    for user in root reader tlsonly; do
        require=
        if [[ $user == tlsonly ]]; then require="REQUIRE SSL"; fi
        if [[ $1 == *native* ]]; then
            echo "CREATE USER IF NOT EXISTS '$user'@'%' IDENTIFIED BY '$FAMILY_PASSWORD' $require;"
        else
            echo "CREATE USER IF NOT EXISTS '$user'@'%' IDENTIFIED $1 $2 $require;"
        fi
    done
    # What a fresh MariaDB has besides: nearer matches than '%', without a password.
    echo "DROP USER IF EXISTS 'root'@'127.0.0.1', 'root'@'::1', ''@'localhost';"
    echo "ALTER USER 'root'@'localhost' IDENTIFIED BY '$FAMILY_PASSWORD';"
    echo "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;"
}

# family_start KIND FOLDER USER PROGRAM [SETTING...]: starts a server whose data are FOLDER/db, and
# exports RIVET_TEST_KIND_URL, _CA, _PID and _SOCKET. An empty PROGRAM means FAMILY_PROGRAM.
family_start() {
    local kind=$1 folder=$2 user=$3 program=("$4") port pid attempt
    [[ $4 ]] || program=("${FAMILY_PROGRAM[@]}")
    shift 4
    for attempt in 1 2 3; do
        port=$(free_port)
        rm -f "$folder/socket"
        # Its own session, so that Ctrl-C reaches it only through us, and a parent-death signal, so
        # that it ends even if we are killed.
        setsid setpriv $([[ $(id -un) == "$user" ]] || echo "--reuid $user --regid $(id -g "$user") --clear-groups") \
            --pdeathsig KILL "${program[@]}" --no-defaults "$@" --datadir="$folder/db" --port="$port" \
            --bind-address="127.0.0.1,127.0.0.2" --socket="$folder/socket" --pid-file="$folder/pid" \
            --ssl-ca="$folder/ca.crt" --ssl-cert="$folder/server.crt" --ssl-key="$folder/server.key" \
            --skip-name-resolve --max-connections=200 --max-allowed-packet=256M --secure-file-priv= \
            --innodb-flush-log-at-trx-commit=0 --sync-binlog=0 --character-set-server=utf8mb4 \
            </dev/null >"$folder/log" 2>&1 &
        pid=$!
        TERM_SERVERS+=("$pid")
        if family_wait "$pid" "$folder" "$port"; then
            export "RIVET_TEST_${kind}_URL=mysql://root:$FAMILY_PASSWORD@127.0.0.1:$port/mysql"
            export "RIVET_TEST_${kind}_CA=$folder/ca.crt" "RIVET_TEST_${kind}_PID=$pid"
            export "RIVET_TEST_${kind}_SOCKET=$folder/socket"
            return
        fi
        wait "$pid" || true
        say "$kind did not start on port $port, attempt $attempt"
    done
    cat "$folder/log" >&2
    die "$kind does not start"
}

# Ready when it greets on its port, which it does once the init file has been run.
family_wait() {
    local pid=$1 folder=$2 port=$3 tenth
    for ((tenth = 0; tenth < 900; tenth++)); do
        kill -0 "$pid" 2>/dev/null || return 1
        if [[ -S $folder/socket && -s $folder/pid ]] && "$PYTHON" -c '
import socket, sys
server = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1)
server.settimeout(1)
sys.exit(len(server.recv(5)) != 5)' "$port" 2>/dev/null; then return; fi
        sleep 0.1
    done
    kill -KILL "$pid"
    return 1
}
