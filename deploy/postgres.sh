#!/usr/bin/env bash
# A PostgreSQL of one's own, for tests and small teams: Optuna's studies and MLflow's record.
#
#   deploy/postgres.sh start FOLDER [PORT]   make it if need be, start it, print the port
#   deploy/postgres.sh stop FOLDER
#
# It listens on 127.0.0.1 only, on a free port unless one is given, and on no socket. The user and
# both databases are called diffrec and mlflow (user: diffrec); the password is made once and lies
# in FOLDER/password: PGPASSWORD=$(cat FOLDER/password).
# Needs Debian's package postgresql (or initdb and pg_ctl in the path). Works for root, for whom
# the server runs as the user postgres, and for anyone else.
set -euo pipefail

fail() { echo "postgres.sh: $1" >&2; exit "${2:-1}"; }

usage() { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }

find_programs() {
    local newest
    newest=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -1)
    PATH=$newest:$PATH
    command -v initdb >/dev/null && command -v pg_ctl >/dev/null ||
        fail "PostgreSQL is not installed; apt-get install postgresql." 3
}

# PostgreSQL refuses to run as root.
as_owner() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=postgres --regid=postgres --init-groups env PATH="$PATH" "$@"
    else
        "$@"
    fi
}

# Any port that nothing listens on: the kernel picks one from its own range for outgoing calls, so
# one below that is taken here.
free_port() {
    local port
    for _ in $(seq 50); do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
    fail "no free port was found; give one."
}

make_server() {
    mkdir -p "$folder"
    (umask 077; od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$folder/password")
    [ "$(id -u)" != 0 ] || chown -R postgres:postgres "$folder"
    as_owner initdb --pgdata="$folder/data" --username=diffrec --pwfile="$folder/password" \
        --auth=scram-sha-256 --encoding=UTF8 --no-locale >"$log" 2>&1 || show_log
    # Each Ray worker needs none and MLflow a handful of connections; nothing else calls.
    cat >>"$folder/data/postgresql.conf" <<'SETTINGS'
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
SETTINGS
}

make_databases() {
    local name
    for name in diffrec mlflow; do
        PGPASSWORD=$(cat "$folder/password") psql --no-psqlrc --quiet --host=127.0.0.1 \
            --port="$port" --username=diffrec --dbname=postgres \
            --command="CREATE DATABASE $name" 2>>"$log" || show_log
    done
    touch "$folder/made"
}

show_log() { tail -5 "$log" >&2; fail "PostgreSQL did not start; see $log."; }

start() {
    find_programs
    log=$(mktemp)
    [ -d "$folder/data" ] || make_server
    port=${port:-$(free_port)}
    as_owner pg_ctl start --silent --wait --pgdata="$folder/data" --log="$folder/server.log" \
        --options="-p $port" >>"$log" 2>&1 || { log=$folder/server.log; show_log; }
    [ -e "$folder/made" ] || make_databases
    rm -f "$log"
    echo "$port"
}

stop() {
    find_programs
    [ -d "$folder/data" ] || fail "there is no server in $folder."
    as_owner pg_ctl stop --silent --wait --mode=fast --pgdata="$folder/data"
}

[ $# -ge 2 ] || usage
folder=$(realpath --canonicalize-missing "$2") port=${3:-}
case $1 in
    start) start ;;
    stop) stop ;;
    *) usage ;;
esac
