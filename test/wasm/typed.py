#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# typed.py ENCODE RUNNER: typed references of functions. Texts that keep the rules, with what their functions give by
# both engines, and texts that break one each, refused for the right reason; where a Node is there that knows them (22
# and later; NODE=... names one), V8 judges and runs them likewise, and MUTANTS of them. wabt 1.0.32 knows an older
# proposal. Spec: WASM-CORE 3.0 §3.3, 3.4, 5.3
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

HEAD = """(type $v (func)) (type $ii (func (param i32) (result i32))) (type $ll (func (param i64) (result i64)))
(rec (type $even (func (param i32) (result (ref null $odd)))) (type $odd (func (param i32) (result (ref null $even)))))
(type $self (func (param (ref null $self)) (result i32))) (type $like (func (param i32) (result i32)))
(func $inc (type $ii) (i32.add (local.get 0) (i32.const 1))) (func $neg (type $ii) (i32.sub (i32.const 0) (local.get 0)))
(func $long (type $ll) (i64.add (local.get 0) (i64.const 1))) (elem declare func $inc $neg $long)
"""
# expressions of i32 (in a function with locals $i i32 = 5, $n (ref null $ii), $r (ref $ii)), and what they give
GIVE = [
    ("(call_ref $ii (i32.const 4) (ref.func $inc))", 5),
    ("(call_ref $like (i32.const 4) (ref.func $inc))", 5),
    ("(call_ref $ii (local.get $i) (ref.as_non_null (ref.func $neg)))", -5),
    ("(i32.wrap_i64 (call_ref $ll (i64.const 0xffffffff) (ref.func $long)))", 0),
    ("(local.set $n (ref.func $inc)) (call_ref $ii (i32.const 1) (local.get $n))", 2),
    ("(local.set $r (ref.func $inc)) (call_ref $ii (i32.const 1) (local.get $r))", 2),
    ("(call_ref $ii (i32.const 1) (local.tee $r (ref.func $neg)))", -1),
    ("(ref.is_null (local.get $n))", 1), ("(ref.is_null (ref.func $inc))", 0),
    ("(block $b (drop (br_on_null $b (local.get $n))) (return (i32.const 1))) (i32.const 2)", 2),
    ("(local.set $n (ref.func $inc)) (block $b (drop (br_on_null $b (local.get $n))) (return (i32.const 1))) (i32.const 2)", 1),
    ("(block $b (result i32) (drop (br_on_null $b (i32.const 7) (local.get $n))) (drop) (i32.const 1))", 7),
    ("(block $b (result i32) (drop (br_on_null $b (i32.const 7) (ref.func $inc))) (drop) (i32.const 1))", 1),
    ("(block $b (result i32 i64) (drop (br_on_null $b (i32.const 7) (i64.const 8) (local.get $n)))) (drop)", 7),
    ("(local.set $r (block $b (result (ref $ii)) (br_on_non_null $b (local.get $n)) (return (i32.const 3))))"
     " (call_ref $ii (i32.const 1) (local.get $r))", 3),
    ("(local.set $n (ref.func $neg)) (local.set $r (block $b (result (ref $ii)) (br_on_non_null $b (local.get $n))"
     " (return (i32.const 3)))) (call_ref $ii (i32.const 1) (local.get $r))", -1),
    ("(local.set $n (ref.func $neg)) (block $b (result i32 (ref $ii)) (br_on_non_null $b (i32.const 9) (local.get $n))"
     " (return)) (local.set $r) (call_ref $ii (local.get $r))", -9),
    ("(block $b (result i32 (ref $ii)) (br_on_non_null $b (i32.const 9) (local.get $n)) (return)) (drop)", 9),
    ("(call_ref $ii (i32.const 6) (select (result (ref null $ii)) (ref.func $inc) (ref.func $neg) (local.get $i)))", 7),
    ("(call_ref $ii (i32.const 6) (table.get $t (i32.const 1)))", -6),
    ("(call_indirect $t (type $like) (i32.const 6) (i32.const 0))", 7),
    ("(table.set $t (i32.const 0) (ref.func $neg)) (call_indirect $t (type $ii) (i32.const 6) (i32.const 0))", -6),
    ("(table.fill $f (i32.const 2) (ref.func $neg) (i32.const 1)) (call_ref $ii (i32.const 3) (table.get $f (i32.const 2)))", -3),
    ("(call_ref $ii (i32.const 3) (table.get $f (i32.const 3)))", 4),
    ("(drop (table.grow $f (ref.func $neg) (i32.const 1))) (call_ref $ii (i32.const 3) (table.get $f (i32.const 4)))", -3),
    ("(table.copy $any $t (i32.const 0) (i32.const 0) (i32.const 2)) (call_indirect $any (type $ii) (i32.const 3) (i32.const 1))", -3),
    ("(table.init $t $two (i32.const 0) (i32.const 0) (i32.const 2)) (call_ref $ii (i32.const 3) (table.get $t (i32.const 0)))", -3),
    ("(call_ref $ii (i32.const 3) (global.get $g))", 4),
    ("(global.set $m (ref.func $neg)) (call_ref $ii (i32.const 3) (global.get $m))", -3),
    ("(call_ref $self (ref.func $myself) (ref.func $myself))", 77),
    ("(call $count (i32.const 100001))", 1), ("(call $count (i32.const 100000))", 0),
    ("(if (local.get $i) (then (local.set $r (ref.func $inc))) (else (local.set $r (ref.func $neg)))) (local.set $r (ref.func $inc))"
     " (call_ref $ii (i32.const 3) (local.get $r))", 4),
    ("(block $b (result (ref func)) (ref.func $inc)) (ref.is_null)", 0),
    ("(block $b (try_table (catch_all $b) (return (call_ref $ii (i32.const 1) (ref.func $inc))))) (i32.const 0)", 2),
    ("(unreachable) (call_ref $ii)", "unreachable"), ("(unreachable) (ref.as_non_null) (call_ref $ii)", "unreachable"),
    ("(unreachable) (block (param (ref $ii)) (drop)) (i32.const 0)", "unreachable"),
    ("(call_ref $ii (i32.const 4) (local.get $n))", "null function reference"),
    ("(call_ref $ii (i32.const 4) (ref.null $ii))", "null function reference"),
    ("(ref.is_null (ref.as_non_null (local.get $n)))", "null reference"),
    ("(ref.is_null (ref.as_non_null (ref.null extern)))", "null reference"),
    ("(return_call_ref $ii (i32.const 4) (ref.func $neg))", -4),
    ("(return_call_ref $ii (i32.const 4) (local.get $n))", "null function reference"),
]
MORE = """(table $t 2 (ref null $ii)) (table $f 4 9 (ref $ii) (ref.func $inc)) (table $any 3 funcref)
(elem (table $t) (i32.const 0) (ref null $ii) (ref.func $inc) (ref.func $neg))
(elem $two (ref $ii) (ref.func $neg) (ref.func $inc))
(global $g (ref $ii) (ref.func $inc)) (global $m (mut (ref null $ii)) (ref.null $ii))
(func $myself (type $self) (if (ref.is_null (local.get 0)) (then (return (i32.const 77))))
  (return_call_ref $self (ref.null $self) (local.get 0)))
(func $iseven (type $even) (i32.eqz (local.get 0)) (if (then (return (ref.null $odd)))) (ref.func $isodd))
(func $isodd (type $odd) (i32.eqz (local.get 0)) (if (then (return (ref.null $even)))) (ref.func $iseven))
(elem declare func $iseven $isodd $myself)
(func $count (param $i i32) (result i32) (local $e (ref null $even)) (local $o (ref null $odd))
  (local.set $e (ref.func $iseven))
  (loop $l
    (local.set $o (call_ref $even (local.get $i) (local.get $e)))
    (if (ref.is_null (local.get $o)) (then (return (i32.const 0))))
    (local.set $i (i32.sub (local.get $i) (i32.const 1)))
    (local.set $e (call_ref $odd (local.get $i) (local.get $o)))
    (if (ref.is_null (local.get $e)) (then (return (i32.const 1))))
    (local.set $i (i32.sub (local.get $i) (i32.const 1)))
    (br $l))
  (unreachable))
"""
# fields behind HEAD that are valid, and nothing else
VALID = [
    "(func (param (ref $ii)) (result (ref null $ii)) (local.get 0))", "(func (param (ref $ii)) (result funcref) (local.get 0))",
    "(func (param (ref $ii)) (result (ref func)) (local.get 0))", "(func (param (ref $ii)) (result (ref $like)) (local.get 0))",
    "(rec (type $e2 (func (param i32) (result (ref null $o2)))) (type $o2 (func (param i32) (result (ref null $e2)))))"
    "(func (param (ref $even)) (result (ref $e2)) (local.get 0))",
    "(type $s2 (func (param (ref null $s2)) (result i32))) (func (param (ref $self)) (result (ref $s2)) (local.get 0))",
    "(func (param (ref exn)) (result exnref) (local.get 0))", "(func (param (ref extern)) (result externref) (local.get 0))",
    "(func (local (ref $ii)))", "(func (local (ref $ii)) (local.set 0 (ref.func $inc)) (drop (local.get 0)))",
    "(func (local (ref $ii)) (local.set 0 (ref.func $inc)) (block (drop (local.get 0))))",
    "(func (local (ref $ii)) (block (local.set 0 (ref.func $inc)) (drop (local.get 0))) (local.set 0 (ref.func $inc)))",
    "(table 3 (ref $ii) (ref.func $inc))", "(table 0 (ref func) (ref.func $inc))", "(table (ref null $ii) (elem $inc $neg))",
    "(table 1 funcref) (elem (i32.const 0) (ref $ii) (ref.func $inc))", "(global (ref func) (ref.func $inc))",
    "(func (result (ref $v)) (unreachable) (ref.as_non_null))", "(func (param (ref null $ii)) (block (drop (br_on_null 0 (local.get 0)))))",
    "(tag $t (param (ref $ii))) (func (throw $t (ref.func $inc)))",
    "(tag $t (param (ref $ii))) (func (drop (block $b (result (ref null $ii)) (try_table (catch $t $b)) (unreachable))))",
    "(func (drop (block $b (result (ref exn)) (try_table (catch_all_ref $b)) (unreachable))))",
    "(func (param (ref $ii)) (drop (block (result funcref) (br_if 0 (local.get 0) (i32.const 1)))))",
    "(func (param (ref null $ii) (ref $ii)) (drop (select (result (ref null $ii)) (local.get 0) (local.get 1) (i32.const 0))))",
    "(func (param (ref $ii)) (block (result (ref null $ii)) (block (result (ref null $ii)) (br_table 0 1 (local.get 0) (i32.const 0)))) (drop))",
    "(func (result (ref null $ii)) (return_call_ref $r (ref.func $make))) (type $r (func (result (ref $ii))))"
    "(func $make (type $r) (ref.func $inc)) (elem declare func $make)",
    "(func (local (ref null $ii)) (loop (drop (br_on_null 0 (local.get 0)))))",
]
# and what breaks a rule
V8_LIKES = (  # but V8 does not mind: a reference of no type where i32 is wanted, a label without any value
    "(func (unreachable) (ref.as_non_null) (i32.eqz) (drop))", "(func (param (ref null $ii)) (block (br_on_non_null 0 (local.get 0))))")
WRONG = [
    ("(func (call_ref $ii (i32.const 1) (ref.func $long)) (drop))", "ref null 1. is wanted, .ref 2. is there"),
    ("(func (drop (call_ref $ii (i64.const 1) (ref.func $inc))))", "i32 is wanted, i64"),
    ("(func (drop (call_ref $ii (i32.const 1) (ref.null func))))", "is wanted, funcref is there"),
    ("(func (drop (call_ref $ii (i32.const 1) (i32.const 1))))", "is wanted, i32 is there"),
    ("(func (call_ref 99 (ref.null 99)))", "unknown type 99"), ("(func (param (ref 99)))", "unknown type 99"),
    ("(func (result i64) (return_call_ref $ii (i32.const 1) (ref.func $inc)))", "a tail call with other results"),
    ("(func (local (ref $ii)) (drop (local.get 0)))", "uninitialized local 0"),
    ("(func (local (ref $ii)) (block (local.set 0 (ref.func $inc))) (drop (local.get 0)))", "uninitialized local 0"),
    ("(func (local (ref $ii)) (if (i32.const 1) (then (local.set 0 (ref.func $inc))) (else (drop (local.get 0)))))", "uninitialized local 0"),
    ("(func (local i32 (ref $ii)) (loop (local.set 1 (ref.func $inc))) (drop (local.tee 1 (local.get 1))))", "uninitialized local 1"),
    ("(func (param (ref null $ii)) (result (ref $ii)) (local.get 0))", "ref 1. is wanted, .ref null 1. is there"),
    ("(func (param funcref) (result (ref null $ii)) (local.get 0))", "is wanted, funcref is there"),
    ("(func (param (ref $even)) (result (ref $odd)) (local.get 0))", "ref 4. is wanted, .ref 3. is there"),
    ("(rec (type $o2 (func (param i32) (result (ref null $e2)))) (type $e2 (func (param i32) (result (ref null $o2)))) (type (func)))"
     "(func (param (ref $even)) (result (ref $e2)) (local.get 0))", "is wanted, .ref 3. is there"),
    ("(func (param externref) (result (ref extern)) (local.get 0))", "ref extern. is wanted, externref is there"),
    ("(func (param (ref extern)) (result funcref) (local.get 0))", "funcref is wanted"),
    ("(table 3 (ref $ii))", "a table of .ref 1. that says not of which"), ("(table 3 (ref $ii) (ref.null $ii))", "type mismatch"),
    ("(table 3 (ref null $ii) (ref.func $long))", "type mismatch"), ("(table 3 (ref null $ii) (i32.const 1))", "type mismatch"),
    ("(table 1 (ref null $ii)) (elem (i32.const 0) funcref (ref.func $inc))", "elements for a table of .ref null 1"),
    ("(table 1 (ref null $ii)) (elem (i32.const 0) (ref null $ii) (ref.func $long))", "type mismatch"),
    ("(table 1 (ref null $ii)) (table 1 funcref) (func (table.copy 0 1 (i32.const 0) (i32.const 0) (i32.const 0)))", "tables of other types"),
    ("(table 1 (ref null $ii)) (elem $e func $inc) (func (table.init 0 $e (i32.const 0) (i32.const 0) (i32.const 0)))", "elements of another type"),
    ("(table 1 (ref null $ii)) (func (table.set 0 (i32.const 0) (ref.func $long)))", "type mismatch"),
    ("(table 1 (ref $ii) (ref.func $inc)) (func (drop (table.grow 0 (ref.null $ii) (i32.const 0))))", "type mismatch"),
    ("(global (ref $ii) (ref.null $ii))", "type mismatch"), ("(global (ref $ii) (ref.func $long))", "type mismatch"),
    ("(global $g (mut (ref $ii)) (ref.func $inc)) (func (global.set $g (ref.null $ii)))", "type mismatch"),
    ("(func (drop (ref.as_non_null (i32.const 1))))", "a reference is wanted, i32 is there"),
    ("(func (unreachable) (ref.as_non_null) (i32.eqz) (drop))", "i32 is wanted, a reference is there"),
    ("(func (param (ref null $ii)) (drop (br_on_null 7 (local.get 0))))", "unknown label 7"),
    ("(func (param (ref null $ii)) (block (result i32) (drop (br_on_null 0 (local.get 0))) (i32.const 1)) (drop))", "i32 is wanted, nothing"),
    ("(func (param (ref null $ii)) (block (br_on_non_null 0 (local.get 0))))", "a label that does not end in"),
    ("(func (param (ref null $ii)) (block (result i32) (br_on_non_null 0 (local.get 0)) (i32.const 1)) (drop))", "a label that does not end in"),
    ("(func (param (ref null $ii)) (block (result (ref $ll)) (br_on_non_null 0 (local.get 0)) (unreachable)) (drop))", "a label that does not end in"),
    ("(tag $t (param (ref null $ii))) (func (drop (block $b (result (ref $ii)) (try_table (catch $t $b)) (unreachable))))", "a catch clause and its label"),
    ("(func (drop (select (ref.func $inc) (ref.func $inc) (i32.const 0))))", "select of references without a type"),
    ("(func (drop (ref.func $hidden))) (func $hidden)", "undeclared function reference"),
    ("(func (param (ref null $ii)) (drop (block (result (ref $ii)) (br_if 0 (local.get 0) (i32.const 1)))))", "type mismatch"),
    ("(func (param (ref $ii)) (result (ref $ii)) (block (param (ref $ii)) (result funcref)) (local.get 0) (return))", "ref 1. is wanted, nothing"),
    ("(table 1 (ref func) (ref.func $inc)) (elem $e funcref (ref.func $inc))"
     "(func (table.init 0 $e (i32.const 0) (i32.const 0) (i32.const 0)))", "elements of another type"),
    ("(table 1 (ref func) (ref.func $inc)) (elem (table 0) (i32.const 0) funcref (ref.func $inc))", "funcref elements for a table of .ref func"),
    ("(type (func (param (ref 8)))) (type (func))", "unknown type 8"),
]


def call(args, **other):
    return subprocess.run(args, capture_output=True, encoding="utf-8", errors="replace", **other)


work = tempfile.TemporaryDirectory()
encode, runner = sys.argv[1:3]
texts = [(HEAD + MORE + "".join(
    f'(func (export "{i}") (result i32) (local $i i32) (local $n (ref null $ii)) (local $r (ref $ii)) (local.set $i (i32.const 5)) {e})\n'
    for i, (e, _) in enumerate(GIVE)), "")]
texts += [(HEAD + MORE + v, "") for v in VALID] + [(HEAD + w, why) for w, why in WRONG]
paths, bad = [f"{work.name}/{i}.wasm" for i in range(len(texts))], 0


def say(what):
    global bad
    bad += 1
    print(what)


for path, (text, _) in zip(paths, texts):
    with open(f"{work.name}/text.wat", "w", encoding="utf-8") as f:
        f.write(text)
    r = call([encode, f"{work.name}/text.wat", path])
    if r.returncode:
        say(f"{text[len(HEAD):][-200:]}: {r.stdout}")
        sys.exit(1)
verdicts = call([runner, "-v", *paths]).stdout.splitlines()
for (text, why), said in zip(texts, verdicts, strict=True):
    if said != "valid" if not why else not re.search("invalid.*(" + why + ")", said):
        say(f"{text[len(HEAD):][-200:]}: {said}, and not: {why or 'valid'}")
for how in ([], ["-c"]):
    gives = call([runner, *how, paths[0]]).stdout.splitlines()
    for (e, want), line in zip(GIVE, gives, strict=True):
        want = f"error: {want}" if isinstance(want, str) else f"i32:{want & 0xffffffff}"
        if not line.endswith("=> " + want):
            say(f"{e} {how}: {line}, and not {want}")

V8 = """const fs = require('fs'); const [, , first, ...files] = process.argv;
const judge = f => WebAssembly.validate(fs.readFileSync(f)) ? 1 : 0;
console.log(judge(first));
if (judge(first)) {
  const x = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(first))).exports;
  console.log(JSON.stringify(Object.values(x).map(f => { try { return f() } catch (e) { return e.message } })));
}
for (const f of files) console.log(judge(f));"""
with open(f"{work.name}/judge.js", "w", encoding="utf-8") as f:
    f.write(V8)
node = os.environ.get("NODE", shutil.which("node"))
judged = 0


def by_v8(files):
    return call([node, f"{work.name}/judge.js", *files]).stdout.splitlines()


def mutants(n):
    random.seed(int(os.environ.get("SEED", "1")))
    known = []
    for path, (text, _) in zip(paths[1:], texts[1:]):
        with open(path, "rb") as f:
            known += [f.read()] if text[len(HEAD):] not in V8_LIKES else []
    for i in range(n):
        b = bytearray(random.choice(known))
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            b[random.randrange(8, len(b))] = random.choice(
                (random.randrange(256), random.randrange(16), 0x63, 0x64, 0x70, 0x14, 0xD4, 0xD5, 0xD6))
        with open(f"{work.name}/m{i}.wasm", "wb") as f:
            f.write(b)
        yield f"{work.name}/m{i}.wasm"


if node and by_v8(paths[:1])[0] == "1":
    first, values, *rest = by_v8(paths)
    for (text, why), ok in zip(texts[1:], rest, strict=True):
        if (ok == "1") == bool(why) and text[len(HEAD):] not in V8_LIKES:
            say(f"{text[len(HEAD):][-200:]}: V8 thinks otherwise")
    import json
    for (e, want), v in zip(GIVE, json.loads(values), strict=True):
        if v != want and not (isinstance(want, str) and isinstance(v, str)):
            say(f"{e}: V8 gives {v}")
    others = list(mutants(int(os.environ.get("MUTANTS", "3000"))))
    for i in range(0, len(others), 500):
        part = others[i:i + 500]
        ours = call([runner, "-v", *part]).stdout.splitlines()
        for path, said, ok in zip(part, ours, by_v8([paths[0], *part])[2:], strict=True):
            judged += 1
            if (said == "valid") != (ok == "1") and "not supported" not in said:
                with open(path, "rb") as f:
                    say(f"a mutant: ours {said}; V8 {ok}: {f.read().hex()}")
print(f"typed references: {len(GIVE)} expressions, {len(VALID)} valid and {len(WRONG)} wrong modules"
      + (f", and {judged} mutants beside V8" if judged else ", without V8, which is older here") + f"; {bad} otherwise")
sys.exit(bad != 0)
