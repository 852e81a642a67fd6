#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Programs of WebAssembly with threads (wasi-threads): what they compute is what native threads
# compute; what ends one ends all; under a keeper all stand still and go on together. STORMS: how
# often a storm of waits is saved.
bats_require_minimum_version 1.5.0 # run -CODE
source "$BATS_TEST_DIRNAME/guests.sh"

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export TOP=$PWD LODGE=$PWD/build/lodge T=$BATS_FILE_TMPDIR
	export XDG_DATA_HOME=$T/here XDG_RUNTIME_DIR=$T/run-here
	mkdir -p -m 700 "$T/run-here" "$T/run-there"
	local flags=(--target=wasm32-wasi -O2 -w -nostdlib -matomics -mbulk-memory -ftls-model=local-exec)
	clang "${flags[@]}" -c test/wasm/threads.s -o "$T/start.o"
	clang "${flags[@]}" -Wl,--import-memory,--shared-memory,--max-memory=67108864 \
		-Wl,--no-entry,--export=_start,--export=wasi_thread_start,--no-check-features \
		test/wasm/threads.c "$T/start.o" -o "$T/threads.wasm"
	gcc -O2 -w -pthread test/wasm/threads.c -o "$T/native"
	cd "$T" || return 1
	"$LODGE" run threads.wasm returns 2>why || skip "no namespaces here: $(cat why)"
}
setup() { cd "$T" || return 1; }
teardown() {
	guests_remove
	guests_remove there
}
there() { XDG_DATA_HOME=$T/there XDG_RUNTIME_DIR=$T/run-there "$LODGE" "$@"; }

# lines NAME N: until it has printed N lines
lines() {
	for _ in $(seq 400); do
		[ "$("$LODGE" logs "$1" | wc -l)" -lt "$2" ] || return 0
		sleep 0.02
	done
	return 1
}

@test "eight threads with mutexes, conditions, atomics: what native threads say; both engines, fuel" {
	./native sum >want
	for how in '--accel translate' '--accel interpret' '-o fuel=1000000000'; do
		for _ in 1 2 3; do
			# shellcheck disable=SC2086
			timeout 60 "$LODGE" run $how threads.wasm sum >got
			diff want got
		done
	done
	./native pass 500 >want
	timeout 60 "$LODGE" run threads.wasm pass 500 >got
	diff want got
}

@test "sums, storms, a number that goes around: what workers of Node say" {
	command -v node >/dev/null || skip "no node here"
	for what in sum storm 'pass 200'; do
		# shellcheck disable=SC2086
		timeout 60 node "$TOP/test/wasm/threads.mjs" threads.wasm $what >want
		# shellcheck disable=SC2086
		timeout 60 "$LODGE" run threads.wasm $what >got
		diff want got
	done
}

@test "waits: time, another value, so many as are notified; a storm loses none" {
	run -0 timeout 60 "$LODGE" run threads.wasm waits
	[ "$output" = "$(printf '%s\n' 'time 2 1' 'other 1 0' 'two 2 0' 'five 5 5' 'sleeps 1 1')" ]
	for how in translate interpret; do
		run -0 timeout 60 "$LODGE" run --accel $how threads.wasm storm
		[ "$output" = 'storm 1 1' ]
	done
}

@test "a shared memory that all grow at once: each page is one thread's; behind the end is a trap" {
	for how in translate interpret; do
		run -134 timeout 60 "$LODGE" run --accel $how threads.wasm grow
		[ "${lines[0]}" = 'grown 400 0' ]
		[[ "$output" == *'out of bounds memory access'* ]]
	done
	run -91 timeout 60 "$LODGE" run -m 8M threads.wasm grow
}

@test "what ends one thread ends all: exit, a trap with its calls, the end of _start, time, fuel" {
	run -9 timeout 20 "$LODGE" run threads.wasm exit
	run -5 timeout 20 "$LODGE" run threads.wasm leaves
	run -0 timeout 20 "$LODGE" run threads.wasm returns
	run -134 timeout 20 "$LODGE" run threads.wasm trap
	[ "${lines[0]}" = 'lodge: unreachable' ]
	[[ "${lines[1]}" == *'<trapper>'* ]]
	[[ "${lines[3]}" == *'<wasi_thread_start>'* ]]
	run -124 timeout 20 "$LODGE" run --timeout 300ms threads.wasm forever
	run -124 timeout 20 "$LODGE" run -o fuel=100000000 threads.wasm forever
	[ "${lines[0]}" = 'lodge: all fuel is used up' ]
}

@test "too many threads: thread-spawn says so, and the program goes on" {
	run -0 timeout 60 "$LODGE" run threads.wasm bomb
	[ "$output" = 'threads 255 6' ] # EAGAIN of preview 1
	run -0 timeout 60 "$LODGE" run threads.wasm crowd
	[ "$output" = 'crowd 800 0' ]
}

@test "memories that threads have for themselves count, all of them" {
	cat >own.wat <<-'END'
	(module (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
		(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
		(memory 1 1 shared) (memory 1 4)
		(func (export "wasi_thread_start") (param i32 i32)
			(drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))
		(func (export "_start") (local i32)
			(loop (if (i32.gt_s (call $spawn (i32.const 0)) (i32.const 0)) (then
				(local.set 0 (i32.add (local.get 0) (i32.const 1)))
				(br 1))))
			(call $exit (local.get 0))))
	END
	wat2wasm --enable-threads --enable-multi-memory own.wat -o own.wasm
	run -14 timeout 20 "$LODGE" run -m 1M own.wasm # of 16 pages the first one has two
}

@test "a module without wasi_thread_start, or with another memory, gets no thread" {
	cat >none.wat <<-'END'
	(module (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
		(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
		(memory 1 1 shared)
		(func (export "_start") (call $exit (i32.sub (i32.const 0) (call $spawn (i32.const 0))))))
	END
	wat2wasm --enable-threads none.wat -o none.wasm
	run -52 "$LODGE" run none.wasm # ENOSYS
	sed -i 's/(memory 1 1 shared)/(memory 1 1)(func (export "wasi_thread_start") (param i32 i32))/' none.wat
	wat2wasm --enable-threads none.wat -o none.wasm
	run -58 "$LODGE" run none.wasm # ENOTSUP
	echo '(module (import "env" "memory" (memory 1)) (func (export "_start")))' >own.wat
	wat2wasm own.wat -o own.wasm
	run -126 "$LODGE" run own.wasm
	[[ "$output" == *'only functions and shared memories'* ]]
}

@test "calls of WASI from several threads: each line is whole" {
	timeout 60 "$LODGE" run threads.wasm lines >got
	[ "$(wc -l <got)" -eq 4000 ]
	[ "$(sort -u got | grep -Ecx 'line [0-7] [0-9]+')" -eq 4000 ]
}

# stands NAME: it says no more; what it said before may be on its way to the log
stands() {
	local before
	for _ in $(seq 10); do
		before=$("$LODGE" logs "$1" | wc -l)
		sleep 0.2
		[ "$("$LODGE" logs "$1" | wc -l)" -ne "$before" ] || return 0
	done
	return 1
}

@test "under a keeper: paused, suspended, compiled or not: they go on as if nothing had been" {
	timeout 60 ./native pass 20000 >want
	for how in translate interpret; do
		"$LODGE" run -d --name one --accel $how threads.wasm pass 20000
		for n in 1 2 3; do
			lines one $((n * 100))
			"$LODGE" pause one
			stands one
			"$LODGE" resume one
			"$LODGE" suspend one
			"$LODGE" resume one
		done
		[ "$("$LODGE" wait one)" = 0 ]
		"$LODGE" logs one | cmp want -
		"$LODGE" rm -f one
	done
}

@test "saved while threads begin and end" {
	"$LODGE" run -d --name one threads.wasm crowds
	for n in $(seq 6); do
		lines one "$n"
		"$LODGE" suspend one
		"$LODGE" resume one
	done
	lines one 9
	run ! grep -v '^crowd 800 0$' <("$LODGE" logs one)
}

@test "a snapshot, cloned, migrated: each copy says what is left" {
	timeout 60 ./native pass 20000 >want
	"$LODGE" run -d --name one threads.wasm pass 20000
	lines one 500
	"$LODGE" snapshot create one s1
	[ "$("$LODGE" wait one)" = 0 ]
	"$LODGE" logs one | cmp want -
	"$LODGE" clone -s s1 --count "${CLONES:-5}" one two
	for n in $(seq "${CLONES:-5}"); do
		[ "$("$LODGE" wait two-"$n")" = 0 ]
		"$LODGE" logs two-"$n" >got
		[ "$(wc -l <got)" -gt 5000 ]
		tail -n "$(wc -l <got)" want | cmp - got
	done
	"$LODGE" restore one s1
	rm -f s
	XDG_DATA_HOME=$T/there XDG_RUNTIME_DIR=$T/run-there timeout 60 "$LODGE" receive --trust \
		--listen "unix:$T/s" >receive.out 2>&1 3>&- &
	for _ in $(seq 100); do [ -S s ] || sleep 0.1; done
	timeout 60 "$LODGE" migrate one "unix:$T/s"
	[ "$(there wait one)" = 0 ]
	there logs one >got
	tail -n "$(wc -l <got)" want | cmp - got
}

@test "waits in a state: none is lost or made twice, and a wait goes on with what is left of it" {
	for how in translate interpret; do
		"$LODGE" run -d --name one --accel $how threads.wasm storms
		for _ in $(seq "${STORMS:-6}"); do
			sleep 0.1
			"$LODGE" suspend one
			"$LODGE" resume one
		done
		lines one 3
		run ! grep -v '^storm 1 1$' <("$LODGE" logs one)
		"$LODGE" rm -f one
	done
	"$LODGE" run -d --name two threads.wasm naps
	lines two 1
	"$LODGE" pause two
	sleep 1.5
	"$LODGE" resume two
	"$LODGE" suspend two
	sleep 1
	"$LODGE" resume two
	[ "$("$LODGE" wait two)" = 0 ]
	"$LODGE" logs two | grep -Ex 'napped 2 1[5-9]'
}

# kept MODULE: suspended while its thread waits, and resumed, it ends well
kept() {
	"$LODGE" run -d --name kept "$1" 3>&-
	sleep 1
	"$LODGE" suspend kept
	"$LODGE" resume kept 3>&-
	[ "$("$LODGE" wait kept)" = 0 ]
	"$LODGE" rm kept
}

@test "a thread that waits in code which it was handed compiled is saved" {
	cat >handed.wat <<'END'
(module
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "env" "memory" (memory 1 2 shared))
  (export "memory" (memory 0))
  (func $g (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (memory.atomic.wait32 (i32.const 64) (i32.const 0) (i64.const 3000000000)))
      (else (i32.const 7))))
  (func $f (param i32) (result i32) (i32.add (i32.const 1) (call $g (local.get 0))))
  (func (export "wasi_thread_start") (param i32 i32) (drop (call $f (i32.const 1))))
  (func (export "_start") (local $i i32)
    (loop $l
      (drop (call $f (i32.const 0)))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 5000))))
    (drop (call $spawn (i32.const 0)))
    (drop (memory.atomic.wait32 (i32.const 68) (i32.const 0) (i64.const 4000000000)))))
END
	kept handed.wat
}

@test "data that nobody has touched yet, and threads: they are saved" {
	{
		cat <<'END'
(module
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (memory (export "memory") 40)
  (memory $common 1 2 shared)
  (func (export "wasi_thread_start") (param i32 i32)
    (drop (memory.atomic.wait32 $common (i32.const 64) (i32.const 0) (i64.const 3000000000))))
  (func (export "_start")
    (drop (call $spawn (i32.const 0)))
    (drop (memory.atomic.wait32 $common (i32.const 68) (i32.const 0) (i64.const 4000000000))))
END
		printf '  (data (i32.const 4096) "'
		head -c 2097152 /dev/zero | tr '\0' a
		echo '"))'
	} >data.wat
	kept data.wat
}
