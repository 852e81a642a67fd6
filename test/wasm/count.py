# SPDX-License-Identifier: Apache-2.0
# Counts with a nonce in memory, for python.wasm and for python3, which checks what that has said:
#   count.py N          N lines "i NONCE SUM", then "end NONCE"
#   count.py check FILE those lines are what an uninterrupted run with that nonce says
import hashlib
import sys


def work(n, deep):
    return work(n, deep - 1) if deep else sum(i * i for i in range(n))


def lines(nonce, count):
    h = hashlib.sha256(nonce.encode())
    table = {}
    for n in range(count):
        table[n % 100] = str(work(300 + n % 50, n % 40))
        h.update("".join(table.values()).encode())
        yield f"{n} {nonce} {h.hexdigest()[:16]}"
    yield f"end {nonce}"


if sys.argv[1] == "check":
    got = open(sys.argv[2]).read().splitlines()
    want = list(lines(got[0].split()[1], len(got) - 1))
    sys.exit(0 if got == want and len(got) > 100 else "not what an uninterrupted run says")

import os
import time

for i, line in enumerate(lines(os.urandom(8).hex(), int(sys.argv[1]))):
    if i % 50 == 0:
        time.sleep(0.01)
    print(line, flush=True)
