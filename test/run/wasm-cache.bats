#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Compiled code of a large module is kept from run to run, and nothing but that: who may write it, what
# is done with damaged files, when there is none.

bats_require_minimum_version 1.5.0 # run -CODE

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export T=$BATS_FILE_TMPDIR LODGE=$PWD/build/lodge
	export XDG_CACHE_HOME=$T/cache CODE=$T/cache/lodge/wasm-code
	clang --target=wasm32-wasi -O2 test/bench/wasm/kernels.c -o "$T/small.wasm"
	cd "$T" || return 1
	# a custom section makes it large
	{
		cat small.wasm
		printf '\0\x82\x9f\x49\1x'
		head -c 1200000 /dev/zero
	} >large.wasm
	"$LODGE" run large.wasm fannkuch 2>why >want || skip "no namespaces here: $(cat why)"
	cut -d' ' -f1,3 want >want.sums
}

setup() { cd "$T" || return 1; }

answers() { # [OPTION...]: the program's answer is what it always was
	"$LODGE" run "$@" large.wasm fannkuch | cut -d' ' -f1,3 | diff want.sums -
}

kept() { # until there is code, which is written behind the run
	for _ in $(seq 100); do
		[ ! -e "$CODE" ] || [ -z "$(find "$CODE" -type f -name '*[0-9a-f]' -size +0)" ] || return 0
		sleep 0.1
	done
	return 1
}

@test "code is there after a run, nobody else's, and is used by the next one" {
	kept
	file=$(find "$CODE" -type f)
	[ "$(stat -c %a "$file") $(stat -c %a "$CODE")" = "600 700" ]
	touch -d 2001-01-01 "$file"
	before=$(sha256sum <"$file")
	answers
	[ "$(stat -c %Y "$file")" -gt 1000000000 ]
	[ "$(sha256sum <"$file")" = "$before" ]
	[ "$(find "$CODE" -type f | wc -l)" = 1 ]
}

@test "a damaged file is not there" {
	kept
	file=$(find "$CODE" -type f)
	cp "$file" whole
	size=$(stat -c %s whole)
	for n in $(seq 25); do
		at=$(((n * 7919 * 7919) % size))
		cp whole "$file"
		byte=$(od -An -tu1 -j "$at" -N 1 whole)
		printf '%b' "\\x$(printf %02x $((byte ^ 1 << n % 8)))" |
			dd of="$file" bs=1 seek="$at" conv=notrunc status=none
		answers
		head -c "$at" whole >"$file"
		answers
	done
	cp whole "$file"
}

replaced() { # the file is a plain one of mode 600 again
	for _ in $(seq 100); do
		[ "$(stat -c '%a %F' "$1")" != "600 regular file" ] || return 0
		sleep 0.1
	done
	return 1
}

@test "a file that others may write, or a link, is not looked at, and replaced" {
	kept
	file=$(find "$CODE" -type f)
	chmod 620 "$file"
	answers
	replaced "$file"
	ln -sf "$T/small.wasm" "$file"
	answers
	replaced "$file"
	[ "$(sha256sum <"$file")" != "$(sha256sum <small.wasm)" ]
	head -c 1000 "$file" >short
	cp short "$file"
	answers
	for _ in $(seq 100); do
		[ "$(stat -c %s "$file")" = 1000 ] || break
		sleep 0.1
	done
	[ "$(stat -c %s "$file")" -gt 1000 ]
}

@test "nothing is kept in a folder that others may write to" {
	sleep 0.5
	rm -rf "$CODE"
	mkdir -m 770 "$CODE"
	answers
	sleep 0.5
	[ -z "$(ls -A "$CODE")" ]
}

@test "none is kept with fuel, a deadline, by the interpreter, or when it is not wanted" {
	sleep 0.5
	rm -rf "$CODE"
	answers -o cache=off
	answers -o fuel=100000000000
	answers --timeout 100s
	answers --accel interpret
	"$LODGE" run small.wasm fannkuch >/dev/null
	sleep 0.5
	[ ! -e "$CODE" ]
	run -125 "$LODGE" run -o cache=maybe large.wasm
	[[ "$output" = *"it is on or off"* ]]
}

@test "the run ends when it ends: nothing holds its streams" {
	rm -rf "$CODE"
	run -0 timeout 60 sh -c "'$LODGE' run large.wasm fannkuch | cat"
	kept
}

@test "a module whose file changes while it runs leaves no code under the name that it had" {
	{
		cat <<'END'
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 300)
  (func $code (result i32) (i32.const 77))
  (func (export "_start") (local $i i64)
    (loop $l
      (drop (call $code))
      (br_if $l (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (i64.const 600000000))))
    (call $exit (call $code)))
END
		printf '  (data (i32.const 4096) "'
		head -c 17825792 /dev/zero | tr '\0' a
		echo '"))'
	} >mapped.wat
	wat2wasm mapped.wat -o mapped.wasm
	rm -rf "$XDG_CACHE_HOME/lodge/wasm-code"
	poke() { # FROM TO: the number that the program ends with
		python3 - "$1" "$2" <<'END'
import sys
f = open("mapped.wasm", "r+b")
at = f.read(4096).index(bytes([0x41, int(sys.argv[1]) | 0x80, 0, 0x0b]))
f.seek(at + 1)
f.write(bytes([int(sys.argv[2]) | 0x80]))
END
	}
	"$LODGE" run mapped.wasm 3>&- &
	sleep 0.3
	poke 77 79
	code=0
	wait $! || code=$?
	[ "$code" = 77 ]
	sleep 2 # for who writes, if somebody did
	poke 79 77
	run -77 "$LODGE" run mapped.wasm
}
