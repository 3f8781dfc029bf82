# The independent readers, loaded once. Source it after common.sh.
# shellcheck shell=bash

readers_ready() { :; }

# readers_serve: exports RIVET_TEST_READERS, a socket.
readers_serve() {
    local folder tenth
    folder=$(mktemp -d "$DATA/readers.XXXXXX")
    FOLDERS+=("$folder")
    setsid setpriv --pdeathsig KILL "$PYTHON" "$ROOT/tests/readers/serve.py" "$folder/socket" </dev/null >"$folder/log" 2>&1 &
    TERM_SERVERS+=("$!")
    export RIVET_TEST_READERS=$folder/socket
    for ((tenth = 0; tenth < 600; tenth++)); do
        if [[ -S $folder/socket ]]; then return; fi
        kill -0 "$!" 2>/dev/null || break
        sleep 0.1
    done
    cat "$folder/log" >&2
    die "the readers do not start"
}
