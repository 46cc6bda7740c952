#!/usr/bin/env bash
# The MLflow server of a team: its record in a database, artifacts in a folder beside it.
#
#   deploy/mlflow-server.sh DATABASE_URL FOLDER [PORT]
#
# DATABASE_URL is postgresql+psycopg://USER@HOST:PORT/mlflow, the password in PGPASSWORD. It stays
# in the foreground, on 127.0.0.1: it asks nobody for a password, so put a proxy that does before it
# if others are to reach it. Clients: MLFLOW_TRACKING_URI=http://127.0.0.1:PORT
set -euo pipefail

[ $# -ge 2 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }

# One worker serves dozens of studies: each writes in batches, from one thread. MLflow's job runner
# (700 MB, half a minute at the start) is for its evaluation jobs, which nothing here asks for.
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
exec mlflow server --host 127.0.0.1 --port "${3:-5000}" --workers 1 \
    --backend-store-uri "$1" --artifacts-destination "$2"
