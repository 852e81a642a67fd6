# SPDX-License-Identifier: Apache-2.0
# Modules of Python's standard library: the output is the same everywhere.
import ast
import base64
import bisect
import calendar
import configparser
import contextlib
import dataclasses
import datetime
import decimal
import difflib
import email.message
import enum
import fractions
import functools
import gzip
import heapq
import hmac
import html.parser
import io
import itertools
import os
import pickle
import random
import shlex
import statistics
import string
import struct
import sys
import tempfile
import textwrap
import traceback
import unittest
import urllib.parse
import uuid
import xml.etree.ElementTree as tree
import zipfile

print(sys.platform, sys.argv[1:], sys.stdin.read())
print(ast.dump(ast.parse("x = [i ** 2 for i in range(3)]")))
print(base64.b85encode(bytes(range(50))).decode(), bisect.bisect([1, 3, 5], 4))
print(calendar.month(2024, 2))
c = configparser.ConfigParser()
c.read_string("[a]\nx = 1\ny = %(x)s2\n")
print(dict(c["a"]), datetime.date(2024, 2, 28) + datetime.timedelta(days=2))
decimal.getcontext().prec = 60
print(decimal.Decimal(2).sqrt(), fractions.Fraction(3, 7) + fractions.Fraction(1, 3))
print("\n".join(difflib.unified_diff("a b c d".split(), "a c d e".split(), lineterm="")))
m = email.message.EmailMessage()
m["Subject"] = "ünï"
m.set_content("text")
print(m.as_string())


@dataclasses.dataclass(order=True)
class Point:
    x: int
    y: int = 2


class Colour(enum.Flag):
    RED = enum.auto()
    BLUE = enum.auto()


print(sorted([Point(3), Point(1)]), Colour.RED | Colour.BLUE)
print(functools.reduce(lambda a, b: a * b, range(1, 40)), heapq.nsmallest(3, [5, 1, 4, 2]))
print(len(gzip.decompress(gzip.compress(b"lodge" * 10000))), hmac.new(b"k", b"m", "sha512").hexdigest())


class Links(html.parser.HTMLParser):
    def handle_starttag(self, tag, attrs):
        print("tag", tag, attrs)


Links().feed('<a href="x">y<br></a>')
print(list(itertools.permutations("abc"))[:4], pickle.loads(pickle.dumps({"a": {1, 2}, "b": (None, 2.5)})))
random.seed(42)
print([random.randrange(1000) for _ in range(8)], random.gauss(0, 1), random.sample(range(99), 5))
print(shlex.split("a 'b c' d\\ e"), statistics.stdev([1, 2, 4, 8]), string.capwords("ab cd"))
print(struct.pack("<bhiqfd", -1, 2, -3, 4, 0.5, 1e300).hex(), urllib.parse.urlsplit("http://a:1/b?c=d#e"))
print(textwrap.fill("the quick brown fox jumps over the lazy dog " * 3, 40))
print(uuid.uuid5(uuid.NAMESPACE_DNS, "lodge.invalid"), tree.tostring(tree.fromstring("<a><b c='1'/>x</a>")))
with contextlib.suppress(FileNotFoundError), open("/w/none"):
    pass
with zipfile.ZipFile("/w/out.zip", "w", zipfile.ZIP_DEFLATED) as z:
    z.writestr(zipfile.ZipInfo("a/b.txt"), "hello " * 1000)
with zipfile.ZipFile("/w/out.zip") as z:
    print(z.namelist(), len(z.read("a/b.txt")), z.testzip())
os.makedirs("/w/d/e")
for i in range(20):
    with open(f"/w/d/e/{i}", "w") as f:
        f.write("x" * i)
os.rename("/w/d/e/3", "/w/d/three")
print([(r, sorted(d), sorted(f)) for r, d, f in os.walk("/w/d")], os.stat("/w/d/three").st_size)
with tempfile.TemporaryFile(dir="/w") as f:
    f.write(b"z" * 70000)
    f.seek(69990)
    print(f.read(), f.truncate(5), f.tell())
try:
    os.open("/w/../x", os.O_RDONLY)
except OSError as e:
    print(type(e).__name__)


class Tests(unittest.TestCase):
    def test_good(self):
        self.assertEqual(1 + 1, 2)

    def test_bad(self):
        self.assertEqual("a", "b")


out = io.StringIO()
r = unittest.TextTestRunner(out).run(unittest.defaultTestLoader.loadTestsFromTestCase(Tests))
print(r.testsRun, len(r.failures), "AssertionError" in out.getvalue())


def deep(n):
    return deep(n + 1)


try:
    deep(0)
except RecursionError as e:
    print(type(e).__name__, len(traceback.format_exc().splitlines()) < 30)
sys.exit(5)
