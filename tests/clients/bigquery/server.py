"""Starts the emulator of BigQuery on free ports: server.py FOLDER. Prints its port when it answers, and ends with its input.

The emulator takes no notice of `defaultDataset` in `jobs.query`, as it does elsewhere; here it is `d`.
"""

import os
import socket
import sys
import threading
import time
import urllib.request

# The emulator writes a log to the standard output.
OUT = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

from bqemulator.api.routes import jobs
from bqemulator.cli import main
from bqemulator.sql.rewriter.default_dataset import qualify_unqualified_tables
from duckdb_extensions import import_extension

run = jobs.execute_query_job
kind_of = jobs.classify_statement_type


async def with_dataset(project_id, job_id, sql, *args, **kwargs):
    sql = qualify_unqualified_tables(sql, default_project="p1", default_dataset="d")
    return await run(project_id, job_id, sql, *args, **kwargs)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def say_when_ready():
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{rest}/bigquery/v2/projects/p1/datasets").read()
            break
        except OSError:
            time.sleep(0.1)
    print(rest, file=OUT, flush=True)
    sys.stdin.read()
    os._exit(0)


jobs.execute_query_job = with_dataset
# It has no name for a union, which is a SELECT.
jobs.classify_statement_type = lambda sql: kind_of(sql) or ("SELECT" if sql.lstrip()[:4].upper() == "WITH" else "")
import_extension("spatial")
rest, grpc = free_port(), free_port()
threading.Thread(target=say_when_ready, daemon=True).start()
ports = ["--rest-port", str(rest), "--grpc-port", str(grpc)]
main(["start", *ports, "--project", "p1", "--log-level", "critical"])
