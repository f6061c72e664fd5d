"""Asks for the arm of 200 people with the code of the page: people.py CODE FLAG. Prints each answer and each row."""

import json
import runpy
import sqlite3
import sys

code, flag = sys.argv[1:]
page = runpy.run_path(code)
db = sqlite3.connect(":memory:")
db.execute("CREATE TABLE exposures (user_id TEXT, flag TEXT, variant TEXT, exposed_at TEXT)")
for n in range(200):
    user = f"user-{n}"
    print(json.dumps({"user": user, "gets": page["gets_treatment"](db, flag, user)}))
for row in db.execute("SELECT user_id, flag, variant FROM exposures"):
    print(json.dumps({"row": row}))
page["api"].shutdown()
