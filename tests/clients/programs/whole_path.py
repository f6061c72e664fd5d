"""The real Claude Code and Codex play the whole path: from a repository with an outcome to a reported build.

    CLIENTS_NPM=FOLDER whole_path.py FOLDER_OF_THE_BUILT_PROGRAMS [--write]

The model is a script on loopback (`story.py`); the client, its tools, its sandbox, its guard and our programs are real. The person
decides the gate between two turns, with a passphrase. Ends with 1 when something is not as it should be. `--write` writes
`docs/client-transcripts.md` when all is.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from facts import facts
from network import loopback_up
from real_clients import ClaudeCode, Codex
from story import FILES, FORM, GATE, MIGRATION, SLUG, Edit, a_look_around, one_call, the_whole_path
from transcript_page import page

PAGE = Path(__file__).resolve().parents[3] / "docs" / "client-transcripts.md"
PROMPTS = ["See what there is to do in this repository, and do it.", "I have decided at the gate. Go on."]
AROUND = ["Look around.", "/mcp__outcome-runtime__weekly_review"]
MAX_CALLS = 10
# Bytes: near what our server gives at most (`crates/mcp/src/budget.rs`).
MIN_LONG = 9_000


def calls_of(servers):
    """The calls that arrived at our server, with their answers."""
    for messages in servers:
        answers = {message.get("id"): message for who, message in messages if who == "server" and "result" in message}
        yield from ((message["params"], answers[message["id"]]["result"]) for who, message in messages
                    if who == "client" and message.get("method") == "tools/call")


class Walk:
    """One client on the whole path, and what is known afterwards."""

    def __init__(self, client):
        self.client, self.signed_by_person, self.problems = client, 0, []
        before = self.decisions()
        self.model = client.play(the_whole_path, PROMPTS, self.decide)
        self.servers = list(client.messages())
        self.allowed = list(client.asked_person)
        self.n_decided_meanwhile = len(self.decisions()) - len(before)
        self.check()
        self.around = client.play(a_look_around(self.wordy_experiment()), AROUND, lambda: None)
        self.all_servers = list(client.messages())
        self.check_around()
        client.allowed = ["Read"]
        self.unasked = client.play(one_call, ["Look."], None)
        self.facts = facts(self)

    def decide(self):
        before = len(self.decisions())
        self.client.work.signed("gate", "decide", GATE, "--verdict", "approve")
        self.signed_by_person += len(self.decisions()) - before

    def decisions(self):
        """The lines of the log that rest on a decision."""
        log = map(json.loads, self.client.work.must("outcome-runtime", "audit", "export").splitlines())
        return [line for line in log if "decision" in line["payload"] or line["kind"] == "gate.decided"]

    def wordy_experiment(self):
        """What the person proposes, in many words."""
        text = self.client.work.must("outcome-runtime", "experiment", "propose", "--template")
        for old, new in (("Ask for fewer fields at sign-up", "Many words"), ("effect: 0.02 ", "effect: 0.05 "),
                         ("short-signup-form", "many-words"), ("src/signup/", "src/words/")):
            text = text.replace(old, new)
        text = re.sub(r"(?m)^(statement|mechanism|intervention_description): .*$", lambda m: f"{m.group(1)}: {'word ' * 790}", text)
        file = self.client.work.scratch / "hypothesis.yaml"
        file.write_text(text)
        said = self.client.work.must("outcome-runtime", "experiment", "propose", "--outcome", "signup-rate", "--file", file)
        assert "portfolio-many-words" in said, said
        return "many-words"

    def ours(self):
        return [turn for turn in self.model.turns if turn.is_ours()]

    def calls(self):
        return calls_of(self.servers)

    def refused_edit(self):
        [turn] = [turn for turn in self.model.turns if isinstance(turn.action, Edit) and turn.action.path == MIGRATION]
        return turn

    def expect(self, what, holds, seen):
        if not holds:
            self.problems.append(f"{what}: {seen}")

    def check(self):
        work = self.client.work
        shown = json.loads(work.must("outcome-runtime", "experiment", "show", SLUG, "--json"))["state"]
        head = work.must("git", "rev-parse", SLUG).strip()
        changed = work.must("git", "diff", "--name-only", f"main...{SLUG}").split()
        self.expect("the launch waits for a human", shown["status"] == "awaiting_launch_gate", shown)
        self.expect("with the commit", shown["commit"] == head and changed == [FORM], (shown, head, changed))
        self.expect("only the person decided", self.n_decided_meanwhile == self.signed_by_person > 0,
                    (self.n_decided_meanwhile, self.signed_by_person))
        now = (work.shop / MIGRATION).read_text()
        self.expect("the file out of scope is as it was", now == dict(FILES)[MIGRATION], now)
        told = self.refused_edit().answer.text
        self.expect("the guard's reason reaches the model", "`migrations/` (scope.forbidden_paths)" in told and
                    "request_human_gate" in told, told)
        calls = list(self.calls())
        self.expect("few calls", len(calls) <= MAX_CALLS, len(calls))
        self.expect("each call of a tool arrives", len(calls) == len(self.ours()), (len(calls), len(self.ours())))
        for turn, (asked, answered) in zip(self.ours(), calls):
            self.expect("arguments arrive as they were given", asked["arguments"] == turn.given, (asked["arguments"], turn.given))
            self.expect("an answer arrives whole", turn.answer.json() == answered["structuredContent"], turn.answer.text)
            self.expect("no call is a wrong turn", not answered.get("isError"), turn.answer.text)

    def check_around(self):
        """A long answer arrives whole, and a gate that an agent asked for is pending whatever the client answered about its page."""
        longest, question = (turn.answer for turn in self.around.turns if turn.is_ours())
        [sent] = [answered for asked, answered in calls_of(self.all_servers) if asked["arguments"].get("detail") == "full"]
        self.expect("a long answer arrives whole", longest.json() == sent["structuredContent"] and len(longest.text) > MIN_LONG,
                    longest.text)
        self.expect("a question waits", question.json()["is_pending"] and "review_url" in question.json(), question.text)


def walked(client):
    """A client that cannot be walked with leaves the other its turn."""
    try:
        return Walk(client)
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        print(f"{client.name}: {error}", file=sys.stderr)
        return None


def main():
    built, modules = Path(sys.argv[1]).resolve(), Path(os.environ["CLIENTS_NPM"]).resolve() / "node_modules"
    loopback_up()
    with tempfile.TemporaryDirectory() as scratch:
        walks = [walked(kind(Path(scratch) / kind.key, built, modules)) for kind in (ClaudeCode, Codex)]
        written = page(walks, MAX_CALLS) if all(walks) else None
    for walk in filter(None, walks):
        print(f"{walk.client.name} {walk.client.version}: {len(walk.ours())} calls, {len(walk.problems)} problems")
        for problem in walk.problems:
            print(f"  {problem}", file=sys.stderr)
    if not all(walks) or any(walk.problems for walk in walks):
        sys.exit(1)
    if "--write" in sys.argv[2:]:
        PAGE.write_text(written)


main()
