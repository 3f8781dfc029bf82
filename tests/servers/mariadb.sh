# A private MariaDB on loopback: TLS with its own authority, native passwords, three users.
# Source it after common.sh.
# shellcheck shell=bash

# shellcheck source=tests/servers/lib/mysql-family.sh
source "$ROOT/tests/servers/lib/mysql-family.sh"

# mariadb_ready: makes sure that Debian's MariaDB server is there.
mariadb_ready() {
    installed mariadbd mariadb-server
    installed mariadb mariadb-client
}

# mariadb_serve: the server of a test run, or with KEEP the bench's, exported as RIVET_TEST_MARIADB_*.
mariadb_serve() {
    local user folder settings=()
    user=$(mariadb_user)
    if $KEEP; then
        folder=$ROOT/.servers/bench-mariadb
        if [[ ! -d $folder ]]; then mv "$(reachable_folder "$user" bench-mariadb "$ROOT/.servers")" "$folder"; fi
        settings=("${FAMILY_BENCH[@]}" --skip-log-bin)
    else
        folder=$(reachable_folder "$user" mariadb)
        FOLDERS+=("$folder")
        settings=(--innodb-buffer-pool-size=64M --log-bin=binlog --server-id=1)
    fi
    if [[ ! -d $folder/db/mysql ]]; then
        certificates "$folder"
        family_users "WITH mysql_native_password" "USING PASSWORD('$FAMILY_PASSWORD')" >"$folder/users.sql"
        [[ $(id -u) != 0 ]] || chown -R "$user" "$folder"
        as_user "$user" mariadb-install-db --no-defaults --datadir="$folder/db" --skip-test-db \
            --auth-root-authentication-method=normal >"$folder/install.log" 2>&1 ||
            { cat "$folder/install.log" >&2; die "mariadb-install-db failed"; }
        settings+=(--init-file="$folder/users.sql")
    fi
    family_start MARIADB "$folder" "$user" "$(command -v mariadbd)" "${settings[@]}"
}

mariadb_user() {
    if [[ $(id -u) != 0 ]]; then id -un; return; fi
    id -u mysql >/dev/null 2>&1 || useradd --system --no-create-home --shell /usr/sbin/nologin mysql
    echo mysql
}
