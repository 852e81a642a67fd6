#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# lodge rename: a guest gets another name in any state, and all that is known by its paths is found.

source "$BATS_TEST_DIRNAME/guests.sh"

setup() {
	DIR=$(mktemp -d /tmp/lodge-bats-XXXXXX)
	mkdir -m 700 "$DIR/run"
	export XDG_DATA_HOME=$DIR/data XDG_RUNTIME_DIR=$DIR/run XDG_CACHE_HOME=$DIR/cache
	export XDG_CONFIG_HOME=$DIR/config
	unset "${!LODGE_@}" 2>/dev/null || true
	export LODGE="$BATS_TEST_DIRNAME/../../build/lodge"
	I=$XDG_DATA_HOME/lodge/instances
}

teardown() {
	for name in $(lodge ls -aq 2>/dev/null); do lodge rm -f "$name" >/dev/null 2>&1 || true; done
	[ -z "$(ls -A "$XDG_DATA_HOME/lodge/by-id")" ]
	[ -z "$(ls -A "$XDG_RUNTIME_DIR/lodge")" ]
	! grep "$DIR" /proc/self/mountinfo
	rm -rf "$DIR"
}

lodge() { timeout 60 "$LODGE" "$@"; }
pid() { lodge inspect "$1" | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' | head -n 1; }

@test "a machine that runs, with disk and volume: it goes on, all verbs have the new name alone" {
	mkdir "$DIR/share"
	lodge run -d --name a --disk 16M -v "$DIR/share:/mnt" demo 3>&-
	said a help
	was=$(pid a)
	lodge rename a b
	[ "$(state b)" = running ] && [ -z "$(state a)" ]
	[ "$(pid b)" = "$was" ]
	[ ! -e "$I/a" ] && [ -d "$I/b" ]
	lodge inspect b | grep -q '"name":"b"'
	[ -S "$XDG_RUNTIME_DIR/lodge/b/control.sock" ] && [ ! -e "$XDG_RUNTIME_DIR/lodge/a" ]
	try lodge pause a
	[ "$status" -eq 127 ]
	lodge pause b
	[ "$(state b)" = paused ]
	lodge resume b
	# the name is free for another one, with a socket of its own
	lodge run -d --name a demo 3>&-
	[ "$(state a)" = running ]
	lodge kill a
	[ "$(state b)" = running ]
	lodge snapshot create b one
	lodge rename b c
	lodge snapshot ls c | grep -q one
	lodge kill c
	lodge rename c d
	lodge restore d one 3>&-
	[ "$(state d)" = running ]
	lodge suspend d
	lodge rename d e
	lodge resume e 3>&-
	[ "$(state e)" = running ]
	lodge events --no-stream | grep -E '"name": *"e".*"renamed".*"was": *"d"|e .*renamed'
	lodge kill e
	lodge rm e
	[ ! -e "$I/e" ]
}

@test "a clone finds the disks of one that was renamed, and the other way round" {
	lodge run -d --name a --disk 16M demo 3>&-
	said a help
	lodge clone a two 3>&-
	lodge rename a one
	lodge kill two
	lodge start two 3>&-
	[ "$(state two)" = running ]
	lodge kill one
	lodge rename two three
	lodge start one 3>&-
	[ "$(state one)" = running ]
	lodge kill three
	lodge start three 3>&-
	[ "$(state three)" = running ]
}

@test "what cannot be is refused, and nothing changes" {
	lodge create --name a demo
	lodge create --name b demo
	try lodge rename a b
	[ "$status" -eq 125 ]
	[[ $output == *"exists already"* ]]
	for bad in ../x -x "" "a b" "$(printf '%064d' 0)"; do
		try lodge rename a -- "$bad"
		[ "$status" -eq 125 ]
	done
	try lodge rename nobody c
	[ "$status" -eq 127 ]
	rm "$I/a/id" # as an older version would have made it
	try lodge rename a c
	[ "$status" -eq 125 ]
	[[ $output == *"older version"* ]]
	[ "$(state a)" = created ] && [ "$(state b)" = created ]
	lodge start a 3>&-
	[ "$(state a)" = running ]
	lodge kill a
	lodge rm a b
	find "$XDG_DATA_HOME/lodge/by-id" -type l -exec touch -h -d '-2 minutes' {} +
	lodge ls -a
}

@test "killed between the folder's new name and the link: the next look mends it" {
	lodge create --name a --disk 16M demo
	mv "$I/a" "$I/b"
	[ ! -e "$XDG_DATA_HOME/lodge/by-id/$(cat "$I/b/id")/config.json" ]
	lodge start b 3>&-
	[ "$(state b)" = running ]
	[ -e "$XDG_DATA_HOME/lodge/by-id/$(cat "$I/b/id")/config.json" ]
}

@test "containers, running and not: root, ids and volumes are found, exec works" {
	[ "$(id -u)" = 0 ] || skip "containers are made as root here"
	[ -d /usr/lib64 ] || [ -L /lib64 ] || skip "/usr of this host is not all of it"
	python3 "$BATS_TEST_DIRNAME/image/images.py" shell "$DIR/shell"
	lodge pull -q "$DIR/shell" --as shell
	lodge run -d --name a --net none --userns auto -v /usr:/usr:ro shell -c 'echo kept >/f; echo up; while :; do sleep 0.1; done' 3>&- ||
		skip "no user namespaces with idmapped mounts"
	said a up
	lodge rename a b
	[ "$(lodge exec b -- cat /f)" = kept ]
	lodge cp b:/f "$DIR/f"
	ids=$(lodge exec b -- cat /proc/self/uid_map)
	lodge stop -t 1 b
	lodge rename b c
	lodge cp c:/f "$DIR/g"
	# the image may go: what c is made of stays with it, by whatever name
	lodge rmi shell
	lodge start c 3>&-
	[ "$(lodge exec c -- cat /f)" = kept ]
	[ "$(lodge exec c -- cat /proc/self/uid_map)" = "$ids" ]
	lodge rm -f c
	[ -z "$(ls -A "$XDG_DATA_HOME/lodge/images/guests")" ]
	[ -z "$(ls -A "$XDG_DATA_HOME/lodge/containers")" ]
}

@test "a program of Linux that a keeper has: renamed while it runs, paused and suspended" {
	riscv64-linux-gnu-gcc -std=gnu17 -D_GNU_SOURCE -O2 -static -pthread -o "$DIR/kept" "$BATS_TEST_DIRNAME/process/kept.c"
	cd "$DIR" || return 1 # where it writes
	lodge run -d --name a "$DIR/kept" 3>&-
	rounds() {
		local n
		n=$(lodge logs "$1" | wc -l)
		for _ in $(seq 200); do
			[ "$(lodge logs "$1" | wc -l)" -lt $((n + 3)) ] || return 0
			sleep 0.05
		done
		return 1
	}
	rounds a
	lodge rename a b
	rounds b
	lodge pause b
	lodge rename b c
	lodge suspend c
	lodge rename c d
	lodge resume d 3>&-
	rounds d
	! lodge logs d | grep wrong
	lodge kill d
	lodge rm d
}
