#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Programs in a guest, by its agent: one debian-small for all tests.

setup_file() {
	export LODGE="$BATS_TEST_DIRNAME/../../build/lodge"
	export HOME_DIR=$(mktemp -d /tmp/lodge-bats-XXXXXX)
	mkdir -m 700 "$HOME_DIR/run" "$HOME_DIR/share"
	export XDG_DATA_HOME=$HOME_DIR/data XDG_RUNTIME_DIR=$HOME_DIR/run
	echo "from the host" >"$HOME_DIR/share/file"
	"$LODGE" pull debian-small >"$HOME_DIR/pull.log" 2>&1 || {
		cat "$HOME_DIR/pull.log" >&2
		return 1
	}
	"$LODGE" run -d --name g -m 256M -v "$HOME_DIR/share:/mnt/share" -v "$HOME_DIR/share:/mnt/ro:ro" debian-small
	"$LODGE" exec --wait 3m g true
}

teardown_file() {
	[ -d "$HOME_DIR" ] || return 0
	"$LODGE" rm -f g >/dev/null || true
	rm -rf "$HOME_DIR"
}

try() { output=$("$@") && status=0 || status=$?; }

@test "output, error output and exit code are the program's" {
	try "$LODGE" exec g sh -c 'echo out; echo err >&2; exit 42' 2>"$HOME_DIR/err"
	[ "$status" -eq 42 ]
	[ "$output" = out ]
	[ "$(cat "$HOME_DIR/err")" = err ]
	try "$LODGE" exec g sh -c 'kill -TERM $$'
	[ "$status" -eq 143 ]
	try "$LODGE" exec g no-such-program
	[ "$status" -eq 127 ]
	try "$LODGE" exec g /etc
	[ "$status" -eq 126 ]
}

@test "a megabyte goes in and comes out unchanged" {
	head -c 1000000 /dev/urandom >"$HOME_DIR/bytes"
	"$LODGE" exec -i g cat <"$HOME_DIR/bytes" | cmp - "$HOME_DIR/bytes"
	[ "$("$LODGE" exec -i g sha256sum <"$HOME_DIR/bytes")" = "$(sha256sum <"$HOME_DIR/bytes")" ]
}

@test "environment, folder, user" {
	[ "$("$LODGE" exec -e 'A=b c' -w /tmp g sh -c 'echo "$A $PWD"')" = "b c /tmp" ]
	[ "$("$LODGE" exec -u root g id -u)" = 0 ]
	try "$LODGE" exec -u nobody-at-all g true
	[ "$status" -ne 0 ]
}

@test "signals reach the program" {
	"$LODGE" exec g sleep 600 &
	pid=$!
	sleep 1
	kill -TERM $pid
	wait $pid && code=0 || code=$?
	[ "$code" -eq 143 ]
	left=$("$LODGE" exec g ps)
	[[ "$left" == *lodge-agent* && "$left" != *"sleep 600"* ]]
}

# held PID: stop it while the guest goes on, as a loaded host does; what has come meanwhile, it then
# gets at once.
held() {
	sleep 0.5
	kill -STOP $1
	sleep 3
	kill -CONT $1
	for n in $(seq 200); do
		kill -0 $1 2>/dev/null || return 0
		sleep 0.1
	done
	kill -KILL $1
	return 1
}

@test "many small pieces of output at once all arrive" {
	"$LODGE" exec g sh -c 'sleep 1; i=0; while [ $i -lt 500 ]; do echo $i; i=$((i+1)); done' >"$HOME_DIR/out" &
	held $!
	cmp "$HOME_DIR/out" <(seq 0 499)
}

@test "a reader that goes away ends the program, however much has come" {
	mkfifo "$HOME_DIR/pipe"
	head -n 1 <"$HOME_DIR/pipe" >"$HOME_DIR/out" &
	"$LODGE" exec g sh -c 'sleep 1; while :; do echo yes || exit; done' >"$HOME_DIR/pipe" &
	held $!
	[ "$(cat "$HOME_DIR/out")" = yes ]
}

@test "a reader that goes away ends the program" {
	"$LODGE" exec g sh -c 'while :; do echo yes || exit; done' | head -n 1 | grep -q yes
	left=$("$LODGE" exec g ps)
	[[ "$left" == *lodge-agent* && "$left" != *"echo yes"* ]]
}

@test "many at a time" {
	pids=
	for n in 1 2 3 4 5 6 7 8; do
		"$LODGE" exec g sh -c "sleep 0.2; echo $n; exit $n" >"$HOME_DIR/out.$n" &
		pids="$pids $!"
	done
	n=0
	for pid in $pids; do
		n=$((n + 1))
		wait "$pid" && code=0 || code=$?
		[ "$code" -eq $n ]
		[ "$(cat "$HOME_DIR/out.$n")" = $n ]
	done
}

@test "a terminal has the size of ours" {
	command -v script >/dev/null || skip "no script(1)"
	script -qec "stty rows 33 cols 99; '$LODGE' exec -it g stty size" /dev/null </dev/null | grep -q "33 99"
	script -qec "'$LODGE' exec -it g tty" /dev/null </dev/null | grep -q /dev/pts/
}

@test "folders are shared, also read-only" {
	[ "$("$LODGE" exec g cat /mnt/share/file)" = "from the host" ]
	"$LODGE" exec g sh -c 'echo back >/mnt/share/back'
	[ "$(cat "$HOME_DIR/share/back")" = back ]
	try "$LODGE" exec g sh -c 'echo no >/mnt/ro/no' 2>/dev/null
	[ "$status" -ne 0 ]
	[ ! -e "$HOME_DIR/share/no" ]
}

@test "pause holds a program, resume lets it go on" {
	"$LODGE" exec g sh -c 'sleep 1; echo done' >"$HOME_DIR/paused" &
	pid=$!
	sleep 0.3
	"$LODGE" pause g
	sleep 1.5
	[ ! -s "$HOME_DIR/paused" ]
	"$LODGE" resume g
	wait $pid
	[ "$(cat "$HOME_DIR/paused")" = done ]
}

@test "stop asks the agent: the guest ends with its own code" {
	"$LODGE" stop -t 60 g
	"$LODGE" ls -a | grep "^g " | grep -q "exit code 0"
}

@test "a command of run is the guest's whole life" {
	try "$LODGE" run --rm -m 256M -e WHO=me debian-small 'echo "for $WHO"; exit 9' </dev/null
	[ "$status" -eq 9 ]
	echo "$output"
	[[ "$output" == *"for me"* ]]
	[ -z "$("$LODGE" ls -q | grep -v "^g\$")" ]
}

@test "a kernel panic is 123" {
	try "$LODGE" run --rm -m 256M debian-small 'echo c >/proc/sysrq-trigger' </dev/null
	[ "$status" -eq 123 ]
}
