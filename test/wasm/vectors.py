#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# vectors.py NUMERIC|MEMORY: a module in the text format whose exports are one small test each, without parameters:
# every numeric instruction with values at the edges of its types (also with a constant operand, before a
# branch, from a local), every load and store at places in and around the end of memory. The results are
# whatever an engine says: test/wasm/conform compares ours with that of wabt.
import itertools
import sys

INT = {
    "i32": [0, 1, 2, 7, 31, 32, 33, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF8000, 0x12345678, 0x80, 0x8000],
    "i64": [0, 1, 2, 63, 64, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF, 0x80000000,
            0xFFFFFFFF80000000, 0x123456789ABCDEF0, 0x80, 0x8000],
}
FLT = {
    "f32": ["0", "-0", "1", "-1", "0.5", "-0.5", "1.5", "2.5", "-2.5", "0x1p-149", "0x1.fffffep127", "0x1p31",
            "-0x1p31", "0x1.fffffep30", "0x1p32", "0x1p63", "-0x1p63", "0x1p64", "8388607.5", "16777217", "inf",
            "-inf", "nan", "-nan", "nan:0x200000", "-2147483904", "-0.99"],
    "f64": ["0", "-0", "1", "-1", "0.5", "-0.5", "1.5", "2.5", "-2.5", "0x1p-1074", "0x1.fffffffffffffp1023",
            "0x1p31", "-0x1p31", "2147483647.9", "-2147483648.9", "-2147483649", "4294967295.9", "0x1p32", "0x1p63",
            "-0x1p63", "0x1p64", "4503599627370495.5", "9007199254740993", "1e-40", "3.4028235677973366e38", "inf",
            "-inf", "nan", "-nan", "nan:0x4000000000000", "-0.99"],
}
I_BIN = "add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr".split()
I_CMP = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u".split()
F_BIN = "add sub mul div min max copysign".split()
F_CMP = "eq ne lt gt le ge".split()
CONVERT = """i32.wrap_i64 i32.trunc_f32_s i32.trunc_f32_u i32.trunc_f64_s i32.trunc_f64_u i64.extend_i32_s
i64.extend_i32_u i64.trunc_f32_s i64.trunc_f32_u i64.trunc_f64_s i64.trunc_f64_u f32.convert_i32_s f32.convert_i32_u
f32.convert_i64_s f32.convert_i64_u f32.demote_f64 f64.convert_i32_s f64.convert_i32_u f64.convert_i64_s
f64.convert_i64_u f64.promote_f32 i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32 f64.reinterpret_i64
i32.trunc_sat_f32_s i32.trunc_sat_f32_u i32.trunc_sat_f64_s i32.trunc_sat_f64_u i64.trunc_sat_f32_s
i64.trunc_sat_f32_u i64.trunc_sat_f64_s i64.trunc_sat_f64_u""".split()
BITS = {"f32": "i32.reinterpret_f32", "f64": "i64.reinterpret_f64"}
out = []
count = 0


def export(result, body, locals_=""):
    global count
    out.append(f'(func (export "t{count}") (result {result}) {locals_} {body})')
    count += 1


def const(t, v):
    return f"({t}.const {v})"


def result_of(t, body, exact):
    """The bits of a float; a NaN may be any, unless the instruction moves bits only."""
    if t in INT:
        return t, body
    i = "i" + t[1:]
    if exact:
        return i, f"({BITS[t]} {body})"
    return i, (f"(local.set $r {body}) (select ({i}.const -1) ({BITS[t]} (local.get $r)) "
               f"({t}.ne (local.get $r) (local.get $r)))")


def emit(t_in, t_out, make, values, exact=False):
    """The instruction with constants, and with locals."""
    r, body = result_of(t_out, make(*[const(t_in, v) for v in values]), exact)
    local_r = "" if t_out in INT else f"(local $r {t_out})"
    export(r, body, local_r)
    names = ["$a", "$b"][:len(values)]
    sets = " ".join(f"(local.set {n} {const(t_in, v)})" for n, v in zip(names, values))
    r, body = result_of(t_out, make(*[f"(local.get {n})" for n in names]), exact)
    export(r, sets + " " + body, " ".join(f"(local {n} {t_in})" for n in names) + local_r)


def numeric():
    for t, values in INT.items():
        for op in ["clz", "ctz", "popcnt", "extend8_s", "extend16_s"] + (["extend32_s"] if t == "i64" else []):
            for v in values:
                emit(t, t, lambda x: f"({t}.{op} {x})", [v])
        for v in values:
            emit(t, "i32", lambda x: f"({t}.eqz {x})", [v])
        for op in I_BIN:
            for v in itertools.product(values, values):
                emit(t, t, lambda x, y: f"({t}.{op} {x} {y})", v)
        for op in I_CMP:
            for v in itertools.product(values, values):
                emit(t, "i32", lambda x, y: f"({t}.{op} {x} {y})", v)
                emit(t, "i32", lambda x, y: f"(if (result i32) ({t}.{op} {x} {y}) (then (i32.const 5)) (else (i32.const 6)))", v)
    for t, values in FLT.items():
        for op in ["abs", "neg", "ceil", "floor", "trunc", "nearest", "sqrt"]:
            for v in values:
                emit(t, t, lambda x: f"({t}.{op} {x})", [v], op in ("abs", "neg"))
        for op in F_BIN:
            for v in itertools.product(values, values):
                emit(t, t, lambda x, y: f"({t}.{op} {x} {y})", v, op == "copysign")
        for op in F_CMP:
            for v in itertools.product(values, values):
                emit(t, "i32", lambda x, y: f"({t}.{op} {x} {y})", v)
                emit(t, "i32", lambda x, y: f"(block (result i32) (drop (br_if 0 (i32.const 3) (i32.eqz ({t}.{op} {x} {y})))) (i32.const 4))", v)
    for op in CONVERT:
        t_out, rest = op.split(".")
        t_in = next(p for p in rest.split("_") if p in ("i32", "i64", "f32", "f64"))
        for v in {**INT, **FLT}[t_in]:
            emit(t_in, t_out, lambda x: f"({op} {x})", [v], "reinterpret" in op)


def memory():
    out.append('(memory 1 2) (data (i32.const 0) "' + "".join(f"\\{(i * 37 + 128) & 255:02x}" for i in range(64)) + '")')
    out.append('(data (i32.const 65520) "' + "".join(f"\\{(i * 59 + 200) & 255:02x}" for i in range(16)) + '")')
    out.append('(data $p "passive")')
    loads = {"i32.load": 4, "i64.load": 8, "f32.load": 4, "f64.load": 8}
    for t in ("i32", "i64"):
        for n in (1, 2) + ((4,) if t == "i64" else ()):
            for s in "su":
                loads[f"{t}.load{n * 8}_{s}"] = n
    places = lambda n: [(0, 0), (1, 0), (0, 3), (3, 5), (65536 - n, 0), (0, 65536 - n), (65536 - n - 8, 8),
                        (65536 - n + 1, 0), (65536, 0), (0, 65536), (0xFFFFFFFF, 0), (0xFFFFFFFF, 0xFFFFFFFF), (0x80000000, 65535)]
    for op, n in loads.items():
        t = op[:3]
        for at, off in places(n):
            emit("i32", t, lambda x: f"({op} offset={off} {x})", [at], True)
    stores = {"i32.store": 4, "i64.store": 8, "f32.store": 4, "f64.store": 8, "i32.store8": 1, "i32.store16": 2,
              "i64.store8": 1, "i64.store16": 2, "i64.store32": 4}
    for op, n in stores.items():
        t = op[:3]
        v = {"i32": "0x89abcdef", "i64": "0x8123456789abcdef", "f32": "nan:0x234567", "f64": "nan:0x23456789abcde"}[t]
        for at, off in places(n):
            export("i64", f"({op} offset={off} (i32.const {at}) ({t}.const {v})) (i64.load offset=65528 (i32.const 0))")
            export("i64", f"(local.set $a (i32.const {at})) ({op} offset={off} (local.get $a) ({t}.const {v})) (i64.load (i32.const 0))", "(local $a i32)")
    for d, s, n in itertools.product([0, 8, 65528, 65536, 0xFFFFFFFF], repeat=3):
        export("i64", f"(memory.copy (i32.const {d}) (i32.const {s}) (i32.const {n})) (i64.load (i32.const 8))")
        export("i64", f"(memory.fill (i32.const {d}) (i32.const {s}) (i32.const {n})) (i64.load (i32.const 4))")
    for d, s, n in itertools.product([0, 5, 65533, 65536], [0, 3, 7, 8], [0, 3, 7, 8]):
        export("i64", f"(memory.init $p (i32.const {d}) (i32.const {s}) (i32.const {n})) (i64.load (i32.const 5))")
    export("i32", "(data.drop $p) (memory.init $p (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 1)")
    export("i32", "(memory.init $p (i32.const 0) (i32.const 0) (i32.const 1)) (i32.const 1)")
    for n in (0, 2, 1, 1, 0, 0xFFFFFFFF):
        export("i32", f"(i32.add (i32.mul (memory.grow (i32.const {n})) (i32.const 100)) (memory.size))")
    export("i64", "(i64.load (i32.const 131064))")
    export("i64", "(i64.load (i32.const 131065))")


{"NUMERIC": numeric, "MEMORY": memory}[sys.argv[1]]()
print("(module")
print("\n".join(out))
print(")")
