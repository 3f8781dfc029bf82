# Shared by the scripts that start servers. Source it; it starts nothing by itself.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# Where the servers of a test run keep their data. `tests/run` names a place where no fsync waits.
DATA=${RIVET_TEST_DATA:-$ROOT/.servers}

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# installed COMMAND PACKAGE: makes sure that COMMAND exists, from Debian's PACKAGE if need be.
installed() {
    command -v "$1" >/dev/null && return
    [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || die "$1 is missing: install $2"
    apt_install "$2"
}

apt_install() {
    say "installing $*"
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"; } \
        >"$ROOT/.servers/apt.log" 2>&1 || die "apt-get install $* failed, see .servers/apt.log"
}

# python_ready REQUIREMENTS...: the checkout's own venv with exactly these pinned packages.
python_ready() {
    local venv=$ROOT/.venv wanted have
    wanted=$(cat "$@" | sha256sum)
    have=$(cat "$venv/.requirements" 2>/dev/null || true)
    PYTHON=$venv/bin/python
    [[ $have == *"$wanted"* && -x $PYTHON ]] && return
    installed python3 python3
    python3 -c 'import venv, ensurepip' 2>/dev/null || apt_install python3-venv
    say "installing Python packages into .venv"
    (
        flock 9
        [[ -x $PYTHON ]] || python3 -m venv "$venv"
        local files=() file
        for file in "$@"; do files+=(-r "$file"); done
        "$PYTHON" -m pip install --quiet --disable-pip-version-check "${files[@]}"
        echo "$wanted" >>"$venv/.requirements"
    ) 9>"$ROOT/.servers/venv.lock"
}

free_port() {
    "$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# reachable_folder USER NAME [PLACE]: a new folder under PLACE ($DATA) that USER can reach, or else one under
# the system's temporary folder (a checkout in a closed home can be entered by its owner only).
reachable_folder() {
    local folder place=${3:-$DATA}
    folder=$(mktemp -d "$place/$2.XXXXXX")
    chmod 755 "$folder"
    if ! as_user "$1" test -x "$folder"; then
        rmdir "$folder"
        folder=$(mktemp -d "${TMPDIR:-/tmp}/rivet-$2.XXXXXX")
        chmod 755 "$folder"
        as_user "$1" test -x "$folder" || die "user $1 can reach neither $place nor $folder"
    fi
    echo "$folder"
}

# as_user USER COMMAND...: replaces itself when it is the last thing a subshell does.
as_user() {
    local user=$1
    shift
    if [[ $(id -un) == "$user" ]]; then "$@"; else setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups "$@"; fi
}

# The process ids of the servers started (those of the second list end at SIGTERM, not at SIGINT; those of the third
# take ten seconds for what a KILL does as well, where nothing is kept), and the folders that go with them.
SERVERS=()
TERM_SERVERS=()
KILL_SERVERS=()
FOLDERS=()

# stop_servers: for a trap on EXIT. Ends what this script started, by pid, and nothing else.
stop_servers() {
    local pid tenth
    # The shell would tell of each that was killed.
    exec 2>/dev/null
    for pid in "${SERVERS[@]}"; do kill -INT "$pid" 2>/dev/null || true; done
    for pid in "${TERM_SERVERS[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in "${KILL_SERVERS[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    for ((tenth = 0; tenth < 100; tenth++)); do
        kill -0 "${SERVERS[@]}" "${TERM_SERVERS[@]}" 2>/dev/null || break
        sleep 0.1
    done
    # One that waits for its clients for ever has waited enough.
    for pid in "${SERVERS[@]}" "${TERM_SERVERS[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    for pid in "${SERVERS[@]}" "${TERM_SERVERS[@]}"; do wait "$pid" 2>/dev/null || true; done
    if ((${#FOLDERS[@]})); then rm -rf "${FOLDERS[@]}"; fi
}

# certificates FOLDER: an authority, a server certificate for localhost and 127.0.0.1 (not for 127.0.0.2), and an
# authority that signed nothing.
certificates() {
    local folder=$1
    installed openssl openssl
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
