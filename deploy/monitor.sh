#!/usr/bin/env bash
# Prometheus, and Grafana where it is installed, for the studies of this user: Ray's gauges and ours.
#
#   deploy/monitor.sh FOLDER [PORT]
#
# FOLDER keeps what they collect and the settings that are written here. Both listen on 127.0.0.1
# only: Prometheus on PORT (9090, where Ray's Metrics page looks for it), Grafana on 3000. They stay
# in the foreground until Ctrl-C. Start it before or after a study; it finds studies on this machine
# and a Ray cluster whose head this is. Needs Debian's package prometheus (or prometheus in the
# path); Grafana is not in Debian: https://grafana.com/docs/grafana/latest/setup-grafana/installation
set -euo pipefail

fail() { echo "monitor.sh: $1" >&2; exit "${2:-1}"; }

[ $# -ge 1 ] || { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }
command -v prometheus >/dev/null || fail "Prometheus is not installed; apt-get install prometheus." 3

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
port=${2:-9090}
local_ray=${RAY_TMPDIR:-${TMPDIR:-/tmp}}/diffrec-$(id -u)/ray

# A study without a cluster announces its gauges in a folder of this user's own.
sed "s|files: \[|files: [\"$local_ray/prom_metrics_service_discovery.json\", |" \
    "$here/prometheus.yml" >"$folder/prometheus.yml"

processes=()
stop() { [ ${#processes[@]} -eq 0 ] || kill "${processes[@]}" 2>/dev/null || true; wait; }
trap stop EXIT
trap 'exit 0' INT TERM

prometheus --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/prometheus" \
    --web.listen-address="127.0.0.1:$port" --log.level=warn &
processes+=($!)
echo "Prometheus http://127.0.0.1:$port"

if command -v grafana-server >/dev/null; then
    mkdir -p "$folder/grafana/provisioning/datasources" "$folder/grafana/provisioning/dashboards" \
        "$folder/grafana/dashboards"
    cp "$here/grafana-dashboard.json" "$folder/grafana/dashboards/diffrec.json"
    cat >"$folder/grafana/provisioning/datasources/prometheus.yml" <<SOURCE
apiVersion: 1
datasources:
  - {name: Prometheus, type: prometheus, access: proxy, url: "http://127.0.0.1:$port", isDefault: true}
SOURCE
    # Ray writes its own dashboards when it starts; without a study there are none yet.
    cat >"$folder/grafana/provisioning/dashboards/studies.yml" <<BOARDS
apiVersion: 1
providers:
  - {name: diffrec, type: file, options: {path: "$folder/grafana/dashboards"}}
  - {name: ray, type: file, options: {path: "$local_ray/session_latest/metrics/grafana/dashboards"}}
BOARDS
    # Ray's Metrics page shows Grafana in a frame, to whoever can reach the loopback address.
    GF_SERVER_HTTP_ADDR=127.0.0.1 GF_SERVER_HTTP_PORT=3000 GF_PATHS_DATA="$folder/grafana" \
        GF_PATHS_PROVISIONING="$folder/grafana/provisioning" GF_SECURITY_ALLOW_EMBEDDING=true \
        GF_AUTH_ANONYMOUS_ENABLED=true GF_ANALYTICS_REPORTING_ENABLED=false \
        grafana-server --homepath "${GRAFANA_HOME:-/usr/share/grafana}" \
        >"$folder/grafana/grafana.log" 2>&1 &
    processes+=($!)
    echo "Grafana    http://127.0.0.1:3000 (dashboard: diffrec-tune)"
else
    echo "Grafana    is not installed; Prometheus alone shows gauges at http://127.0.0.1:$port/graph"
fi

# One that ends takes the other with it: the command says so, and is over.
wait -n "${processes[@]}" || fail "a server ended; is port $port taken, or $folder another's?"
