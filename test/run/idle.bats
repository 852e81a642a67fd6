#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# --idle-timeout: a guest that nobody uses is suspended, and whoever wants something of it wakes it up.
# Its nonce in memory tells going on from booting.
bats_require_minimum_version 1.5.0
source "$BATS_TEST_DIRNAME/guests.sh"

setup_file() {
	home_make
	image_pull debian-small
	export PORT=$((20000 + $$ % 10000))
	"$LODGE" run -d --name web -m 160M -p $PORT:8080 --idle-timeout 2s debian-small
	"$LODGE" exec --wait 3m web sh -c 'head -c 32 /dev/urandom | sha256sum >/nonce
		(while :; do { echo hello; cat /nonce; } | nc -l -p 8080; done) >/dev/null 2>&1 </dev/null &' </dev/null
	"$LODGE" exec web cat /nonce </dev/null >"$BATS_FILE_TMPDIR/nonce"
}

teardown_file() {
	"$LODGE" rm -f web other >/dev/null 2>&1 || true
}

await() { # STATE NAME
	for _ in $(seq 300); do
		[ "$(state "${2:-web}")" != "$1" ] || return 0
		sleep 0.1
	done
	return 1
}
visit() { timeout 30 bash -c "exec 5<>/dev/tcp/127.0.0.1/$PORT; cat <&5"; }
same() { visit | grep -qxF "$(cat "$BATS_FILE_TMPDIR/nonce")"; }
# The process that waits; the guest's state file says nothing of it.
waiter() {
	local p
	for p in /proc/[0-9]*; do
		[ "$(cat "$p/comm" 2>/dev/null)" = "lodge:web" ] &&
			tr '\0' '\n' <"$p/environ" 2>/dev/null | grep -qxF "XDG_DATA_HOME=$XDG_DATA_HOME" &&
			echo "${p#/proc/}" && return
	done
}

@test "idle: it is suspended, and a connection wakes it up" {
	"$LODGE" inspect web | grep -q '"suspends_ns"'
	await suspended
	"$LODGE" inspect web | grep -q '"why":"idle for 2 s"'
	"$LODGE" ls | grep -q "idle, suspended"
	"$LODGE" events --no-stream web | grep -q "suspended why=idle for 2 s"
	# what waits is small
	[ "$(awk '/^RssAnon/ { print $2 }' "/proc/$(waiter)/status")" -lt 4096 ]
	same
	[ "$(state web)" = running ]
	"$LODGE" events --no-stream web | grep -q "resumed why=a connection to 127.0.0.1:$PORT:8080/tcp"
}

@test "an open connection keeps it awake; exec, attach and more connections wake it up" {
	"$LODGE" exec web sleep 4 </dev/null
	[ "$(state web)" = running ]
	await suspended
	[ "$("$LODGE" exec web cat /nonce </dev/null)" = "$(cat "$BATS_FILE_TMPDIR/nonce")" ]
	await suspended
	before=$("$LODGE" events --no-stream web | grep -c resumed)
	timeout 30 "$LODGE" attach web </dev/null >/dev/null || true
	[ "$("$LODGE" events --no-stream web | grep -c resumed)" -gt "$before" ]
	for _ in 1 2; do
		await suspended
		same
	done
}

@test "killed while it waits: still suspended, the port is free, exec wakes it up" {
	await suspended
	kill -9 "$(waiter)"
	[ "$(state web)" = suspended ]
	run ! visit
	[ "$("$LODGE" exec web cat /nonce </dev/null)" = "$(cat "$BATS_FILE_TMPDIR/nonce")" ]
	same
	await suspended
	"$LODGE" suspend web # for good, that is
	run ! visit
	[ "$(state web)" = suspended ]
	"$LODGE" resume web
	same
}

@test "clone, update, stop, kill and rm while it is idle" {
	await suspended
	"$LODGE" clone web other
	[ "$("$LODGE" exec --wait 1m other cat /nonce </dev/null)" = "$(cat "$BATS_FILE_TMPDIR/nonce")" ]
	"$LODGE" rm -f other
	same
	await suspended
	"$LODGE" stop web
	[ "$(state web)" = stopped ]
	run ! visit
	"$LODGE" start web
	"$LODGE" exec --wait 2m web true </dev/null
	await suspended
	"$LODGE" kill web
	[ "$(state web)" = stopped ]
	run ! visit
	"$LODGE" start web
	"$LODGE" exec --wait 2m web true </dev/null
	"$LODGE" update web --idle-timeout none
	sleep 3
	[ "$(state web)" = running ]
	"$LODGE" update web --idle-timeout 1s
	await suspended
	"$LODGE" rm -f web
	run ! visit
	[ -z "$(waiter)" ]
	run "$LODGE" create --idle-timeout 10ms --name other debian-small
	[ "$status" -ne 0 ]
}
