#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# large.py MB: a module with so much code, of functions with loops, calls and accesses, on standard output; _start is the
# first of them, which does nothing.
import sys


def u(n):
    return bytes([n & 127 | 128]) + u(n >> 7) if n > 127 else bytes([n])


def sized(b):
    return u(len(b)) + b


step = b"\x20\0\x41\x0a\x6c\x28\2\x08\x20\1\x6a\x21\1\x20\0\x20\1\x36\2\0\x20\0\x41\1\x10%b\x21\0"
work = int(sys.argv[1]) << 20
body, n, size = [sized(b"\0\x0b")], 1, 0
while size < work:
    code = b"\1\1\x7f\3\x40" + b"".join(step % u(n * 7919 % n or 1) for _ in range(12 + n % 30)) + b"\x20\0\x41\1\x6b\x22\0\x0d\0\x0b\x20\1\x0b"
    body.append(sized(code))
    size += len(body[-1])
    n += 1
types = b"\2\x60\0\0\x60\2\x7f\x7f\1\x7f"
out = b"\0asm\1\0\0\0"
for i, s in ((1, types), (3, u(n) + b"\0" + b"\1" * (n - 1)), (5, b"\1\0\2"), (7, b"\2\6_start\0\0\6memory\2\0"),
             (10, u(n) + b"".join(body))):
    out += bytes([i]) + sized(s)
sys.stdout.buffer.write(out)
