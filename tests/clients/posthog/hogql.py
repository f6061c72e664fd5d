"""Answers queries as PostHog would, on a ClickHouse engine: each line of the input is {"query", "values"}, each line of the output the rows.

HogQL is ClickHouse's SQL but for few things; those that our queries use are translated here: placeholders, properties, and times in text.
The events come as the first line: [[event, person, "2026-11-20 10:00:00.000", {property: text}], ...].
"""

import json
import re
import sys

from chdb.session import Session


def literal(value):
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return str(value)


def translated(query, values):
    query = re.sub(r"properties\.(?:`([^`]+)`|(\$?\w+))", lambda m: f"nullIf(properties['{m[1] or m[2]}'], '')", query)
    query = query.replace("toDateTime(", "parseDateTime64BestEffort(")
    return re.sub(r"\{(\w+)\}", lambda m: literal(values[m[1]]), query)


def main():
    session = Session()
    session.query("CREATE DATABASE IF NOT EXISTS p")
    session.query("USE p")
    session.query(
        "CREATE TABLE events (event String, person_id String, timestamp DateTime64(6, 'UTC'), properties Map(String, String))"
        " ENGINE = MergeTree ORDER BY timestamp"
    )
    for event, person, at, properties in json.loads(sys.stdin.readline()):
        pairs = ", ".join(f"{literal(k)}, {literal(v)}" for k, v in properties.items())
        session.query(f"INSERT INTO events VALUES ({literal(event)}, {literal(person)}, {literal(at)}, map({pairs}))")
    for line in sys.stdin:
        asked = json.loads(line)
        answer = session.query(translated(asked["query"], asked["values"]), "JSONCompact").bytes()
        print(json.dumps(json.loads(answer)["data"]), flush=True)


main()
