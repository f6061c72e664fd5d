"""How long the scope guard takes, from its start to its end.

    speed.py FOLDER_OF_THE_BUILT_PROGRAMS [RUNS]
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from shop import Shop


def main():
    built, runs = Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 200
    with tempfile.TemporaryDirectory() as scratch:
        work = Shop(Path(scratch), [built])
        work.set_up(["claude-code"])
        for what, path, denies in (("a refusal", "migrations/1.sql", True), ("an edit in scope", "src/a/x.ts", False)):
            call = {"cwd": str(work.shop), "hook_event_name": "PreToolUse", "tool_name": "Write",
                    "tool_input": {"file_path": str(work.shop / path), "content": "x" * 2000}}
            times = []
            for _ in range(runs):
                start = time.perf_counter()
                done = subprocess.run([built / "outcome-runtime", "guard", "--client", "claude-code"], cwd=work.shop,
                                      env=work.env(), input=json.dumps(call).encode(), stdout=subprocess.PIPE, check=True)
                times.append((time.perf_counter() - start) * 1000)
                assert (b'"deny"' in done.stdout) == denies, done.stdout
            times.sort()
            print(f"{what}: median {statistics.median(times):.1f} ms, 99 of 100 {times[int(runs * 0.99) - 1]:.1f} ms")


main()
