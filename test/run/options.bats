#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Which option is whose: what the level of a guest does not know is refused, and nothing is made.

setup() {
	export XDG_DATA_HOME=$BATS_TEST_TMPDIR/data XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/run
	export XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache XDG_CONFIG_HOME=$BATS_TEST_TMPDIR/config
	mkdir -m 700 "$XDG_RUNTIME_DIR"
	unset "${!LODGE_@}" 2>/dev/null || true
	export LODGE="$BATS_TEST_DIRNAME/../../build/lodge"
	cd "$BATS_TEST_TMPDIR" || return 1
	mkdir -p root/bin
	printf '\0asm\1\0\0\0' >m.wasm
	touch file
}

lodge() { timeout 60 "$LODGE" "$@"; }
# LEVELS GUEST OPTION...: create and run refuse, and say whose the option is
refused() {
	for verb in create run "run -d"; do
		status=0
		output=$(lodge $verb "${@:3}" "$2" 2>&1 </dev/null) || status=$?
		echo "$verb ${*:3} $2: $status $output"
		[ "$status" -eq 125 ] || return 1
		[[ $output == *"is for guests of the level $1; $2 is of the level"* ]] || return 1
	done
	[ -z "$(lodge ls -aq)" ]
}

@test "options of containers are not for machines and programs" {
	for guest in demo m.wasm; do
		for o in --cap-add=all --cap-drop=all --userns=auto --uidmap=0:1:1 --gidmap=0:1:1 \
			--entrypoint=sh; do
			refused container "$guest" $o
		done
		for o in --pids-limit=5 --memory-reservation=8M --memory-swap=9G; do
			refused container/windows "$guest" $o
		done
	done
	refused container demo --hostname=x
	refused machine/container m.wasm --hostname=x
	refused container demo --user=1
	refused container demo --read-only
	refused container file --level=process --cap-drop=all
	refused container file --level=windows --userns=host
	refused machine/container file --level=process --read-only
	refused machine/container/windows file --level=process -p 80:80
}

@test "options of machines are not for programs and containers" {
	for guest in root m.wasm; do
		for o in --bus=pci --mmu=sv48 --append=quiet --disk=1M --disk-bps=1M --disk-iops=5 --net-bps=1M; do
			refused machine "$guest" $o
		done
	done
	refused machine/process/wasm root --accel=interpret
	refused machine/process m.wasm --root=root
	run lodge create --idle-timeout=1m root
	[ "$status" -eq 125 ]
	[[ $output == *"--idle-timeout is for guests of the level machine/process"*"of the level container"* ]]
	refused process/windows/wasm root --isolate
	refused process/windows/wasm demo --isolate
	refused process/container/windows demo --workdir=/x
	refused process/container/windows/wasm demo --env=A=b
	refused machine/container/windows/wasm file --level=process --memory=64M
	refused machine/container/windows/wasm file --level=process --net=none
}

@test "an option of a level that it does not have is refused with those that it has" {
	for words in "demo machine seccomp vlen" "m.wasm wasm vlen fuel" "root container fuel seccomp"; do
		set -- $words
		run lodge create -o "$3=1" "$1"
		echo "$output"
		[ "$status" -eq 125 ]
		[[ $output == *"-o $3=1: guests of the level $2 have no such option; theirs: "*"$4"* ]]
	done
	[ -z "$(lodge ls -aq)" ]
}

@test "a default of the user's is for those guests that know it, an option is for this one" {
	mkdir -p "$XDG_CONFIG_HOME/lodge"
	printf 'pids-limit = 100\nmemory-swap = 8G\nmemory=64M\n' >"$XDG_CONFIG_HOME/lodge/config"
	[ "$(lodge create --name one demo)" = one ]
	lodge inspect one | grep -q '"memory":67108864'
	run lodge inspect one
	[[ $output != *pids_limit* ]] && [[ $output != *memory_swap* ]]
	[ "$(lodge create --name two root)" = two ]
	lodge inspect two | grep -q '"pids_limit":100'
	refused_is() { run lodge create --pids-limit 5 demo; [ "$status" -eq 125 ]; }
	refused_is
	[ "$(LODGE_BUS=pci lodge create --name three root)" = three ]
	lodge rm one two three
}

@test "a bundle says itself how it is run" {
	[ "$(id -u)" = 0 ] || skip "containers are made as root here"
	mkdir bundle && echo '{}' >bundle/config.json
	for o in --cap-add=all --hostname=x --user=1 --read-only --workdir=/; do
		run lodge run "$o" bundle
		[ "$status" -eq 125 ]
		[[ $output == *"a bundle says itself how it is run"* ]]
	done
}
