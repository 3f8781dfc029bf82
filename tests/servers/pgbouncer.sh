# pgBouncer in transaction mode, in front of the PostgreSQL of postgres.sh, which comes first.
# shellcheck shell=bash

# What it needs: started before it, by the same `serve`.
PGBOUNCER_NEEDS=postgres

pgbouncer_ready() {
    # A bench measures the server, not the pooler.
    $KEEP || PATH=$PATH:/usr/sbin installed pgbouncer pgbouncer
}

# Two connections a database: clients must take turns on them.
pgbouncer_serve() {
    local user folder port tenth
    if $KEEP; then return; fi
    [[ ${POSTGRES_PORT:-} ]] || die "RIVET_TEST_SERVERS: pgbouncer needs postgres before it"
    user=$(postgres_user)
    folder=$(reachable_folder "$user" pgbouncer)
    FOLDERS+=("$folder")
    port=$(free_port)
    echo "\"postgres\" \"$POSTGRES_PASSWORD\"" >"$folder/users"
    cat >"$folder/ini" <<-SETTINGS
	[databases]
	* = host=127.0.0.1 port=$POSTGRES_PORT
	[pgbouncer]
	listen_addr = 127.0.0.1
	listen_port = $port
	unix_socket_dir =
	auth_type = scram-sha-256
	auth_file = $folder/users
	pool_mode = transaction
	default_pool_size = 2
	max_client_conn = 200
	server_idle_timeout = 5
	SETTINGS
    [[ $(id -u) != 0 ]] || chown -R "$user" "$folder"
    setsid setpriv $([[ $(id -un) == "$user" ]] || echo "--reuid $user --regid $(id -g "$user") --clear-groups") \
        --pdeathsig INT "$(PATH=$PATH:/usr/sbin command -v pgbouncer)" "$folder/ini" </dev/null >"$folder/log" 2>&1 &
    SERVERS+=("$!")
    for ((tenth = 0; tenth < 100; tenth++)); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            export RIVET_TEST_PGBOUNCER_URL=postgresql://postgres:$POSTGRES_PASSWORD@127.0.0.1:$port/postgres
            return
        fi
        sleep 0.1
    done
    cat "$folder/log" >&2
    die "pgBouncer does not start"
}
