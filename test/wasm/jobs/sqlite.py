# SPDX-License-Identifier: Apache-2.0
# sqlite.py FILE: its statements, one a line or ending in ";", by the host's SQLite, printed as its shell does.
import sqlite3
import sys

db = sqlite3.connect(":memory:", isolation_level=None)


def text(v):
    if isinstance(v, float):
        s = f"{v:.15g}"
        return {"inf": "Inf"}.get(s, s if set(s) & set(".e") else s + ".0")
    return "" if v is None else str(v)


statement = ""
for line in open(sys.argv[1]):
    statement += line
    if sqlite3.complete_statement(statement):
        for row in db.execute(statement):
            print("|".join(text(v) for v in row))
        statement = ""
