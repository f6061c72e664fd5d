"""A repository with an active outcome, and on request the experiment `fewer-fields` being built; `migrations/` is forbidden."""

import os
import sqlite3
import subprocess

VISITORS = """
    CREATE TABLE visitors (id INTEGER PRIMARY KEY, first_seen_at TEXT NOT NULL, signed_up_at TEXT);
    CREATE TABLE exposures (visitor_id INTEGER NOT NULL, flag TEXT NOT NULL, variant TEXT NOT NULL, exposed_at TEXT NOT NULL);
    WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 7000)
    INSERT INTO visitors (first_seen_at, signed_up_at)
    SELECT datetime('now', '-' || n || ' minutes'), CASE WHEN n % 10 = 0 THEN datetime('now', '-' || (n - 5) || ' minutes') END FROM i;"""


class Shop:
    """In a folder of its own, with a home of its own; `programs`: folders that come first on the PATH."""

    def __init__(self, scratch, programs):
        self.scratch, self.home, self.shop = scratch, scratch / "home", scratch / "shop"
        self.path = os.pathsep.join([*map(str, programs), "/usr/local/bin", "/usr/bin", "/bin"])

    def env(self, **more):
        return {"HOME": str(self.home), "PATH": self.path, "TERM": "dumb", "LANG": "C.UTF-8", **more}

    def run(self, *command, limit=120, **more):
        done = subprocess.run([str(word) for word in command], cwd=self.shop, env=self.env(**more), text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=limit)
        return done.returncode, done.stdout + done.stderr

    def must(self, *command, **more):
        code, text = self.run(*command, **more)
        assert code == 0, f"{command}: {code}\n{text}"
        return text

    def signed(self, *command):
        words = " ".join(f"'{word}'" for word in command)
        self.must("sh", "-c", f"outcome-runtime --no-input {words} --passphrase-fd 3 3<'{self.scratch}/passphrase'")

    def with_an_outcome(self, clients, files=()):
        """`files`: what the repository holds besides, as (path, text)."""
        for folder in (self.home, self.shop):
            folder.mkdir()
        (self.scratch / "passphrase").write_text("correct horse battery\n")
        with sqlite3.connect(self.shop / "app.db") as db:
            db.executescript(VISITORS)
        for path, text in ((".gitignore", "*.db\n"), *files):
            (self.shop / path).parent.mkdir(parents=True, exist_ok=True)
            (self.shop / path).write_text(text)
        for words in (["init", "-q", "-b", "main"], ["config", "user.email", "sam@example.com"],
                      ["config", "user.name", "Sam"], ["add", "."], ["commit", "-q", "-m", "first"]):
            self.must("git", *words)
        self.signed("init", "--template", "--yes", *(word for name in clients for word in ("--client", name)))
        self.signed("apply")
        self.signed("activate", "signup-rate", "--accept-baseline")

    def set_up(self, clients):
        self.with_an_outcome(clients)
        text = self.must("outcome-runtime", "experiment", "propose", "--template")
        for old, new in (("Ask for fewer fields at sign-up", "Fewer fields"), ("src/signup/", "src/a/"),
                         ("minimum_detectable_effect: 0.02", "minimum_detectable_effect: 0.05")):
            text = text.replace(old, new)
        file = self.scratch / "hypothesis.yaml"
        file.write_text(text)
        self.must("outcome-runtime", "experiment", "propose", "--outcome", "signup-rate", "--file", file)
        self.signed("gate", "decide", "portfolio-fewer-fields", "--verdict", "approve")
