#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# vectors.py NUMERIC|MEMORY|VECTOR|RELAXED|ATOMIC: a module in the text format whose exports are one small test each, without parameters:
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


# Vectors: lanes at the edges of their types, as the text format writes them.
LANES = {
    "i8x16": ["0 1 127 128 255 129 2 254 0x55 0xaa 3 64 200 16 31 7", "128 128 127 127 1 0 255 255 16 15 0x80 8 9 240 5 100",
              "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0", "7 6 5 4 3 2 1 15 14 13 12 11 10 9 8 1"],
    "i16x8": ["0 1 32767 32768 65535 32769 0x1234 128", "32768 32768 32767 1 65535 2 0xff80 255",
              "256 0x8000 0x7fff 0xffff 127 129 16384 49152"],
    "i32x4": ["0 1 0x7fffffff 0x80000000", "0xffffffff 0x80000000 0x80000000 0x8000", "65536 0xffff8000 0x12345678 0xffff7fff"],
    "i64x2": ["0 1", "0x7fffffffffffffff 0x8000000000000000", "-1 0x8000000000000000", "0x123456789abcdef0 -0x123456789a",
              "0x100000000 0xffffffff"],
    "f32x4": ["0 -0 1 -1", "-0 0 -1.5 2.5", "inf -inf 0x1p-149 0x1.fffffep127", "nan -nan 0.5 -0.5", "1 nan -nan inf",
              "0x1p31 -0x1p31 0x1p32 0x1.fffffep30", "8388607.5 -2.5 -2147483904 3.5"],
    "f64x2": ["0 -0", "-0 0", "1 -1.5", "2.5 -2.5", "inf -inf", "nan 1", "-1 nan", "0x1p31 -0x1p31",
              "4503599627370495.5 1e-40", "3.4028235677973366e38 0x1p-1074", "4294967295.9 -2147483648.9", "-inf 0.5"],
}
V_ONE = {
    "i8x16": "abs neg popcnt", "i16x8": "abs neg extadd_pairwise_i8x16_s extadd_pairwise_i8x16_u extend_low_i8x16_s "
    "extend_high_i8x16_s extend_low_i8x16_u extend_high_i8x16_u", "i32x4": "abs neg extadd_pairwise_i16x8_s "
    "extadd_pairwise_i16x8_u extend_low_i16x8_s extend_high_i16x8_s extend_low_i16x8_u extend_high_i16x8_u "
    "trunc_sat_f32x4_s trunc_sat_f32x4_u trunc_sat_f64x2_s_zero trunc_sat_f64x2_u_zero",
    "i64x2": "abs neg extend_low_i32x4_s extend_high_i32x4_s extend_low_i32x4_u extend_high_i32x4_u",
    "f32x4": "abs neg sqrt ceil floor trunc nearest convert_i32x4_s convert_i32x4_u demote_f64x2_zero",
    "f64x2": "abs neg sqrt ceil floor trunc nearest convert_low_i32x4_s convert_low_i32x4_u promote_low_f32x4",
}
V_CMP = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u "
V_TWO = {
    "i8x16": V_CMP + "swizzle narrow_i16x8_s narrow_i16x8_u add add_sat_s add_sat_u sub sub_sat_s sub_sat_u min_s min_u "
    "max_s max_u avgr_u",
    "i16x8": V_CMP + "narrow_i32x4_s narrow_i32x4_u add add_sat_s add_sat_u sub sub_sat_s sub_sat_u mul min_s min_u max_s "
    "max_u avgr_u q15mulr_sat_s extmul_low_i8x16_s extmul_high_i8x16_s extmul_low_i8x16_u extmul_high_i8x16_u",
    "i32x4": V_CMP + "add sub mul min_s min_u max_s max_u dot_i16x8_s extmul_low_i16x8_s extmul_high_i16x8_s "
    "extmul_low_i16x8_u extmul_high_i16x8_u",
    "i64x2": "eq ne lt_s gt_s le_s ge_s add sub mul extmul_low_i32x4_s extmul_high_i32x4_s extmul_low_i32x4_u "
    "extmul_high_i32x4_u",
    "f32x4": "eq ne lt gt le ge add sub mul div min max pmin pmax", "f64x2": "eq ne lt gt le ge add sub mul div min max pmin pmax",
}
V_INT = {"i8x16": "all_true bitmask", "i16x8": "all_true bitmask", "i32x4": "all_true bitmask", "i64x2": "all_true bitmask"}
MOVES = ("abs", "neg", "pmin", "pmax")


def vconst(shape, lanes):
    return f"(v128.const {shape} {lanes})"


def sources(shape, op):
    """What an instruction reads: the shape that its name ends with, or its own."""
    return next((p for p in op.split("_") if p in LANES and p != shape), shape)


def halves(shape, op, body):
    """Both halves of a vector, a NaN in a float's lane as -1; the vector twice, from a local and as it comes."""
    exact = shape[0] != "f" or op in MOVES or op in ("eq", "ne", "lt", "gt", "le", "ge")
    r = "(local.get $r)"
    clean = r if exact else f"(v128.or {r} (v128.not ({shape}.eq {r} {r})))"
    for half in (0, 1):
        export("i64", f"(local.set $r {body}) (i64x2.extract_lane {half} {clean})", "(local $r v128) (local $a v128) (local $b v128)")


def vector_emit(shape, op, make, values):
    names = ["$a", "$b", "$c"][:len(values)]
    halves(shape, op, make(*values))
    sets = " ".join(f"(local.set {n} {v})" for n, v in zip(names, values))
    r = ("(block (result v128) " + sets + " " + make(*[f"(local.get {n})" for n in names]) + ")")
    halves(shape, op, r)


def vectors():
    for shape, ops in V_ONE.items():
        for op in ops.split():
            for v in LANES[sources(shape, op)]:
                vector_emit(shape, op, lambda x: f"({shape}.{op} {x})", [vconst(sources(shape, op), v)])
    for shape, ops in V_TWO.items():
        for op in ops.split():
            s = sources(shape, op)
            for v in itertools.product(LANES[s], LANES[s]):
                vector_emit(shape, op, lambda x, y: f"({shape}.{op} {x} {y})", [vconst(s, x) for x in v])
    for shape, ops in V_INT.items():
        for op in ops.split() + ["any_true"]:
            name = f"{shape}.{op}" if op != "any_true" else "v128.any_true"
            for v in LANES[shape]:
                c = vconst(shape, v)
                export("i32", f"({name} {c})")
                export("i32", f"(select (i32.const 3) (i32.const 4) ({name} (v128.not {c})))")
        for op, v, k in itertools.product(["shl", "shr_s", "shr_u"], LANES[shape], [0, 1, 7, 8, 15, 31, 33, 63, 64, -1]):
            halves(shape, op, f"({shape}.{op} {vconst(shape, v)} (i32.const {k}))")
            halves(shape, op, f"({shape}.{op} {vconst(shape, v)} (i32.clz (i32.shr_u (i32.const -1) (i32.const {k}))))")
    lanes()
    for op, v in itertools.product("and or xor andnot".split(), itertools.product(LANES["i64x2"], LANES["i64x2"])):
        vector_emit("i64x2", op, lambda x, y: f"(v128.{op} {x} {y})", [vconst("i64x2", x) for x in v])
    for v in itertools.product(LANES["i32x4"], LANES["i32x4"], LANES["i32x4"]):
        halves("i32x4", "", f"(v128.bitselect {' '.join(vconst('i32x4', x) for x in v)})")
    for v in LANES["i32x4"]:
        halves("i32x4", "", f"(v128.not {vconst('i32x4', v)})")
    vector_memory()


SHUFFLES = ["0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15", "0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23",
            "8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31", "4 5 6 7 20 21 22 23 0 1 2 3 16 17 18 19",
            "8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31", "5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20",
            "12 13 14 15 8 9 10 11 4 5 6 7 0 1 2 3", "31 0 30 1 29 2 28 3 27 4 26 5 25 6 24 7",
            "17 16 19 18 21 20 23 22 25 24 27 26 29 28 31 30", "3 3 3 3 3 3 3 3 15 15 15 15 1 1 1 1",
            "28 29 30 31 0 1 2 3 4 5 6 7 8 9 10 11", "20 21 22 23 16 17 18 19 28 29 30 31 24 25 26 27",
            "0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23", "0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23"]


def lanes():
    a, b = vconst("i8x16", LANES["i8x16"][0]), vconst("i8x16", LANES["i8x16"][1])
    for m in SHUFFLES:
        vector_emit("i8x16", "", lambda x, y: f"(i8x16.shuffle {m} {x} {y})", [a, b])
        vector_emit("i8x16", "", lambda x: f"(i8x16.shuffle {m} {x} {x})", [a])
    for shape, t in {"i8x16": "i32", "i16x8": "i32", "i32x4": "i32", "i64x2": "i64", "f32x4": "f32", "f64x2": "f64"}.items():
        n = int(shape.split("x")[1])
        for v in {**INT, **FLT}[t][:8]:
            halves(shape, "abs", f"({shape}.splat {const(t, v)})")
            for lane in {0, 1, n // 2, n - 1}:
                halves(shape, "abs", f"({shape}.replace_lane {lane} {a} {const(t, v)})")
        for v, lane in itertools.product(LANES[shape], range(n)):
            for sign in (["_s", "_u"] if n > 4 else [""]):
                r, body = result_of(t, f"({shape}.extract_lane{sign} {lane} {vconst(shape, v)})", True)
                export(r, body)


def vector_memory():
    out.append('(memory 1 2) (data (i32.const 0) "' + "".join(f"\\{(i * 37 + 128) & 255:02x}" for i in range(64)) + '")')
    out.append('(data (i32.const 65520) "' + "".join(f"\\{(i * 59 + 200) & 255:02x}" for i in range(16)) + '")')
    out.append('(global $g (mut v128) (v128.const i32x4 1 2 3 4)) (global $k v128 (v128.const i64x2 5 -6))')
    out.append('(func $two (param v128 i32 v128) (result v128 i32 v128) (local.get 2) (i32.add (local.get 1) (i32.const 1)) (local.get 0))')
    loads = {"load": 16, "load8x8_s": 8, "load8x8_u": 8, "load16x4_s": 8, "load16x4_u": 8, "load32x2_s": 8, "load32x2_u": 8,
             "load8_splat": 1, "load16_splat": 2, "load32_splat": 4, "load64_splat": 8, "load32_zero": 4, "load64_zero": 8}
    a = vconst("i8x16", LANES["i8x16"][0])
    places = lambda n: [(0, 0), (1, 0), (3, 5), (65536 - n, 0), (0, 65536 - n), (65536 - n + 1, 0), (65536, 0), (0xFFFFFFFF, 0xFFFFFFFF)]
    for op, n in loads.items():
        for at, off in places(n):
            halves("i8x16", "", f"(v128.{op} offset={off} (i32.const {at}))")
    for n in (1, 2, 4, 8):
        for (at, off), lane in itertools.product(places(n), {0, 16 // n - 1, 8 // n}):
            halves("i8x16", "", f"(v128.load{n * 8}_lane offset={off} {lane} (i32.const {at}) {a})")
            halves("i8x16", "", f"(block (result v128) (local.set $a {a}) (v128.load{n * 8}_lane offset={off} {lane} (i32.const {at}) (local.get $a)))")
            export("i64", f"(v128.store{n * 8}_lane offset={off} {lane} (i32.const {at}) {a}) (i64.load offset=65528 (i32.const 0))")
            export("i64", f"(local.set $a {a}) (v128.store{n * 8}_lane offset={off} {lane} (i32.const {at}) (local.get $a)) (i64.load (i32.const 0))", "(local $a v128)")
    for at, off in places(16):
        export("i64", f"(v128.store offset={off} (i32.const {at}) {a}) (i64.load offset=65528 (i32.const 0))")
        export("i64", "(i64.load offset=65520 (i32.const 0))")
        export("i64", "(i64.load offset=8 (i32.const 0))")
    halves("i8x16", "", f"(block (result v128) (global.set $g (v128.add_or (global.get $g) {a})) (global.get $g))".replace("v128.add_or", "i8x16.add"))
    halves("i8x16", "", "(global.get $k)")
    for k in (0, 1):
        halves("i8x16", "", f"(select (global.get $k) {a} (i32.const {k}))")
        halves("i8x16", "", f"(select (result v128) (global.get $k) {a} (i32.clz (i32.const {k - 1})))")
        halves("i8x16", "", f"(block (result v128) (br_if 0 {a} (i32.const {k})) (drop) (global.get $k))")
        halves("i8x16", "", f"(if (result v128) (i32.const {k}) (then {a}) (else (v128.not {a})))")
    halves("i32x4", "", f"(block (result v128) (call $two {a} (i32.const 4) (global.get $k)) (local.set $a) (i32x4.splat) (i32x4.add) (i32x4.sub (local.get $a)))")
    halves("i32x4", "", "(block (result v128) (loop $l (local.set $a (i32x4.add (local.get $a) (i32x4.splat (i32.const 3)))) "
           "(local.set $b (i32x4.add (local.get $b) (local.get $a))) (br_if $l (i32.lt_u (i32x4.extract_lane 1 (local.get $a)) (i32.const 3000)))) (local.get $b))")


def relaxed():
    ints, floats = LANES["i8x16"], LANES["f32x4"]
    halves("i8x16", "", f"(i8x16.relaxed_swizzle {vconst('i8x16', ints[0])} {vconst('i8x16', ints[3])})")
    for v in ["1.5 -2.5 100 -0.5", "0 -0 2147483520 7.99"]:
        for s in "su":
            w = v.replace("-", "") if s == "u" else v
            halves("i32x4", "", f"(i32x4.relaxed_trunc_f32x4_{s} {vconst('f32x4', w)})")
            halves("i32x4", "", f"(i32x4.relaxed_trunc_f64x2_{s}_zero {vconst('f64x2', ' '.join(w.split()[:2]))})")
    for shape in ("f32x4", "f64x2"):
        n = int(shape[-1])
        few = [vconst(shape, " ".join("3 -4 0.5 100".split()[:n])), vconst(shape, " ".join("-2 7 8 0".split()[:n])),
               vconst(shape, " ".join("inf 1 -1 0.25".split()[:n]))]
        for v in itertools.product(few, few, few):
            for op in ("madd", "nmadd"):
                halves(shape, "", f"({shape}.relaxed_{op} {' '.join(v)})")
        for v in itertools.product(few, few):
            for op in ("min", "max"):
                halves(shape, "", f"({shape}.relaxed_{op} {' '.join(v)})")
    mask = "0 -1 0 -1"
    for shape in ("i8x16", "i16x8", "i32x4", "i64x2"):
        halves(shape, "", f"({shape}.relaxed_laneselect {vconst(shape, LANES[shape][0])} {vconst(shape, LANES[shape][1])} {vconst('i64x2', '0 -1')})")
    x, y = vconst("i8x16", ints[3]), vconst("i8x16", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16")
    halves("i16x8", "", f"(i16x8.relaxed_q15mulr_s {vconst('i16x8', '1 2 32767 100 16384 8 7 6')} {vconst('i16x8', '3 32768 5 6 7 8 9 10')})")
    halves("i16x8", "", f"(i16x8.dot_i8x16_i7x16_s {x} {y})")


def atomics():
    out.append("(memory 1 2 shared)")
    places = [0, 8, 1, 4, 65528, 65536, 65532, 0xFFFFFFFF]
    widths = [("i32", "", 4), ("i64", "", 8), ("i32", "8", 1), ("i32", "16", 2), ("i64", "8", 1), ("i64", "16", 2), ("i64", "32", 4)]
    values = {"i32": ["0x12345678", "-1", "0x80"], "i64": ["0x123456789abcdef0", "-1", "0x80"]}
    for t, w, n in widths:
        u = "_u" if w else ""
        for at in places:
            at = at if at % n == 0 or at < 8 or n > 4 else at - at % n
            here = f"(i64.store (i32.const 8) (i64.const 0x8192a3b4c5d6e7f8)) (i64.store (i32.const 0) (i64.const 0x7766554433221180)) (i64.store offset=65528 (i32.const 0) (i64.const -3))"
            left = "(i64.xor (i64.load (i32.const 0)) (i64.xor (i64.load (i32.const 8)) (i64.load offset=65528 (i32.const 0))))"
            export(t, f"{here} ({t}.atomic.load{w}{u} (i32.const {at}))")
            for v in values[t]:
                export("i64", f"{here} ({t}.atomic.store{w} (i32.const {at}) ({t}.const {v})) {left}")
                for op in ("add", "sub", "and", "or", "xor", "xchg"):
                    export(t, f"{here} ({t}.atomic.rmw{w}.{op}{u} (i32.const {at}) ({t}.const {v}))")
                    export("i64", left)
                for e in ("0x80", "0xf8", "0xfffffffd", "0x33221180"):
                    export(t, f"{here} ({t}.atomic.rmw{w}.cmpxchg{u} (i32.const {at}) ({t}.const {e}) ({t}.const {v}))")
                    export("i64", left)


{"NUMERIC": numeric, "ATOMIC": atomics, "MEMORY": memory, "VECTOR": vectors, "RELAXED": relaxed}[sys.argv[1]]()
print("(module")
print("\n".join(out))
print(")")
