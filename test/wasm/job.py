# SPDX-License-Identifier: Apache-2.0
# What python.wasm runs in tests: the standard library, files, numbers.
import collections
import csv
import hashlib
import io
import json
import math
import os
import re
import zlib

print(json.dumps({"a": [1, 2, 3.5], "b": None}), re.sub(r"(\d+)", r"<\1>", "a1b22"))
print(hashlib.sha256(b"x" * 100000).hexdigest(), zlib.crc32(b"lodge"))
print(math.sin(1.0), 2**200, sum(1 / n for n in range(1, 1000)))
print(collections.Counter("hello world").most_common(3))
with open("/w/table.csv", "w", newline="") as f:
    csv.writer(f).writerows([[i, i * i, f"n{i}"] for i in range(100)])
with open("/w/table.csv", newline="") as f:
    print(sum(int(r[1]) for r in csv.reader(f)), os.stat("/w/table.csv").st_size)
os.remove("/w/table.csv")
print(sorted(os.listdir("/w")), io.StringIO("a\nb").readlines())


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


print(fib(18), sorted(range(50), key=lambda x: (x * 7919) % 101)[:5])
try:
    open("/w/none")
except FileNotFoundError as e:
    print(e)
