#!/usr/bin/env python3
"""Answers the questions of an `exec` source of Outcome Runtime from a SQLite file that is named as the first argument.

One question on the input, one answer on the output, both one line of JSON. Copy it and change the two queries.
Tables: exposures (user_id, flag, variant, at) and events (user_id, name, at); `at` is text such as 2026-11-20T10:00:00Z.
"""

import json
import sqlite3
import sys

LEVEL = """
    SELECT count(DISTINCT user_id), count(DISTINCT CASE WHEN name = :metric THEN user_id END)
    FROM events WHERE at >= :from AND at < :to"""

# The first exposure since the launch decides; it must lie in the window. Events count from then on.
BY_VARIANT = """
    WITH seen AS (
        SELECT user_id, variant, min(at) AS first_at FROM exposures
        WHERE flag = :flag AND at >= :launched_at AND at < :as_of GROUP BY user_id),
    unit AS (SELECT * FROM seen WHERE first_at >= :from AND first_at < :to)
    SELECT u.variant, count(*), sum(EXISTS (
        SELECT 1 FROM events e WHERE e.user_id = u.user_id AND e.name = :metric AND e.at >= u.first_at AND e.at < :as_of))
    FROM unit u GROUP BY u.variant"""


def answer(asked, db):
    if asked["ask"] == "test":
        return {"server": "SQLite " + sqlite3.sqlite_version}
    if asked["ask"] == "list":
        names = db.execute("SELECT DISTINCT name FROM events ORDER BY name LIMIT 1000")
        return {"metrics": [{"name": name} for (name,) in names]}
    if asked["method"] != "event" or asked["segment"]:
        return {"error": {"kind": "query", "message": "only `method: event` without a segment is answered"}}
    values = {"metric": asked["metric"], **asked["window"]}
    if asked["ask"] == "level":
        n, successes = db.execute(LEVEL, values).fetchone()
        return {"n": n, "successes": successes}
    values.update({key: asked[key] for key in ("flag", "launched_at", "as_of")})
    rows = db.execute(BY_VARIANT, values).fetchall()
    return {"arms": [{"variant": v, "n": n, "successes": s} for v, n, s in rows]}


def main():
    asked = json.loads(sys.stdin.readline())
    try:
        db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
        print(json.dumps(answer(asked, db)))
    except sqlite3.Error as error:
        print(json.dumps({"error": {"kind": "unreachable", "message": str(error)}}))


main()
