"""Enough of ClickHouse's HTTP interface around the engine of chdb for our tests: server.py FOLDER.

Prints its port. Settings of a request hold for it alone, as on a server. The engine knows no users, so a list of two stands
here: `default` without a password, and `reader` with `s3cret`, whose profile has `readonly = 2`. `locked` has `readonly = 1`.
"""

import os
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import chdb

USERS = {"default": ("", 0), "reader": ("s3cret", 2), "locked": ("", 1)}
OTHER = {"database", "default_format", "wait_end_of_query", "query"}
LOCK = threading.Lock()
FOLDER = sys.argv[1]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        sql = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        query = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        user = self.headers.get("X-ClickHouse-User", "default")
        password, mode = USERS.get(user, (None, 0))
        if password is None or self.headers.get("X-ClickHouse-Key", "") != password:
            text = f"Code: 516. DB::Exception: {user}: Authentication failed. (AUTHENTICATION_FAILED) (version 26.9.2.1)"
            return self.answer(403, text, {"X-ClickHouse-Exception-Code": "516"})
        try:
            self.answer(200, run(sql, query, mode), {})
        except Exception as error:
            text = str(error)
            code = re.match(r"Code: (\d+)", text)
            self.answer(500, text + " (version 26.9.2.1)", {"X-ClickHouse-Exception-Code": code[1]} if code else {})

    def answer(self, status, body, headers):
        body = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def run(sql, query, mode):
    settings = {k: v for k, v in query.items() if k not in OTHER and not k.startswith("param_")}
    if mode == 2 and "readonly" in settings:
        raise RuntimeError("Code: 164. DB::Exception: Cannot modify 'readonly' setting in readonly mode. (READONLY)")
    params = {k[6:]: unescaped(v) for k, v in query.items() if k.startswith("param_")}
    own = settings.pop("readonly", str(mode))
    with LOCK:
        connection = chdb.connect(FOLDER)
        try:
            if query.get("database", "default") != "default":
                connection.query(f"USE `{query['database']}`")
            # The profile comes first: a user of mode 1 may change nothing.
            if mode == 1:
                connection.query("SET readonly = 1")
            if settings:
                connection.query("SET " + ", ".join(f"{k} = '{v}'" for k, v in settings.items()))
            if mode != 1 and own != "0":
                connection.query(f"SET readonly = {own}")
            return connection.query(sql, query.get("default_format", "TabSeparated"), params=params).bytes()
        finally:
            connection.close()


def unescaped(text):
    pairs = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r"}
    return re.sub(r"\\[\\tnr]", lambda found: pairs[found[0]], text)


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
KEEP = chdb.connect(FOLDER)
print(server.server_address[1], flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
os._exit(0)
