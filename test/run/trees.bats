#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Programs of several processes under a keeper, through all verbs: one that has all that processes
# can have in common (process/tree.c), a pipeline of Debian's shell, make -j2 and multiprocessing of
# python3. Programs of Debian are skipped where its packages cannot be had.

bats_require_minimum_version 1.5.0 # run -CODE

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export LODGE=$PWD/build/lodge T=$BATS_FILE_TMPDIR CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/lodge
	export ROOT=$CACHE/debian-13-riscv64/trees
	mkdir -p -m 700 "$T/run-here" "$T/run-there" "$T/in"
	riscv64-linux-gnu-gcc -std=gnu17 -D_GNU_SOURCE -O2 -Wall -static -pthread -o "$T/tree" test/run/process/tree.c
	cp test/run/process/pool.py test/run/process/pipe.sh test/run/process/jobs.mk "$T/in"
	sh guest/fetch/debian.sh root --cache "$CACHE" --out "$ROOT" \
		--add "dash make coreutils python3-minimal libpython3-stdlib" >"$T/fetch.log" 2>&1 ||
		touch "$T/no-debian"
}

setup() {
	cd "$T/in" || return 1
	unset MAKEFLAGS MFLAGS MAKELEVEL # of the make that runs the tests: programs get them
}
teardown() {
	here rm -f one two >/dev/null 2>&1 || true
	there rm -f one two >/dev/null 2>&1 || true
}

here() { XDG_DATA_HOME=$T/here XDG_RUNTIME_DIR=$T/run-here "$LODGE" "$@"; }
there() { XDG_DATA_HOME=$T/there XDG_RUNTIME_DIR=$T/run-there "$LODGE" "$@"; }
export -f here
last() { "$1" logs "$2" | tail -n 1; }

# debian NAME COMMAND...: a program of Debian runs, and has a nonce
debian() {
	[ ! -e "$T/no-debian" ] || skip "no packages: $(grep -m 1 -A 1 error "$T/fetch.log")"
	local name=$1
	shift
	# what a killed one leaves there is not in the way of the next run
	here run -d --name "$name" --root "$ROOT" -v "$T/in:/mnt" -w /mnt -e TMPDIR=/mnt "$@" >/dev/null
	begun "$name"
}

# begun NAME: it has printed something, and the nonce of that
begun() {
	rounds here "$1" 2
	nonce=$(last here "$1")
	nonce=${nonce#* }
}

# rounds SIDE NAME N: until it has printed N lines more; none of what it prints is wrong
rounds() {
	local from
	from=$("$1" logs "$2" | wc -l)
	for _ in $(seq 600); do
		! "$1" logs "$2" | grep -A 20 -i 'wrong\|error' || return 1
		[ "$("$1" logs "$2" | wc -l)" -lt $((from + $3)) ] || return 0
		sleep 0.05
	done
	"$1" ls -a
	return 1
}

# whole SIDE NAME: what it has printed is numbered without a gap, and its nonce stays
whole() {
	"$1" logs "$2" | awk -v nonce="$nonce" '
		NR == 1 { n = $1 - 1 }
		$1 != ++n || $2 != nonce { print "gap:", NR, $0; bad = 1; exit }
		END { exit bad }'
}

# still NAME: it is paused, and all that it has said is in its log
still() {
	local was
	here pause "$1"
	while was=$(last here "$1"); do
		sleep 0.1
		[ "$was" != "$(last here "$1")" ] || break
	done
}

# verbs: the program one goes through all of them
verbs() {
	local at i
	for i in 1 2 3; do
		here suspend one
		[ -z "$(pgrep -f "$T/in:/mnt")" ]
		here resume one
		rounds here one 2
		whole here one
	done
	still one
	at=$(last here one)
	here snapshot create one s1
	here resume one
	rounds here one 2
	here clone -s s1 one two
	rounds here two 2
	[ "$(here logs two | head -n 1)" = "$((${at% *} + 1)) $nonce" ]
	rounds here one 2
	whole here two
	whole here one
	here rm -f two
	still one
	at=$(last here one)
	here backup -o "$T/one.backup" one
	here rm -f one
	here restore --from "$T/one.backup" --trust two
	here resume two
	rounds here two 2
	[ "$(here logs two | head -n 1)" = "$((${at% *} + 1)) $nonce" ]
	whole here two
}

# random N: so many verbs on the program one
random() {
	local i verb a=one b=two c at
	echo "seed ${LODGE_SEED:=$RANDOM}"
	RANDOM=$LODGE_SEED
	for i in $(seq "$1"); do
		verb=$((RANDOM % 5))
		echo "round $i: $verb, $a"
		case $verb in
		0) here pause $a && here resume $a ;;
		1 | 2) here suspend $a && here resume $a ;;
		3) here snapshot create $a "s$i" && here snapshot rm $a "s$i" ;;
		4) # it goes on as its clone
			still $a
			at=$(last here $a)
			here clone $a $b && here rm -f $a
			rounds here $b 1
			[ "$(here logs $b | head -n 1)" = "$((${at% *} + 1)) $nonce" ]
			c=$a a=$b b=$c ;;
		esac
		rounds here $a 1
		whole here $a
	done
}

@test "pipes, sockets, files, memory, groups, sessions, those that have ended: all verbs" {
	here run -d --name one "$T/tree"
	begun one
	verbs
}

@test "all that processes have in common: rounds of random verbs" {
	here run -d --name one "$T/tree"
	begun one
	random "${LODGE_TREE_ROUNDS:-20}"
}

@test "the snapshot of several processes is restored over them" {
	here run -d --name one "$T/tree"
	begun one
	here snapshot create one s1
	rounds here one 3
	here restore -f one s1
	rounds here one 3
	last here one | grep -q " $nonce\$"
}

@test "a pipeline of the shell, which starts programs" {
	debian one sh pipe.sh
	verbs
}

@test "the pipeline: rounds of random verbs" {
	debian one sh pipe.sh
	random "${LODGE_TREE_ROUNDS:-20}"
}

@test "multiprocessing of python3: a pool and a queue" {
	debian one python3 pool.py
	verbs
}

@test "make -j2, whose jobs take turns by a named pipe" {
	debian one make -j2 -f jobs.mk
	for _ in 1 2 3; do
		here suspend one
		here resume one
		rounds here one 3
		here logs one | awk -v nonce="$nonce" '$2 != nonce || seen[$1]++ { print "gap:", $0; bad = 1 } END { exit bad }'
	done
	run here clone one two # both cannot have the pipe
	[ "$status" -eq 125 ]
	[[ "$output" == *"named pipe"* ]]
	rounds here one 3
}

@test "a terminal: the job in the foreground stays there" {
	[ ! -e "$T/no-debian" ] || skip "no packages: $(grep -m 1 -A 1 error "$T/fetch.log")"
	here run -d -t --name one --root "$ROOT" sh -c 'set -m; cat; echo end'
	for word in first second third; do
		timeout 4 bash -c "(sleep 1; echo $word; sleep 1) | here attach one" >/dev/null || true # it stays
		for _ in $(seq 100); do # as it was typed, and from cat
			[ "$(here logs one | tr -d '\r' | grep -cx "$word")" -lt 2 ] || break
			sleep 0.1
		done
		[ "$(here logs one | tr -d '\r' | grep -cx "$word")" -eq 2 ]
		here suspend one
		here resume one
	done
}

# move ADDRESS: from here to there, and what is left is removed
move() {
	there receive --trust --listen "$1" >"$T/receive.out" 2>&1 &
	for _ in $(seq 100); do
		[ "${1%%:*}" = tcp ] || [ ! -e "${1#unix:}" ] || break
		[ "${1%%:*}" = unix ] || ! sleep 1 || break
		sleep 0.05
	done
	here migrate one "$1"
	wait $!
	[ "$(cat "$T/receive.out")" = one ]
	here ls -a | grep -q "^one *stopped"
	run here start one
	[ "$status" -ne 0 ]
	[[ "$output" == *"was moved to"* ]]
	here rm one
}

@test "migrate: to another keeper by a unix socket, TCP, a pipe" {
	for to in "unix:$T/s" "tcp:127.0.0.1:$((20000 + RANDOM % 10000))"; do
		here run -d --name one "$T/tree"
		begun one
		still one
		at=$(last here one)
		here resume one
		move "$to"
		rounds there one 3
		whole there one
		[ "$(there logs one | head -n 1 | cut -d' ' -f1)" -gt "${at% *}" ]
		there rm -f one
	done
	here run -d --name one "$T/tree"
	begun one
	mkfifo "$T/back"
	still one
	at=$(last here one)
	here migrate one - <"$T/back" 2>"$T/migrate.err" | there receive --trust >"$T/back" 2>"$T/receive.err"
	[ "${PIPESTATUS[0]}" = 0 ]
	there ls | grep -q "^one *paused"
	there resume one
	rounds there one 3
	[ "$(there logs one | head -n 1)" = "$((${at% *} + 1)) $nonce" ]
}

@test "migrate: a stream that fails, and a keeper that refuses, leave it running here" {
	here run -d --name one "$T/tree"
	begun one
	for bytes in 0 100 2000 70000 900000; do
		rm -f "$T/back"
		mkfifo "$T/back"
		(head -c "$bytes" | there receive --trust >"$T/back" 2>"$T/receive.err") < <(here migrate one - <"$T/back" 2>"$T/migrate.err") || true
		rounds here one 2
		whole here one
		here ls | grep -q "^one *running"
		[ -z "$(there ls -aq)" ]
	done
	rm -f "$T/s"
	there receive --listen "unix:$T/s" >"$T/receive.out" 2>&1 &
	for _ in $(seq 100); do
		[ ! -e "$T/s" ] || break
		sleep 0.05
	done
	run here migrate one "unix:$T/s"
	[ "$status" -ne 0 ]
	[[ "$output" == *--trust* ]]
	! wait $!
	rounds here one 2
	whole here one
}
