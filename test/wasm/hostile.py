#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# hostile.py FOLDER: modules that want too much, one file each: depth, sizes, endless work.
import sys


def u(n):
    return bytes([n & 127 | 128]) + u(n >> 7) if n > 127 else bytes([n])


def sized(b):
    return u(len(b)) + b


def module(code, types=b"\1\x60\0\0", table=b"", memory=b"", more=(), locals_=b"\0", start=b"", globals_=b""):
    """_start has this code; further functions are @more."""
    n = 1 + len(more)
    bodies = [sized(locals_ + code + b"\x0b")] + [sized(b"\0" + m + b"\x0b") for m in more]
    parts = [(1, types), (3, u(n) + b"\0" * n), (4, table), (5, memory), (6, globals_), (7, b"\1\6_start\0\0"), (8, start),
             (9, b"\1\0\x41\0\x0b\1\0" if table and b"\x11" in code else b""), (10, u(n) + b"".join(bodies))]
    return b"\0asm\1\0\0\0" + b"".join(bytes([k]) + sized(v) for k, v in parts if v)


forever = b"\x03\x40\x0c\0\x0b"
modules = {
    "blocks": module(b"\x02\x40" * 300000 + b"\x0b" * 300000),
    "loops": module(b"\x03\x40" * 100000 + b"\x0b" * 100000),
    "ifs": module(b"\x41\1\x04\x40" * 100000 + b"\x0b" * 100000),
    "tries": module(b"\x06\x40" * 50000 + b"\x19\x0b" * 50000),
    "values": module(b"\x41\1" * 100000 + b"\x1a" * 100000),
    "operands": module(b"\x41\1" * 60000 + b"\x6a" * 59999 + b"\x1a"),
    "labels": module(b"\x41\0\x0e" + u(900000) + b"\0" * 900001),
    "many-labels": module(b"\x41\0\x0e" + u(2000000) + b"\0" * 2000001),
    "locals": module(b"", locals_=b"\1" + u(1 << 31) + b"\x7f"),
    "constant": module(b"", globals_=b"\1\x7f\0" + b"\x41\1" * 100000 + b"\x6a" * 99999 + b"\x0b"),
    "table": module(b"", table=b"\1\x70\0" + u(0xFFFFFFFF)),
    "memory": module(b"", memory=b"\1\0" + u(65536)),
    "memory64": module(b"", memory=b"\1\4" + u(1 << 47)),
    "memories": module(b"", memory=u(5000) + b"\0\1" * 5000),
    "grow": module(b"\x03\x40\x41\1\x40\0\x41\x7f\x47\x0d\0\x0b", memory=b"\1\0\1"),
    "grow-table": module(b"\x03\x40\xd0\x70\x41\x80\x20\xfc\x0f\0\x41\x7f\x47\x0d\0\x0b", table=b"\1\x70\0\1"),
    "recursion": module(b"\x10\0"),
    "wide-recursion": module(b"\x10\0", locals_=b"\1" + u(50000) + b"\x7e"),
    "indirect-recursion": module(b"\x41\0\x11\0\0", table=b"\1\x70\0\1"),
    "mutual-recursion": module(b"\x10\1", more=[b"\x10\2", b"\x10\0"]),
    "tail-recursion": module(b"\x12\0"),
    "forever": module(forever),
    "start-forever": module(b"", more=[forever], start=b"\1"),
    "fill": module(b"\x03\x40\x41\0\x41\1\x41\x80\x80\x80\x18\xfc\x0b\0\x0c\0\x0b", memory=b"\1\0" + u(768)),
    "copy": module(b"\x03\x40\x41\1\x41\0\x41\x80\x80\xc0\0\xfc\x0a\0\0\x0c\0\x0b", memory=b"\1\0" + u(768)),
}
for name, bytes_ in modules.items():
    with open(f"{sys.argv[1]}/{name}.wasm", "wb") as out:
        out.write(bytes_)
