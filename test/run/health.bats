#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Health checks of containers, with docker's meanings: what is asked, when, and what comes of it.
source "$BATS_TEST_DIRNAME/container.sh"

setup() {
	home_begin
	shell_pull
}

teardown() { home_end; }

loop='while :; do sleep 0.1; done'
# NAME STATUS: until it is that
becomes() {
	for _ in $(seq 200); do
		[ "$(field "$1" health)" != "$2" ] || return 0
		sleep 0.05
	done
	lodge inspect "$1"
	return 1
}

@test "starting, healthy, unhealthy, healthy again: in inspect, ls and events" {
	start_sh one "$loop" --health-cmd 'echo looked; test -e /well' --health-interval 200ms --health-retries 2
	[ "$(field one health)" = starting ]
	lodge ls | grep -E '^one .*\(starting\)'
	becomes one unhealthy
	lodge ls | grep -E '^one .*\(unhealthy\)'
	[ "$(field one container.health.failing)" -ge 2 ]
	[ "$(field one container.health.exit_code)" = 1 ]
	[ "$(field one container.health.output)" = looked ]
	lodge exec one -- touch /well
	becomes one healthy
	[ "$(field one container.health.failing)" = 0 ]
	lodge exec one -- rm /well
	becomes one unhealthy
	[ "$(lodge events --no-stream --format json -f event=health | grep -o '"health": *"[a-z]*"' | grep -o '[a-z]*"$' | tr -d '"\n ' )" = startingunhealthyhealthyunhealthy ]
	# who looks costs nothing that stays: no process of a check is left
	lodge kill one
	[ "$(state one)" = stopped ]
	lodge ls -a | grep -E '^one .*exit code 137'
	lodge start one 3>&-
	[ "$(field one health)" = starting ]
}

@test "what it says may be anything, and any amount" {
	start_sh one "$loop" --health-interval 100ms \
		--health-cmd 'printf "a\\377\\300\\200b\\303\\244\\033[2J\\355\\240\\200"; head -c 100000 /dev/zero | tr "\\0" x'
	becomes one healthy
	lodge inspect one | python3 -c 'import json, sys
o = json.load(sys.stdin)
o = o[0] if isinstance(o, list) else o
said = o["container"]["health"]["output"]
assert said.startswith("a???b\u00e4\x1b[2J???xxx"), said[:40]
assert len(said) < 4096, len(said)'
	[ "$(field one health)" = healthy ]
}

@test "one that takes too long is killed, with what it runs, and has failed" {
	start_sh one "$loop" --health-cmd 'sleep 1000' --health-interval 100ms --health-timeout 300ms --health-retries 1
	becomes one unhealthy
	[ "$(field one container.health.exit_code)" = 124 ]
	for _ in $(seq 5); do
		[ "$(lodge exec one -- sh -c 'for p in /proc/[0-9]*; do cat $p/cmdline 2>/dev/null | tr "\0" " "; done' | grep -o 'sleep 1000' | wc -l)" -le 2 ]
		sleep 0.2
	done
}

@test "failures while it may still be starting do not count; a paused one is not asked" {
	start_sh one "$loop" --health-cmd 'echo x >>/asked; false' --health-interval 100ms --health-retries 1 --health-start-period 100s
	for _ in $(seq 100); do
		[ "$(lodge exec one -- sh -c 'cat /asked 2>/dev/null' | wc -l)" -lt 4 ] || break
		sleep 0.1
	done
	[ "$(field one health)" = starting ]
	if [ "$(id -u)" = 0 ]; then
		lodge pause one
		sleep 0.3
		n=$(wc -l <"$XDG_DATA_HOME/lodge/instances/one/container/upper/asked")
		sleep 0.6
		[ "$(wc -l <"$XDG_DATA_HOME/lodge/instances/one/container/upper/asked")" = "$n" ]
		[ "$(field one health)" = starting ]
		lodge resume one
	fi
	lodge kill one
}

@test "the image's HEALTHCHECK, in both forms; options go over it; none does without" {
	python3 "$MAKE" health "$DIR/well"
	lodge pull -q "$DIR/well" --as well
	lodge run -d --name one --net none -v /usr:/usr:ro well -c "$loop" 3>&-
	becomes one healthy
	[ "$(field one container.health.output)" = "from the image" ]
	lodge run -d --name two --net none -v /usr:/usr:ro --health-cmd 'exit 3' --health-retries 1 well -c "$loop" 3>&-
	becomes two unhealthy
	[ "$(field two container.health.exit_code)" = 3 ]
	lodge run -d --name three --net none -v /usr:/usr:ro --health-cmd none well -c "$loop" 3>&-
	lodge inspect three >"$DIR/got"
	! grep -q '"health"' "$DIR/got"
}

@test "what cannot be is refused before anything is made; in the foreground a keeper asks" {
	for bad in --health-interval=soon --health-timeout=0s --health-retries=0 --health-retries=x --health-start-period=-1; do
		try lodge create --health-cmd true "$bad" shell
		echo "$bad: $output"
		[ "$status" -eq 125 ]
	done
	[ -z "$(lodge ls -aq)" ]
	try lodge create --health-cmd true demo
	[[ $output == *"--health-cmd is for guests of the level container"* ]]
	[ "$(run_sh 'sleep 0.5; cat /asked | head -n 1' --rm --health-cmd 'echo yes >>/asked' --health-interval 50ms)" = yes ]
	[ -z "$(lodge ls -aq)" ]
}
