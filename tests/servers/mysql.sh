# A private Oracle MySQL 9 on loopback: TLS with its own authority, caching_sha2_password, three users.
# Source it after common.sh.
#
# Debian's stable releases have no MySQL. Its unstable one has: the packages are unpacked into
# .servers/mysql and run with the C library that came along, so nothing of the machine changes.
# shellcheck shell=bash

# shellcheck source=tests/servers/lib/mysql-family.sh
source "$ROOT/tests/servers/lib/mysql-family.sh"

MYSQL_ROOT=$ROOT/.servers/mysql

# mysql_ready: unpacks MySQL, unless it is there. Where it cannot be had, tests on it are left out.
# RIVET_TEST_MYSQL_MISSING says so to those who come after.
mysql_ready() {
    [[ ! -x $MYSQL_ROOT/usr/sbin/mysqld && ! ${RIVET_TEST_MYSQL_MISSING:-} ]] || return 0
    (
        flock 9
        [[ ! -x $MYSQL_ROOT/usr/sbin/mysqld ]] || exit 0
        mysql_unpack
    ) 9>"$ROOT/.servers/mysql.lock" && return
    export RIVET_TEST_MYSQL_MISSING="MySQL cannot be had here (.servers/mysql.log says why); MariaDB stands in for it"
    say "skipped: $RIVET_TEST_MYSQL_MISSING"
}

mysql_unpack() {
    local apt=$ROOT/.servers/sid mirror package options
    [[ $(uname -m) == x86_64 ]] && command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    say "unpacking MySQL into .servers/mysql"
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
        awk '$2 == "bookworm" || $2 == "trixie" { print $1; exit }')
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/parts"
    touch "$apt/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" >"$apt/sid.list"
    options=(-o "Dir::Etc::sourcelist=$apt/sid.list" -o "Dir::Etc::sourceparts=$apt/parts"
        -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o "Dir::State::status=$apt/status"
        -o APT::Install-Recommends=0 -o Debug::NoLocking=1 -o APT::Sandbox::User=root)
    {
        apt-get "${options[@]}" update
        apt-get "${options[@]}" -y -d install mysql-server-core
        rm -rf "$MYSQL_ROOT.new"
        mkdir "$MYSQL_ROOT.new"
        for package in "$apt"/cache/archives/*.deb; do dpkg-deb -x "$package" "$MYSQL_ROOT.new"; done
        rm -rf "$apt" "$MYSQL_ROOT.new"/usr/share/{doc,man,locale,perl}
        mv "$MYSQL_ROOT.new" "$MYSQL_ROOT"
    } >"$ROOT/.servers/mysql.log" 2>&1
}

# mysql_serve: the server of a test run, or with KEEP the bench's, exported as RIVET_TEST_MYSQL_*.
mysql_serve() {
    local user folder settings=()
    [[ ! ${RIVET_TEST_MYSQL_MISSING:-} ]] || return 0
    user=$(id -un)
    if $KEEP; then
        folder=$ROOT/.servers/bench-mysql
        mkdir -p "$folder"
        settings=("${FAMILY_BENCH[@]}" --skip-log-bin --innodb-redo-log-capacity=2G)
    else
        folder=$(mktemp -d "$DATA/mysql.XXXXXX")
        FOLDERS+=("$folder")
        settings=(--innodb-buffer-pool-size=64M --log-bin=binlog --server-id=1)
    fi
    mysql_common=("$MYSQL_ROOT/usr/lib64/ld-linux-x86-64.so.2" --library-path
        "$MYSQL_ROOT/usr/lib/x86_64-linux-gnu:$MYSQL_ROOT/usr/lib" "$MYSQL_ROOT/usr/sbin/mysqld")
    local base=(--basedir="$MYSQL_ROOT/usr" --lc-messages-dir="$MYSQL_ROOT/usr/share/mysql" --user="$user")
    if [[ ! -d $folder/db/mysql ]]; then
        certificates "$folder"
        family_users "WITH caching_sha2_password" "BY '$FAMILY_PASSWORD'" >"$folder/users.sql"
        "${mysql_common[@]}" --no-defaults "${base[@]}" --datadir="$folder/db" --initialize-insecure \
            >"$folder/install.log" 2>&1 || { cat "$folder/install.log" >&2; die "mysqld --initialize failed"; }
        settings+=(--init-file="$folder/users.sql")
    fi
    FAMILY_PROGRAM=("${mysql_common[@]}")
    family_start MYSQL "$folder" "$user" "" "${base[@]}" --mysqlx=OFF "${settings[@]}"
}
