#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# valid.py RUNNER: small modules with one instruction on vectors each, with every kind of operands, alignments and
# lanes, most of them not valid: our validator beside wabt's.
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

PUSH = {"i": b"\x41\0", "l": b"\x42\0", "f": b"\x43" + b"\0" * 4, "d": b"\x44" + b"\0" * 8,
        "v": b"\xfd\x0c" + b"\0" * 16}
OPERANDS = ["", "v", "vv", "vvv", "vi", "vl", "vf", "vd", "i", "l", "f", "d", "iv"]
LANES = [0, 1, 2, 3, 4, 7, 8, 15, 16, 255]
DROP = b"\x1a"


def uleb(n):
    return bytes([n & 127 | 128]) + uleb(n >> 7) if n > 127 else bytes([n])


def module(operands, op, immediate, behind):
    body = b"\0" + b"".join(PUSH[c] for c in operands) + b"\xfd" + uleb(op) + immediate + behind + b"\x0b"
    code = b"\1" + uleb(len(body)) + body
    return b"\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0\5\3\1\0\1\x0a" + uleb(len(code)) + code


def immediate_of(op):
    if op <= 0x0B or 0x5C <= op <= 0x5D:
        return b"\0\0"
    if op in (0x0C, 0x0D):
        return bytes(range(16))
    return b"\0" if 0x15 <= op <= 0x22 else b"\0\0\0" if 0x54 <= op <= 0x5B else b""


def cases():
    for op in range(0x118):
        for operands in OPERANDS:
            for behind in (b"", DROP):
                yield op, module(operands, op, immediate_of(op), behind)
    for op in [*range(0x0C), *range(0x54, 0x5E)]:
        of_lane, stores = 0x54 <= op <= 0x5B, op == 0x0B or 0x58 <= op <= 0x5B
        for align in range(6):
            for lane in LANES if of_lane else [None]:
                yield op, module("iv" if of_lane or stores else "i", op,
                                 bytes([align, 0] + ([lane] if of_lane else [])), b"" if stores else DROP)
    for op in range(0x15, 0x23):
        for lane in LANES:
            for operands in ("v", "vi", "vl", "vf", "vd"):
                yield op, module(operands, op, bytes([lane]), DROP)
    for lane in (0, 31, 32, 255):
        yield 0x0D, module("vv", 0x0D, b"\0" * 15 + bytes([lane]), DROP)


def same(case):
    path = f"{work}/{case[0]}.wasm"
    with open(path, "wb") as out:
        out.write(case[1][1])
    theirs = subprocess.run(["wasm-validate", "--enable-relaxed-simd", path], capture_output=True).returncode == 0
    ours = subprocess.run([sys.argv[1], "-v", path], capture_output=True, text=True)
    os.unlink(path)
    if theirs != (ours.returncode == 0):
        print(f"0xfd 0x{case[1][0]:x}: theirs {theirs}, ours: {ours.stdout.strip()}: {case[1][1].hex()}")
    return theirs, theirs == (ours.returncode == 0)


with tempfile.TemporaryDirectory() as work, ThreadPoolExecutor(2) as pool:
    results = list(pool.map(same, enumerate(cases())))
valid = sum(theirs for theirs, _ in results)
wrong = sum(not ok for _, ok in results)
print(f"{len(results)} modules, {valid} of them valid, {wrong} judged otherwise than by wasm-validate")
sys.exit(wrong > 0 or valid < 400)
