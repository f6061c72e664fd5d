"""How long the built programs take: the MCP server's start, its reading tools, the scope guard, and the check before a step.

    speed.py FOLDER_OF_THE_BUILT_PROGRAMS [RUNS]
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from shop import Shop

BUILT = Path(sys.argv[1]).resolve()
RUNS = int(sys.argv[2]) if len(sys.argv) > 2 else 200
SLUG = "fewer-fields"
N_LINES, N_DECISIONS = 200, 8


def report(what, times):
    times.sort()
    print(f"{what}: median {statistics.median(times):.1f} ms, 99 of 100 {times[int(len(times) * 0.99) - 1]:.1f} ms", flush=True)


class Server:
    """The MCP server over its pipes."""

    def __init__(self, work):
        self.process = subprocess.Popen([BUILT / "outcome-runtime-mcp"], cwd=work.shop, env=work.env(), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.n = 0
        self.ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {},
                                "clientInfo": {"name": "speed", "version": "1"}})
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def send(self, message):
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, method, params=None):
        self.n += 1
        self.send({"jsonrpc": "2.0", "id": self.n, "method": method, "params": params or {}})
        while True:
            answer = json.loads(self.process.stdout.readline())
            if answer.get("id") == self.n:
                return answer["result"]

    def call(self, tool, arguments):
        return self.ask("tools/call", {"name": tool, "arguments": arguments})

    def processor_ms(self):
        """What it has computed so far: as good as undisturbed by other programs."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)


def timed(action, runs=RUNS):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        times.append((time.perf_counter() - start) * 1000)
    return times


def startup(work):
    times = []
    for _ in range(20):
        start = time.perf_counter()
        server = Server(work)
        assert len(server.ask("tools/list")["tools"]) >= 8
        times.append((time.perf_counter() - start) * 1000)
        server.stop()
    report("MCP server, from spawn to tools/list", times)


def guard(work):
    for what, path, denies in (("a refusal", "migrations/1.sql", True), ("an edit in scope", "src/a/x.ts", False)):
        call = {"cwd": str(work.shop), "hook_event_name": "PreToolUse", "tool_name": "Write",
                "tool_input": {"file_path": str(work.shop / path), "content": "x" * 2000}}

        def once():
            done = subprocess.run([BUILT / "outcome-runtime", "guard", "--client", "claude-code"], cwd=work.shop, env=work.env(),
                                  input=json.dumps(call).encode(), stdout=subprocess.PIPE, check=True)
            assert (b'"deny"' in done.stdout) == denies, done.stdout

        report(f"scope guard, {what}", timed(once))


def tools(server):
    for tool, arguments in (("get_active_outcomes", {}), ("get_work_order", {"outcome": "signup-rate"}),
                            ("get_experiment_brief", {"experiment_id": SLUG}), ("query_learnings", {"query": "fields"})):
        report(tool, timed(lambda: server.call(tool, arguments)))


def lines_of(work):
    """The lines of the log that changed the experiment's state: how many, and how many of them are decisions."""
    log = [json.loads(line) for line in work.must("outcome-runtime", "audit", "export").splitlines()]
    mine = [line for line in log if line["kind"].startswith("experiment.") and SLUG in json.dumps(line["payload"])]
    [subject] = {json.dumps(line["subject"]) for line in log if line["kind"] == "experiment.proposed"}
    steps = [line for line in log if json.dumps(line["subject"]) == subject and line["kind"].startswith("experiment.")
             and "note_" not in line["kind"] and not line["kind"].endswith((".measured", ".refused"))]
    assert mine or steps
    return len(steps), sum("decision" in line["payload"] for line in steps)


def grow(work):
    """A chain of 200 lines with eight decisions: builds that failed, a launch, pauses and resumes."""
    n_after = 2 + 7
    for _ in range((N_LINES - n_after - lines_of(work)[0]) // 2):
        work.must("outcome-runtime", "report", SLUG, "--failed", "it does not compile")
        work.must("outcome-runtime", "experiment", "retry", SLUG)
    work.must("git", "checkout", "-q", "-b", "change")
    (work.shop / "src/a").mkdir(parents=True)
    (work.shop / "src/a/form.txt").write_text("two fields if short-signup-form\n")
    for words in (["add", "src"], ["commit", "-q", "-m", "change"]):
        work.must("git", *words)
    work.must("outcome-runtime", "report", SLUG, "--summary", "two fields")
    work.signed("gate", "decide", f"launch-{SLUG}", "--verdict", "approve")
    work.must("outcome-runtime", "experiment", "pause", SLUG, "--unsigned", "--note", "a look at it")
    for step in ("resume", "pause", "resume", "pause", "resume", "pause"):
        work.signed("experiment", step, SLUG)


def step_check(work):
    """The report that a build has failed, of an experiment that is paused: it is refused after the whole check, and nothing is written."""
    grow(work)
    assert lines_of(work) == (N_LINES, N_DECISIONS), lines_of(work)
    server = Server(work)

    def once():
        refused = server.call("report_experiment_built", {"experiment_id": SLUG, "outcome": "failed",
                                                          "implementation_summary": "it does not compile"})
        assert "paused" in json.dumps(refused), refused

    before = server.processor_ms()
    report(f"a step check with {N_LINES} lines and {N_DECISIONS} decisions, through the MCP server", timed(once))
    print(f"processor time of each: {(server.processor_ms() - before) / RUNS:.1f} ms")
    server.stop()


def main():
    with tempfile.TemporaryDirectory() as scratch:
        work = Shop(Path(scratch), [BUILT])
        work.set_up(["claude-code"])
        startup(work)
        guard(work)
        server = Server(work)
        tools(server)
        server.stop()
        step_check(work)


main()
