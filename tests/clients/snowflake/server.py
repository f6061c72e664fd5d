"""Enough of Snowflake's SQL API around fakesnow for our tests: server.py FOLDER. Prints its port.

It knows one database, no rights, and no conversion of hexadecimal digits, for which it takes that of the engine below. Rights, plans and
secondary roles are canned.
"""

import datetime
import decimal
import json
import os
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OUT = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

import fakesnow
import snowflake.connector

KINDS = {0: "fixed", 1: "real", 2: "text", 3: "date", 7: "timestamp_ltz", 8: "timestamp_ntz", 13: "boolean"}
HEX = re.compile(r"TO_NUMBER\((SUBSTR\(MD5\('or' \|\| TO_VARCHAR\([^)]*\)\), 1, 8\)), 'XXXXXXXX'\)")
GRANTS = [["USAGE", "WAREHOUSE", "W"], ["SELECT", "TABLE", "SHOP.PUBLIC.ORDERS"]]
PLAN = {"GlobalStats": {"partitionsTotal": 7, "partitionsAssigned": 2, "bytesAssigned": 5_000_000}, "Operations": []}
LOCK = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        known = self.headers.get("Authorization", "").startswith("Bearer ")
        if not known or "X-Snowflake-Authorization-Token-Type" not in self.headers:
            return self.answer(401, {"code": "390104", "message": "no token"})
        if self.headers.get("Accept") != "application/json" or not self.headers.get("User-Agent"):
            return self.answer(400, {"code": "391902", "message": "Unsupported Accept header null is specified."})
        try:
            with LOCK:
                self.answer(200, run(body["statement"], body.get("bindings", {})))
        except snowflake.connector.errors.ProgrammingError as error:
            code = f"{error.errno:06}"
            text = error.raw_msg or str(error)
            if code.startswith("00"):
                text = "SQL compilation error:\n" + text
            self.answer(422, {"code": code, "sqlState": error.sqlstate, "message": text, "statementHandle": "h"})

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def run(sql, bindings):
    if sql.startswith("SHOW GRANTS"):
        return result(["privilege", "granted_on", "name"], ["text"] * 3, GRANTS)
    if sql == "SELECT CURRENT_SECONDARY_ROLES()":
        return result(["R"], ["text"], [['{"roles":"","value":""}']])
    is_plan = sql.startswith("EXPLAIN USING JSON ")
    cursor = CONNECTION.cursor()
    cursor.execute(HEX.sub(r"CAST('0x' || \1 AS BIGINT)", bound(sql.removeprefix("EXPLAIN USING JSON "), bindings)))
    if is_plan:
        return result(["content"], ["text"], [[json.dumps(PLAN)]])
    columns = cursor.description
    kinds = [KINDS.get(column.type_code, "variant") for column in columns]
    return result([column.name for column in columns], kinds, [[text(value) for value in row] for row in cursor.fetchall()])


def bound(sql, bindings):
    """The statement with its values in place of the question marks outside of strings and comments."""
    parts = re.split(r"('(?:[^'\\]|\\.|'')*'|--[^\n]*)", sql)
    number = 0
    for at in range(0, len(parts), 2):
        pieces = parts[at].split("?")
        for piece in range(1, len(pieces)):
            number += 1
            value = bindings[str(number)]
            shown = value["value"] if value["type"] == "FIXED" else "'" + value["value"].replace("'", "''") + "'"
            pieces[piece] = shown + pieces[piece]
        parts[at] = "".join(pieces)
    return "".join(parts)


def text(value):
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    return {"nan": "NaN"}.get(str(value), str(value))


def result(names, kinds, rows):
    columns = [{"name": name, "type": kind, "nullable": True} for name, kind in zip(names, kinds)]
    meta = {"numRows": len(rows), "format": "jsonv2", "partitionInfo": [{"rowCount": len(rows)}], "rowType": columns}
    return {"resultSetMetaData": meta, "data": rows, "code": "090001", "sqlState": "00000", "statementHandle": "h"}


PATCH = fakesnow.patch()
PATCH.__enter__()
CONNECTION = snowflake.connector.connect(database="SHOP", schema="PUBLIC")
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], file=OUT, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
os._exit(0)
