#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# rules.py RUNNER: modules that break one rule each of the binary format and of validation, and some that just keep it:
# refused for the right reason by ours, and judged likewise by wasm-validate and by V8; then MUTANTS of them, from SEED
# on, beside V8 alone. Spec: WASM-CORE 2.0 §3, §5
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

I32, I64, F32, F64, V128, FUNCREF, EXTERNREF = (bytes([b]) for b in (0x7F, 0x7E, 0x7D, 0x7C, 0x7B, 0x70, 0x6F))
ORDER = [("type", 1), ("import_", 2), ("func", 3), ("table", 4), ("memory", 5), ("tag", 13), ("global_", 6),
         ("export", 7), ("start", 8), ("elem", 9), ("count", 12), ("code", 10), ("data", 11)]
HEAD = b"\0asm\1\0\0\0"


def u(n):
    return bytes([n & 127 | 128]) + u(n >> 7) if n > 127 else bytes([n])


def sized(b):
    return u(len(b)) + b


def vec(items):
    return u(len(items)) + b"".join(items)


def section(n, content):
    return bytes([n]) + sized(content)


def module(**s):
    """Sections by name: a list of entries, or the bytes of the section."""
    return HEAD + b"".join(section(n, s[k] if isinstance(s[k], bytes) else vec(s[k])) for k, n in ORDER if k in s)


def ftype(params=b"", results=b""):
    return b"\x60" + sized(params) + sized(results)


def body(code, locals_=()):
    return sized(vec(locals_) + code + b"\x0b")


def name(s):
    return sized(s if isinstance(s, bytes) else s.encode())


TYPES = [ftype(), ftype(b"", I32), ftype(I32 + I64, I64 + I32), ftype(I32), ftype(F32, F32)]
TABLES = [FUNCREF + b"\0\5", EXTERNREF + b"\0\5"]
GLOBALS = [I32 + b"\0\x41\0\x0b", I64 + b"\1\x42\0\x0b", F32 + b"\1\x43\0\0\0\0\x0b", FUNCREF + b"\1\xd0\x70\x0b"]
ELEMS = [b"\1\0\1\0", b"\5\x6f\1\xd0\x6f\x0b"]


def fn(code, t=0, locals_=(), **other):
    """One function, number 0 and of type @t, with one of most things to name: see above."""
    s = dict(type=TYPES, func=[u(t)], table=TABLES, memory=[b"\0\1"], tag=[b"\0\0", b"\0\3"], global_=GLOBALS,
             elem=ELEMS, count=u(1), code=[body(code, locals_)], data=[b"\1\1x"])
    s.update(other)
    return module(**{k: v for k, v in s.items() if v is not None})


has_node = shutil.which("node") is not None
cases = []  # name, module, what is wrong ("": nothing), who else is of another opinion


def valid(what, m, but=""):
    cases.append((what, m, "", but))


def malformed(what, m, why, but=""):
    cases.append((what, m, "malformed .*" + why, but))


def invalid(what, m, why, but=""):
    cases.append((what, m, "invalid .*" + why, but))


def refused(what, m, why, but=""):
    cases.append((what, m, why, but))


def headers():
    valid("nothing", HEAD)
    for n in range(8):
        malformed(f"{n} bytes", HEAD[:n], "unexpected end")
    malformed("magic", b"\0asn\1\0\0\0", "magic header")
    malformed("version", b"\0asm\2\0\0\0", "binary version")
    refused("a component", b"\0asm\x0d\0\1\0", "component")


def sections():
    whole = {"type": [ftype()], "import_": [name("m") + name("f") + b"\0\0"], "func": [b"\0"],
             "table": [FUNCREF + b"\0\0"], "memory": [b"\0\0"], "tag": [b"\0\0"],
             "global_": [I32 + b"\0\x41\0\x0b"], "export": [name("e") + b"\0\0"], "start": b"\0",
             "elem": [b"\0\x41\0\x0b\0"], "count": u(1), "code": [body(b"")], "data": [b"\0\x41\0\x0b\0"]}
    m = module(**whole)
    valid("each section", m)
    parts = [section(n, whole[k] if isinstance(whole[k], bytes) else vec(whole[k])) for k, n in ORDER]
    for i in range(len(parts)):
        keep = [b"\0" + sized(name("c") + b"xx")] if i % 2 else []
        malformed(f"section {ORDER[i][0]} twice", HEAD + b"".join(parts[:i + 1] + keep + [parts[i]]),
                  "after last section")
        if i > 1:
            swapped = parts[:i - 1] + [parts[i], parts[i - 1]] + parts[i + 1:]
            cases.append((f"section {ORDER[i][0]} before {ORDER[i - 1][0]}", HEAD + b"".join(swapped),
                          "invalid .*unknown|malformed .*(after last section|data count|inconsistent)", ""))
        cut = HEAD + b"".join(parts[:i]) + parts[i][:-1]
        cases.append((f"section {ORDER[i][0]} cut", cut, "malformed .*unexpected end", ""))
        longer = parts[i][:1] + sized(parts[i][2:] + b"\0")
        malformed(f"section {ORDER[i][0]} with a byte more", HEAD + b"".join(parts[:i] + [longer]),
                  "section size mismatch")
    for i in range(len(m)):
        cases.append((f"the first {i} bytes", m[:i], None, "wabt"))
    for n in (14, 15, 127, 255):
        malformed(f"section id {n}", HEAD + bytes([n, 0]), "malformed section id")
    for n, k in ((1, "types"), (2, "imports"), (6, "globals"), (7, "exports"), (9, "segments")):
        malformed(f"more {k} than there are", HEAD + bytes([n, 1, 5]), "unexpected end")
        malformed(f"no number of {k}", HEAD + bytes([n, 0]), "unexpected end")
    malformed("a function without code", module(type=[ftype()], func=[b"\0"]), "inconsistent lengths")
    malformed("code without a function", module(type=[ftype()], code=[body(b"")]), "inconsistent lengths")
    malformed("two functions, one code", module(type=[ftype()], func=[b"\0", b"\0"], code=[body(b"")]), "inconsistent")
    malformed("data count of 1, no data", module(memory=[b"\0\0"], count=u(1)), "inconsistent", "wabt")
    malformed("data count of 1, two data", module(memory=[b"\0\0"], count=u(1), data=[b"\1\0"] * 2), "inconsistent")
    malformed("data count of 1, an empty section", module(memory=[b"\0\0"], count=u(1), data=[]), "inconsistent")
    valid("data count of 0, no data", module(count=u(0)))


def names():
    bad = {"overlong": b"\xc0\x80", "overlong 3": b"\xe0\x80\x80", "overlong 4": b"\xf0\x80\x80\x80",
           "surrogate": b"\xed\xa0\x80", "above 10ffff": b"\xf4\x90\x80\x80", "5 bytes": b"\xf8\x88\x80\x80\x80",
           "a tail alone": b"\x80", "no tail": b"\xe2\x82", "a tail that is none": b"\xc3\x28", "ff": b"\xff",
           "cut by the end": b"a\xf0\x9f\x98"}
    for what, b in bad.items():
        why = "malformed UTF-8"
        malformed(f"import's module: {what}", module(type=[ftype()], import_=[name(b) + name("f") + b"\0\0"]), why)
        malformed(f"import's name: {what}", module(type=[ftype()], import_=[name("m") + name(b) + b"\0\0"]), why)
        malformed(f"export's name: {what}", fn(b"", export=[name(b) + b"\0\0"]), why)
        malformed(f"custom section: {what}", HEAD + section(0, name(b)), why)
    for good in ("", "ü", "€", "😀", "\0", "\ufffd\uffff", "\u202e"):
        valid(f"name {good!r}", fn(b"", export=[name(good) + b"\0\0"]))
    malformed("a custom section without a name", HEAD + b"\0\0", "unexpected end")
    malformed("a custom section shorter than its name", HEAD + b"\0\3\5ab", "unexpected end")
    valid("a section name that is nonsense", HEAD + section(0, name("name") + b"\1\xff\xff"), "wabt")
    invalid("two exports of one name", fn(b"", export=[name("a") + b"\0\0", name("b") + b"\0\0", name("a") + b"\2\0"]),
            "duplicate export name")


def numbers():
    over, big = "integer representation too long", "integer too large"
    malformed("length of a section in 6 bytes", HEAD + b"\1\x81\x80\x80\x80\x80\0\0", over)
    malformed("length of a section of 33 bits", HEAD + b"\1\x81\x80\x80\x80\x10\0", big)
    valid("length of a section in 5 bytes", HEAD + b"\1\x81\x80\x80\x80\0\0")
    valid("memory's minimum in 5 bytes", module(memory=[b"\0\x82\x80\x80\x80\0"]))
    malformed("memory's minimum in 6 bytes", module(memory=[b"\0\x82\x80\x80\x80\x80\0"]), over)
    for last, ok in ((0x00, True), (0x07, True), (0x0F, False), (0x08, False), (0x40, False), (0x70, False),
                     (0x78, True), (0x7F, True)):
        m = fn(b"\x41\x80\x80\x80\x80" + bytes([last]) + b"\x1a")
        (valid if ok else lambda w, x: malformed(w, x, big))(f"i32.const, last byte {last:#x}", m)
    malformed("i32.const in 6 bytes", fn(b"\x41\x80\x80\x80\x80\x80\0\x1a"), over)
    for last, ok in ((0x00, True), (0x7F, True), (0x01, False), (0x7E, False), (0x40, False)):
        m = fn(b"\x42" + b"\x80" * 9 + bytes([last]) + b"\x1a")
        (valid if ok else lambda w, x: malformed(w, x, big))(f"i64.const, last byte {last:#x}", m)
    malformed("i64.const in 11 bytes", fn(b"\x42" + b"\x80" * 10 + b"\0\x1a"), over)
    malformed("offset of 33 bits", fn(b"\x41\0\x28\2\x80\x80\x80\x80\x10\x1a"), big)
    valid("offset of 33 bits, 64-bit memory", fn(b"\x42\0\x28\2\x80\x80\x80\x80\x10\x1a", memory=[b"\4\1"]))
    malformed("offset of 65 bits, 64-bit memory", fn(b"\x42\0\x28\2" + b"\x80" * 9 + b"\2\x1a", memory=[b"\4\1"]), big, "wabt")
    malformed("a local's number of 33 bits", fn(b"\x20\x80\x80\x80\x80\x10\x1a"), big)
    malformed("f32.const cut", fn(b"\x43\0\0", count=None, data=None), "unexpected end")
    malformed("f64.const cut", fn(b"\x44\0\0\0\0\0", count=None, data=None), "unexpected end")


def types():
    for form in (0x00, 0x40, 0x61, 0x7F):
        malformed(f"type form {form:#x}", module(type=[bytes([form]) + b"\0\0"]), "type form")
    refused("a structure", module(type=[b"\x5f\0"]), "not supported .*type form")
    for t in (0x00, 0x40, 0x60, 0x6A, 0x71, 0x7A, 0x80):
        later = 0x6A <= t <= 0x6E or 0x71 <= t <= 0x74
        for what, m in (("parameter", module(type=[ftype(bytes([t]))])), ("result", module(type=[ftype(b"", bytes([t]))])),
                        ("local", fn(b"", locals_=[b"\1" + bytes([t])])),
                        ("global", module(global_=[bytes([t]) + b"\0\x41\0\x0b"]))):
            refused(f"a {what} of type {t:#x}", m, "not supported .*garbage" if later else "malformed .*malformed value type")
    malformed("a table of i32", module(table=[I32 + b"\0\0"]), "malformed reference type")
    malformed("ref.null i32", fn(b"\xd0\x7f\x1a"), "malformed heap type")
    for bad in (0x02, 0x80, 0xFF):
        malformed(f"mutability {bad}", module(global_=[I32 + bytes([bad]) + b"\x41\0\x0b"]), "malformed mutability")
    valid("1000 parameters", module(type=[ftype(I32 * 1000)]))
    for n, why in ((1 << 32, "too many locals"), (50001, "not supported .*too many locals")):
        cases.append((f"{n} locals", fn(b"", locals_=[u(n - 5) + I32, b"\5" + I64]), why, "wabt" if n < 60000 else ""))
    valid("50000 locals", fn(b"", locals_=[u(50000) + I32]))


def limits():
    for flags in (8, 16, 0x80):
        malformed(f"memory flags {flags}", module(memory=[bytes([flags]) + b"\0"]), "(limits flags|too long|end)")
        malformed(f"table flags {flags}", module(table=[FUNCREF + bytes([flags]) + b"\0"]), "(limits flags|too long|end)")
    for flags in (2, 3):
        cases.append((f"a shared table, flags {flags}", module(table=[FUNCREF + bytes([flags]) + b"\0\1"]),
                      "malformed .*limits flags|invalid", ""))
    invalid("memory's minimum above its maximum", module(memory=[b"\1\2\1"]), "minimum must not be greater")
    invalid("table's minimum above its maximum", module(table=[FUNCREF + b"\1\2\1"]), "minimum must not be greater")
    invalid("memory of 65537 pages", module(memory=[b"\0\x81\x80\4"]), "at most 65536 pages")
    valid("memory of up to 65536 pages", module(memory=[b"\1\0\x80\x80\4"]))
    invalid("memory of up to 65537 pages", module(memory=[b"\1\0\x81\x80\4"]), "at most 65536 pages")
    invalid("64-bit memory of 2^48 + 1 pages", module(memory=[b"\5\0\x81" + b"\x80" * 5 + b"\x40"]), "at most 281")
    valid("64-bit memory of up to 2^48 pages", module(memory=[b"\5\0\x80" + b"\x80" * 5 + b"\x40"]), "v8")
    invalid("shared memory without maximum", module(memory=[b"\2\1"]), "shared memory must have maximum")
    valid("two memories", module(memory=[b"\0\1", b"\0\1"]), "v8")
    malformed("a memory without limits", module(memory=b"\1\0"), "unexpected end")


def imports():
    head = name("m") + name("x")
    malformed("import kind 5", module(import_=[head + b"\5\0"]), "malformed import kind")
    invalid("import of an unknown type", module(type=[ftype()], import_=[head + b"\0\1"]), "unknown type 1")
    invalid("imported memory too large", module(import_=[head + b"\2\0\x81\x80\4"]), "at most 65536 pages")
    malformed("imported table of i32", module(import_=[head + b"\1\x7f\0\0"]), "malformed reference type")
    malformed("imported global's mutability", module(import_=[head + b"\3\x7f\2"]), "malformed mutability")
    invalid("imported tag with results", module(type=[ftype(b"", I32)], import_=[head + b"\4\0\0"]), "tag result")
    invalid("tag of an unknown type", module(type=[ftype()], tag=[b"\0\1"]), "unknown type 1")
    invalid("tag with results", module(type=[ftype(b"", I32)], tag=[b"\0\0"]), "tag result")
    malformed("tag attribute", module(type=[ftype()], tag=[b"\1\0"]), "tag attribute")
    invalid("function of an unknown type", module(type=[ftype()], func=[b"\1"], code=[body(b"")]), "unknown type 1")
    for kind, what in enumerate("function table memory global tag".split()):
        m = fn(b"", export=[name("e") + bytes([kind, 9])])
        invalid(f"export of an unknown {what}", m, f"unknown {what} 9")
    malformed("export kind 5", fn(b"", export=[name("e") + b"\5\0"]), "malformed export kind")
    valid("everything exported", fn(b"", export=[name(str(k)) + bytes([k, 0]) for k in range(5)]))
    invalid("start: unknown function", fn(b"", start=b"\7"), "unknown function 7")
    invalid("start with a parameter", fn(b"", t=3, start=b"\0"), "start function")
    invalid("start with a result", fn(b"\x41\0", t=1, start=b"\0"), "start function")


def constants():
    def g(t, code, before=()):
        return module(type=[ftype()], func=[b"\0"], global_=list(before) + [t + b"\0" + code + b"\x0b"],
                      code=[body(b"")])
    mismatch, constant = "type mismatch", "constant expression required"
    fixed, changes = I32 + b"\0\x41\1\x0b", I32 + b"\1\x41\1\x0b"
    for what, t, code in (("i64 for i32", I32, b"\x42\0"), ("f32 for f64", F64, b"\x43\0\0\0\0"), ("nothing", I32, b""),
                          ("two values", I32, b"\x41\0\x41\0"), ("null of the other kind", EXTERNREF, b"\xd0\x70"),
                          ("a function for externref", EXTERNREF, b"\xd2\0"), ("i64.add of i32", I64, b"\x41\1\x41\1\x7c"),
                          ("i32.add of one", I32, b"\x41\1\x6a")):
        invalid(f"global: {what}", g(t, code), mismatch)
    for what, t, code in (("nop", I32, b"\x41\0\1"), ("a local", I32, b"\x20\0"), ("a call", I32, b"\x10\0"),
                          ("i32.div_s", I32, b"\x41\1\x41\1\x6d"), ("f32.add", F32, b"\x43\0\0\0\0" * 2 + b"\x92"),
                          ("unreachable", I32, b"\0"), ("a load", I32, b"\x41\0\x28\2\0"), ("i32.eqz", I32, b"\x41\1\x45"),
                          ("a block", I32, b"\x02\x7f\x41\0\x0b")):
        invalid(f"global: {what}", g(t, code), constant)
    invalid("global: another operation on vectors", g(V128, b"\xfd\x0c" + b"\0" * 16 + b"\xfd\x4d"), constant)
    invalid("global: of a mutable one", g(I32, b"\x23\0", [changes]), constant)
    invalid("global: of itself", g(I32, b"\x23\0"), "unknown global 0")
    invalid("global: of a later one", g(I32, b"\x23\1", [fixed]), "unknown global 1")
    invalid("global: unknown function", g(FUNCREF, b"\xd2\7"), "unknown function 7")
    valid("global: of an earlier one", g(I32, b"\x23\0", [fixed]), "v8 wabt")
    valid("global: sums and products", g(I32, b"\x41\1\x41\2\x6a\x41\3\x6c\x41\4\x6b"))
    valid("global: of 64 bits", g(I64, b"\x42\1\x42\2\x7c\x42\3\x7e\x42\4\x7d"))
    valid("global: a vector", g(V128, b"\xfd\x0c" + b"\1" * 16))
    malformed("global: no end", module(global_=b"\1\x7f\0\x41\0"), "unexpected end", "wabt")


def segments():
    for n in (8, 9, 127):
        malformed(f"element segment kind {n}", fn(b"", elem=[bytes([n]) + b"\x41\0\x0b\0"]), "elements segment kind")
    for n in (3, 4, 127):
        malformed(f"data segment kind {n}", fn(b"", data=[bytes([n]) + b"\x41\0\x0b\0"]), "data segment kind", "wabt")
    invalid("elements without a table", fn(b"", table=None, elem=[b"\0\x41\0\x0b\0"]), "unknown table 0")
    invalid("elements for an unknown table", fn(b"", elem=[b"\2\7\x41\0\x0b\0\0"]), "unknown table 7")
    invalid("functions for a table of externref", fn(b"", elem=[b"\2\1\x41\0\x0b\0\1\0"]), "type mismatch")
    invalid("elements of externref for one of functions", fn(b"", elem=[b"\6\0\x41\0\x0b\x6f\0"]), "type mismatch")
    invalid("an element of the other kind", fn(b"", elem=[b"\5\x70\1\xd0\x6f\x0b"]), "type mismatch")
    invalid("an element of i32", fn(b"", elem=[b"\5\x70\1\x41\0\x0b"]), "type mismatch")
    invalid("an element that is not constant", fn(b"", elem=[b"\5\x70\1\x41\0\x25\0\x0b"]), "constant expression")
    invalid("an element: unknown function", fn(b"", elem=[b"\1\0\1\7"]), "unknown function 7")
    malformed("an element kind", fn(b"", elem=[b"\1\1\1\0"]), "malformed element kind")
    malformed("elements of i32", fn(b"", elem=[b"\5\x7f\0"]), "malformed reference type", "v8")
    for what, code in (("i64", b"\x42\0"), ("f32", b"\x43\0\0\0\0"), ("nothing", b""), ("two", b"\x41\0\x41\0")):
        but = "" if code else "wabt"
        invalid(f"place of elements: {what}", fn(b"", elem=[b"\0" + code + b"\x0b\0"]), "type mismatch", but)
        invalid(f"place of data: {what}", fn(b"", data=[b"\0" + code + b"\x0b\0"]), "type mismatch", but)
    for what, code in (("nop", b"\x41\0\1"), ("a mutable global", b"\x23\1"), ("i32.clz", b"\x41\0\x67")):
        invalid(f"place of elements: {what}", fn(b"", elem=[b"\0" + code + b"\x0b\0"]), "constant expression")
        invalid(f"place of data: {what}", fn(b"", data=[b"\0" + code + b"\x0b\0"]), "constant expression")
    invalid("data without a memory", fn(b"", memory=None, data=[b"\0\x41\0\x0b\0"]), "unknown memory 0")
    invalid("data for an unknown memory", fn(b"", data=[b"\2\7\x41\0\x0b\0"]), "unknown memory 7")
    malformed("data that is cut", fn(b"", data=b"\1\1\5ab"), "unexpected end")
    valid("each kind of segment", fn(b"", elem=[
        b"\0\x41\0\x0b\1\0", b"\1\0\1\0", b"\2\0\x41\0\x0b\0\1\0", b"\3\0\1\0", b"\4\x41\0\x0b\1\xd2\0\x0b",
        b"\5\x70\1\xd0\x70\x0b", b"\6\1\x41\0\x0b\x6f\1\xd0\x6f\x0b", b"\7\x70\1\xd2\0\x0b"], count=u(3),
        data=[b"\0\x41\0\x0b\1x", b"\1\1x", b"\2\0\x41\0\x0b\1x"]))


def bodies():
    t = dict(type=[ftype()], func=[b"\0"])
    malformed("a body without end", module(code=[sized(b"\0\1")], **t), "unexpected end")
    malformed("a body that goes on", module(code=[sized(b"\0\x0b\1")], **t), "behind the end")
    malformed("two ends", module(code=[sized(b"\0\x0b\x0b")], **t), "behind the end")
    malformed("an empty body", module(code=[sized(b"")], **t), "unexpected end")
    malformed("a body longer than the section", module(code=b"\1\x0b\0\x0b", **t), "unexpected end")
    malformed("a block without end", module(code=[sized(b"\0\x02\x40\x0b")], **t), "unexpected end", "wabt")
    malformed("else without if", fn(b"\x02\x40\x05\x0b"), "else without if")
    malformed("else twice", fn(b"\x41\0\x04\x40\x05\x05\x0b"), "else without if")
    malformed("more locals than bytes", module(code=[sized(b"\5\1\x7f")], **t), "unexpected end")
    for op in (*range(0x27, 0x28), *range(0x16, 0x18), *range(0x1D, 0x1F), *range(0xC5, 0xD0), *range(0xD7, 0xFB), 0xFF):
        malformed(f"opcode {op:#x}", fn(bytes([op])), "illegal opcode")
    for sub in (18, 31, 255, 1 << 20):
        malformed(f"opcode 0xfc {sub}", fn(b"\xfc" + u(sub)), "illegal opcode 0xfc")
    for op in (0x14, 0x15, 0xD3, 0xD4, 0xD5, 0xD6):
        refused(f"opcode {op:#x}", fn(bytes([op, 0])), "garbage collection" if op == 0xD3 else "is wanted, nothing is there")
    refused("opcode 0xfb", fn(b"\xfb\0\0"), "not supported .*garbage collection")


def control():
    mismatch, block = "type mismatch", b"\x02\x40"
    for b in (b"\x41", b"\x50", b"\x7a", b"\xbf\x7f"):
        malformed(f"block type {b.hex()}", fn(b"\x02" + b + b"\x0b"), "malformed block type")
    invalid("a block of an unknown type", fn(b"\x02\7\x0b"), "unknown type 7")
    malformed("block type of 34 bits", fn(b"\x02\x80\x80\x80\x80\x20\x0b"), "integer too large")
    for what, op in (("br", b"\x0c\5"), ("br_if", b"\x41\0\x0d\5"), ("br_table", b"\x41\0\x0e\1\5\0"),
                     ("br_table's last", b"\x41\0\x0e\1\0\5"), ("try_table", b"\x1f\x40\1\2\5\x0b")):
        invalid(f"{what}: unknown label", fn(op), "unknown label 5", "wabt v8" if "try_" in what else "")
    for what, m in {
        "br_if: i64": fn(b"\x42\0\x0d\0"), "if: f32": fn(b"\x43\0\0\0\0\x04\x40\x0b"), "if: nothing": fn(b"\x04\x40\x0b"),
        "br_table: i64": fn(b"\x42\0\x0e\0\0"), "a result missing": fn(b"", t=1), "a result too many": fn(b"\x41\0"),
        "another result": fn(b"\x42\0", t=1), "results the wrong way": fn(b"\x41\0\x42\0", t=2),
        "br without its value": fn(b"\x02\x7f\x0c\0\x0b\x1a"), "br with another": fn(b"\x02\x7f\x42\0\x0c\0\x0b\x1a"),
        "return without its value": fn(b"\x0f", t=1), "return with another": fn(b"\x42\0\x0f", t=1),
        "if without else, with a result": fn(b"\x41\0\x04\x7f\x41\0\x0b\x1a"),
        "if, its else with another result": fn(b"\x41\0\x04\x7f\x41\0\x05\x42\0\x0b\x1a"),
        "if, its else with none": fn(b"\x41\0\x04\x7f\x41\0\x05\x0b\x1a"),
        "a block with no result": fn(b"\x02\x7f\x0b\x1a"), "a block with two": fn(b"\x02\x7f\x41\0\x41\0\x0b\x1a"),
        "a block that takes from outside": fn(b"\x41\0\x02\x40\x1a\x0b"),
        "a loop without its parameter": fn(b"\x03\3\x1a\x0b"), "a loop with another": fn(b"\x42\0\x03\3\x1a\x0b"),
        "br to a loop without its parameter": fn(b"\x41\0\x03\3\x1a\x0c\0\x0b"),
        "br_table: labels that differ": fn(b"\x02\x40\x02\x7f\x41\0\x41\0\x0e\1\0\1\x0b\x1a\x0b"),
        "br_table: types that differ": fn(b"\x02\x7e\x02\x7f\x41\0\x41\0\x0e\1\0\1\x0b\x1a\x42\0\x0b\x1a"),
        "drop of nothing": fn(b"\x1a"), "select of one": fn(b"\x41\0\x41\0\x1b\x1a"),
        "select of two types": fn(b"\x41\0\x42\0\x41\0\x1b\x1a"), "select by i64": fn(b"\x41\0\x41\0\x42\0\x1b\x1a"),
        "select of references": fn(b"\xd0\x70\xd0\x70\x41\0\x1b\x1a"),
        "select t of another": fn(b"\x41\0\x41\0\x41\0\x1c\1\x7e\x1a"),
        "behind unreachable: two values": fn(b"\0\x41\0\x41\0", t=1), "behind unreachable: another": fn(b"\0\x42\0", t=1),
        "behind unreachable: an operand": fn(b"\0\x42\0\x67\x1a"), "behind br: of a block": fn(b"\x02\x7f\x41\0\x0c\0\x42\0\x0b\x1a"),
        "behind return: i32.add": fn(b"\x0f\x43\0\0\0\0\x6a\x1a"),
        "behind unreachable: select": fn(b"\0\x43\0\0\0\0\x42\0\x41\0\x1b\x1a"),
    }.items():
        invalid(what, m, mismatch)
    for n in (0, 2):
        invalid(f"select of {n} types", fn(b"\x41\0\x41\0\x41\0\x1c" + sized(I32 * n) + b"\x1a"), "result arity", "" if n else "wabt")
    for what, m in {
        "behind unreachable: anything": fn(b"\0\x6a\x1a\x1a\x1a\x0e\0\0"), "behind br": fn(block + b"\x0c\0\x67\x1a\x0b"),
        "behind unreachable: select": fn(b"\0\x1b\x1a\0\x43\0\0\0\0\x41\0\x1b\x1a"),
        "if with parameter, no else": fn(b"\x43\0\0\0\0\x41\0\x04\4\x0b\x1a"),
        "behind unreachable: br_table of several arities": fn(b"\x02\x7f\0\x41\0\x0e\0\0\x0b\x1a"),
        "br out of the function": fn(b"\x41\0\x0c\0", t=1), "values below br's": fn(b"\x41\0\x42\0\x41\0\x0c\0", t=1),
        "a block of two and two": fn(b"\x41\0\x42\0\x02\2\x1a\x1a\x42\0\x41\0\x0b\x1a\x1a"),
    }.items():
        valid(what, m)


def variables():
    mismatch = "type mismatch"
    for op in (0x20, 0x21, 0x22):
        invalid(f"{op:#x}: unknown local", fn(bytes([0x41, 0, op, 7])), "unknown local 7")
    for op in (0x23, 0x24):
        invalid(f"{op:#x}: unknown global", fn(bytes([0x41, 0, op, 7])), "unknown global 7")
    invalid("global.set of one that is not mutable", fn(b"\x41\0\x24\0"), "global is immutable")
    invalid("global.set of another type", fn(b"\x41\0\x24\1"), mismatch)
    invalid("local.set of another type", fn(b"\x42\0\x21\0", t=3), mismatch)
    invalid("local.tee of another type", fn(b"\x42\0\x22\0\x1a", t=3), mismatch)
    invalid("local.set of nothing", fn(b"\x21\0", t=3), mismatch)
    invalid("ref.func: unknown", fn(b"\xd2\7\x1a"), "unknown function 7")
    invalid("ref.func: not declared", fn(b"\xd2\0\x1a", elem=[], start=b"\0"), "undeclared function reference")
    valid("ref.func: exported", fn(b"\xd2\0\x1a", elem=[], export=[name("f") + b"\0\0"]))
    valid("ref.func: in a global", fn(b"\xd2\0\x1a", elem=[], global_=[FUNCREF + b"\0\xd2\0\x0b"]))
    for what, code in (("call: unknown", b"\x10\7"), ("return_call: unknown", b"\x12\7")):
        invalid(what, fn(code), "unknown function 7")
    for what, code in (("call", b"\x10\0"), ("call: another", b"\x42\0\x10\0"), ("return_call", b"\x12\0"),
                       ("call_indirect: i64", b"\x42\0\x11\0\0"), ("call_indirect: nothing", b"\x11\0\0"),
                       ("call_indirect: operands", b"\x41\0\x11\3\0"), ("return_call_indirect: i64", b"\x42\0\x13\0\0"),
                                              ("return_call: other results", b"\x41\0\x41\0\x13\1\0"), ("ref.is_null: i32", b"\x41\0\xd1\x1a"),
                       ("table.get: i64", b"\x42\0\x25\0\x1a"), ("table.set: i32", b"\x41\0\x41\0\x26\0"),
                       ("table.set: the other kind", b"\x41\0\xd0\x6f\x26\0"), ("table.grow: no value", b"\x41\0\xfc\x0f\0\x1a"),
                       ("table.fill: the other kind", b"\x41\0\xd0\x6f\x41\0\xfc\x11\0"),
                       ("table.copy: tables of two kinds", b"\x41\0\x41\0\x41\0\xfc\x0e\0\1"),
                       ("table.init: elements of the other kind", b"\x41\0\x41\0\x41\0\xfc\x0c\1\0"),
                       ("table.copy: i64", b"\x41\0\x42\0\x41\0\xfc\x0e\0\0"), ("throw: no operand", b"\x08\1"),
                       ("throw: another", b"\x42\0\x08\1"), ("memory.grow: i64", b"\x42\0\x40\0\x1a"),
                       ("memory.fill: i64", b"\x41\0\x42\0\x41\0\xfc\x0b\0"), ("memory.copy: two", b"\x41\0\x41\0\xfc\x0a\0\0"),
                       ("memory.init: f32", b"\x41\0\x43\0\0\0\0\x41\0\xfc\x08\0\0")):
        invalid(what, fn(code, t=3), mismatch)
    invalid("call_indirect: a table of externref", fn(b"\x41\0\x11\0\1"), mismatch, "wabt")
    for what, code in (("call_indirect", b"\x41\0\x11\0\7"), ("table.get", b"\x41\0\x25\7\x1a"), ("table.size", b"\xfc\x10\7\x1a"),
                       ("table.copy", b"\x41\0\x41\0\x41\0\xfc\x0e\7\0"), ("table.copy from", b"\x41\0\x41\0\x41\0\xfc\x0e\0\7"),
                       ("table.init", b"\x41\0\x41\0\x41\0\xfc\x0c\0\7"), ("table.set", b"\x41\0\xd0\x70\x26\7"),
                       ("table.grow", b"\xd0\x70\x41\0\xfc\x0f\7\x1a"), ("table.fill", b"\x41\0\xd0\x70\x41\0\xfc\x11\7")):
        invalid(f"{what}: unknown table", fn(code), "unknown table 7")
    invalid("call_indirect: unknown type", fn(b"\x41\0\x11\7\0"), "unknown type 7")
    invalid("table.init: unknown segment", fn(b"\x41\0\x41\0\x41\0\xfc\x0c\7\0"), "unknown element segment 7")
    invalid("elem.drop: unknown segment", fn(b"\xfc\x0d\7"), "unknown element segment 7")
    for what, code in (("memory.init", b"\x41\0\x41\0\x41\0\xfc\x08\7\0"), ("data.drop", b"\xfc\x09\7")):
        invalid(f"{what}: unknown segment", fn(code), "unknown data segment 7")
        malformed(f"{what} without data count", fn(code[:-1 if "drop" in what else -2] + (b"\0" if "drop" in what else b"\0\0"),
                                                   count=None), "data count section required")
    for what, code in (("throw", b"\x08\7"), ("catch", b"\x06\x40\x07\7\x0b")):
        invalid(f"{what}: unknown tag", fn(code), "unknown tag 7")
    malformed("catch without try", fn(b"\x02\x40\x07\0\x0b"), "catch without try")
    malformed("catch behind catch_all", fn(b"\x06\x40\x19\x07\0\x0b"), "catch without try", "wabt")
    malformed("catch_all twice", fn(b"\x06\x40\x19\x19\x0b"), "catch without try")
    malformed("delegate without try", fn(b"\x02\x40\x18\0"), "delegate without try")
    invalid("delegate: unknown label", fn(b"\x06\x40\x18\7"), "unknown label 7")
    invalid("rethrow that is not in a catch", fn(b"\x06\x40\x09\0\x19\x0b"), "rethrow is not in a catch")
    invalid("try: its catch with another result", fn(b"\x06\x7f\x41\0\x07\0\x42\0\x0b\x1a"), mismatch)
    valid("try, catch, catch_all, rethrow", fn(b"\x06\x40\x07\1\x1a\x09\0\x19\x06\x40\x18\1\x0b"))


def memories():
    loads = {0x28: (I32, 2), 0x29: (I64, 3), 0x2A: (F32, 2), 0x2B: (F64, 3), 0x2C: (I32, 0), 0x2D: (I32, 0), 0x2E: (I32, 1),
             0x2F: (I32, 1), 0x30: (I64, 0), 0x31: (I64, 0), 0x32: (I64, 1), 0x33: (I64, 1), 0x34: (I64, 2), 0x35: (I64, 2)}
    stores = {0x36: (I32, 2), 0x37: (I64, 3), 0x38: (F32, 2), 0x39: (F64, 3), 0x3A: (I32, 0), 0x3B: (I32, 1), 0x3C: (I64, 0),
              0x3D: (I64, 1), 0x3E: (I64, 2)}
    const = {I32: b"\x41\0", I64: b"\x42\0", F32: b"\x43" + b"\0" * 4, F64: b"\x44" + b"\0" * 8}
    for ops, store in ((loads, False), (stores, True)):
        for op, (t, natural) in ops.items():
            before, behind = (const[t], b"") if store else (b"", b"\x1a")
            for align in range(natural + 1):
                valid(f"{op:#x}: align {align}", fn(b"\x41\0" + before + bytes([op, align, 0]) + behind))
            for align in (natural + 1, 5, 31):
                cases.append((f"{op:#x}: align {align}", fn(b"\x41\0" + before + bytes([op, align, 0]) + behind),
                              "(invalid|malformed) .*alignment must not be larger", ""))
            malformed(f"{op:#x}: flags", fn(b"\x41\0" + before + bytes([op, 0x80, 1, 0]) + behind), "malformed memop flags")
            invalid(f"{op:#x}: address i64", fn(b"\x42\0" + before + bytes([op, 0, 0]) + behind), "type mismatch")
            invalid(f"{op:#x}: address i32, 64-bit memory",
                    fn(b"\x41\0" + before + bytes([op, 0, 0]) + behind, memory=[b"\4\1"]), "type mismatch")
            invalid(f"{op:#x}: no memory", fn(b"\x41\0" + before + bytes([op, 0, 0]) + behind, memory=None,
                                              data=[b"\1\0"]), "unknown memory 0")
            invalid(f"{op:#x}: memory 7", fn(b"\x41\0" + before + bytes([op, 0x40, 7, 0]) + behind), "unknown memory 7")
            valid(f"{op:#x}: memory 1", fn(b"\x41\0" + before + bytes([op, 0x40, 1, 0]) + behind, memory=[b"\0\1"] * 2), "v8")
            for other in const:
                if other != t and store:
                    invalid(f"{op:#x}: value {other.hex()}", fn(b"\x41\0" + const[other] + bytes([op, 0, 0])), "type mismatch")
                elif other != t:
                    m = fn(b"\x41\0" + bytes([op, 0, 0]) + b"\x21\0", t=0, locals_=[b"\1" + other])
                    invalid(f"{op:#x}: result for {other.hex()}", m, "type mismatch")
    for what, code in (("memory.size", b"\x3f\0\x1a"), ("memory.grow", b"\x41\0\x40\0\x1a"), ("memory.fill", b"\x41\0" * 3 + b"\xfc\x0b\0"),
                       ("memory.copy", b"\x41\0" * 3 + b"\xfc\x0a\0\0"), ("memory.init", b"\x41\0" * 3 + b"\xfc\x08\0\0")):
        invalid(f"{what}: no memory", fn(code, memory=None), "unknown memory 0")


def operators():
    """Each numeric instruction with each combination of operands: V8 says which is valid."""
    push = {"i": b"\x41\0", "l": b"\x42\0", "f": b"\x43" + b"\0" * 4, "d": b"\x44" + b"\0" * 8, "r": b"\xd0\x70"}
    for op in [bytes([n]) for n in range(0x45, 0xC5)] + [b"\xfc" + bytes([n]) for n in range(8)]:
        for operands in ("", "i", "l", "f", "d", "r", "ii", "ll", "ff", "dd", "il", "li", "fd", "df", "if"):
            for result in (I32, I64, F32, F64):
                code = b"".join(push[c] for c in operands) + op + b"\x21\0"
                cases.append((f"{op.hex()} of {operands or 'nothing'} for {result.hex()}",
                              fn(code, locals_=[b"\1" + result]), None, "wabt" if has_node else ""))


def mutants(n):
    """Modules of above with bytes that are others: V8 says which is valid."""
    random.seed(int(os.environ.get("SEED", "1")))
    known = [c[1] for c in cases[:2000] if "v8" not in c[3]]
    for _ in range(n):
        b = bytearray(random.choice(known))
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            if len(b) > 8:
                b[random.randrange(8, len(b))] = random.choice(
                    (random.randrange(256), random.randrange(16), 0x40, 0x6F, 0x70, 0x7F))
        cases.append(("mutant", bytes(b), None, "wabt"))


for make in (headers, sections, names, numbers, types, limits, imports, constants, segments, bodies, control, variables,
             memories, operators):
    make()
mutants(int(os.environ.get("MUTANTS", "3000" if has_node else "0")))

FEATURES = ["--enable-tail-call", "--enable-extended-const", "--enable-memory64", "--enable-multi-memory",
            "--enable-relaxed-simd", "--enable-exceptions", "--enable-threads"]
V8 = """const fs = require('fs');
for (const f of process.argv.slice(2)) console.log(WebAssembly.validate(fs.readFileSync(f)) ? 1 : 0);"""


def by_v8(paths):
    flags = ["--experimental-wasm-" + f for f in ("memory64", "return-call", "extended-const", "relaxed-simd")]
    node = ["node", *flags, "-e", V8, "-", *paths]
    return subprocess.run(node, capture_output=True, text=True, check=True).stdout.split()


def by_wabt_now(bytes_):
    with tempfile.NamedTemporaryFile(suffix=".wasm") as f:
        f.write(bytes_)
        f.flush()
        return subprocess.run(["wasm-validate", *FEATURES, f.name], capture_output=True).returncode == 0


with tempfile.TemporaryDirectory() as work, ThreadPoolExecutor(2) as pool:
    paths = [f"{work}/{i}.wasm" for i in range(len(cases))]
    for path, case in zip(paths, cases):
        with open(path, "wb") as out:
            out.write(case[1])
    ours = []
    for i in range(0, len(paths), 1000):
        ours += subprocess.run([sys.argv[1], "-v", *paths[i:i + 1000]], capture_output=True, text=True).stdout.splitlines()
    wabt = list(pool.map(lambda p, c: "wabt" not in c[3] and subprocess.run(
        ["wasm-validate", *FEATURES, p], capture_output=True).returncode == 0, paths, cases))
    v8 = [n == "1" for n in sum([by_v8(paths[i:i + 1000]) for i in range(0, len(paths), 1000)], [])] if has_node else wabt
wrong = 0
for (what, bytes_, want, but), said, by_wabt, by_v8_ in zip(cases, ours, wabt, v8, strict=True):
    ok = said == "valid"
    good = said == "valid" if want == "" else bool(re.search(want, said)) and not ok if want else True
    if good and "wabt" not in but:
        good = ok == by_wabt
    if good and "v8" not in but and ok != by_v8_:  # which knows one memory: of mutants with its number wabt decides
        good = what == "mutant" and ok and by_wabt_now(bytes_)
    if not good:
        wrong += 1
        print(f"{what}: ours: {said}; want: {want or 'valid'}; wabt: {by_wabt}, V8: {by_v8_}: {bytes_.hex()}")
nvalid = sum(s == "valid" for s in ours)
print(f"{len(cases)} modules, {nvalid} of them valid, {sum(w is not None for _, _, w, _ in cases)} with a reason that is known, "
      f"{wrong} judged otherwise than they should be")
sys.exit(wrong > 0 or len(cases) < 8000)
