#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# One life cycle: what podman has started with lodge-oci answers to the verbs of lodge, and podman
# sees what they did. All of podman's own is in a folder of the test's.

setup_file() {
	[ "$(id -u)" = 0 ] || skip "containers are made as root here"
	command -v podman >/dev/null || skip "no podman here"
	BOX=$(mktemp -d /tmp/lodge-bats-XXXXXX)
	export BOX
	mkdir -p "$BOX"/{root,run,tmp,rootfs/{bin,etc,tmp,proc,sys,dev,run}}
	cp "$(command -v busybox)" "$BOX/rootfs/bin"
	for a in sh true sleep cat echo ps stat id; do ln -s busybox "$BOX/rootfs/bin/$a"; done
	echo root:x:0:0::/:/bin/sh >"$BOX/rootfs/etc/passwd"
	tar -C "$BOX/rootfs" -cf "$BOX/box.tar" .
	cat >"$BOX/containers.conf" <<-'END'
		[containers]
		default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
		netns = "none"
		log_driver = "k8s-file"
		[engine]
		cgroup_manager = "cgroupfs"
		events_logger = "file"
	END
	p import -q --change 'ENV PATH=/bin' "$BOX/box.tar" box >/dev/null 2>"$BOX/err" || skip "podman does not work here: $(cat "$BOX/err")"
}

teardown_file() {
	[ -n "${BOX:-}" ] || return 0
	p rm -a -f -t 0 >/dev/null 2>&1 || true
	grep -o " ${BOX}[^ ]*" /proc/mounts | sort -r | xargs -r umount -l 2>/dev/null || true
	rm -rf "$BOX"
}

setup() {
	export XDG_DATA_HOME=$BATS_TEST_TMPDIR/data XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/run
	export XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache XDG_CONFIG_HOME=$BATS_TEST_TMPDIR/config
	mkdir -m 700 "$XDG_RUNTIME_DIR"
	unset "${!LODGE_@}" 2>/dev/null || true
	export LODGE="$BATS_TEST_DIRNAME/../../build/lodge"
}

teardown() { p rm -a -f -t 0 >/dev/null 2>&1 || true; }

p() {
	env -u XDG_RUNTIME_DIR -u XDG_DATA_HOME -u XDG_CONFIG_HOME CONTAINERS_CONF="$BOX/containers.conf" \
		timeout 60 podman --root "$BOX/root" --runroot "$BOX/run" --tmpdir "$BOX/tmp" --storage-driver vfs \
		--runtime "$(realpath "$BATS_TEST_DIRNAME/../../build/lodge-oci")" "$@" </dev/null 3>&-
}
lodge() { timeout 60 "$LODGE" "$@"; }
try() { output=$("$@" 2>&1) && status=0 || status=$?; }
# NAME SCRIPT [OPTION...]: its id
up() { p run -d --name "$1" "${@:3}" box sh -c "$2"; }
state() { p inspect --format '{{.State.Status}}' "$1"; }
shown() { lodge ls -a | awk -v n="${1:0:12}" '$1 == n { print $2 }'; }
within() { # COMMAND...
	for _ in $(seq 100); do
		! "$@" || return 0
		sleep 0.05
	done
	return 1
}

@test "ls has them, with engine and root; inspect tells more; -q only when asked" {
	id=$(up one 'sleep 100')
	lodge ls | grep -E "^${id:0:12} +running +container +sh -c sleep 100 .*podman, /run/lodge-oci"
	[ -z "$(lodge ls -aq | grep "${id:0:12}")" ]
	[[ $'\n'$(lodge ls -q --engine podman)$'\n' == *$'\n'${id:0:12}$'\n'* ]]
	lodge inspect "${id:0:6}" | python3 -c 'import json, sys
o = json.load(sys.stdin)
o = o[0] if isinstance(o, list) else o
assert o["id"] == sys.argv[1] and o["engine"] == "podman" and o["root"] == "/run/lodge-oci", o
assert o["state"] == "running" and o["pid"] > 1 and o["bundle"].endswith("/userdata"), o
assert o["created_ns"] > 10 ** 18, o' "$id"
}

@test "pause and resume, by the one state that the runtime keeps" {
	id=$(up one 'while :; do sleep 0.1; done')
	within p exec one true
	lodge pause "$id"
	[ "$(shown "$id")" = paused ]
	"$LODGE" oci state "$id" | grep '"status": *"paused"'
	try p exec one true
	[ "$status" -ne 0 ]
	try lodge pause "$id"
	[ "$status" -eq 125 ]
	try lodge exec "$id" -- echo
	[ "$status" -ne 0 ]
	lodge resume "${id:0:12}"
	p exec one true
	p pause one >/dev/null
	[ "$(shown "$id")" = paused ]
	p unpause one >/dev/null
	[ "$(shown "$id")" = running ]
}

@test "exec, cp, logs, stats, top, update in one that runs" {
	id=$(up one 'echo begun; echo err >&2; for i in 1 2 3; do echo line $i; done; sleep 100' -e A=given)
	within p exec one true
	[ "$(lodge exec "$id" -- sh -c 'echo $A; id -u')" = $'given\n0' ]
	try lodge exec "$id" -- sh -c 'exit 7'
	[ "$status" -eq 7 ]
	try lodge exec "$id" -- no-such
	[ "$status" -eq 127 ]
	echo text >"$BATS_TEST_TMPDIR/f"
	lodge cp "$BATS_TEST_TMPDIR/f" "${id:0:12}:/tmp/f"
	[ "$(p exec one cat /tmp/f)" = text ]
	p exec one sh -c 'echo back >/tmp/g'
	lodge cp "${id:0:12}:/tmp/g" "$BATS_TEST_TMPDIR/g"
	[ "$(cat "$BATS_TEST_TMPDIR/g")" = back ]
	within eval '[ "$(lodge logs "$id" | wc -l)" = 5 ]'
	[ "$(lodge logs "$id" | sort)" = "$(p logs one 2>&1 | sort)" ]
	# the two streams come by two pipes
	[ "$(lodge logs -n 2 "$id")" = "$(lodge logs "$id" | tail -n 2)" ]
	lodge logs -t "$id" | grep -E '^20[0-9-]+T[0-9:]+\.[0-9]{9}Z line 3$'
	lodge stats --format json "$id" | python3 -c 'import json, sys
o = json.load(sys.stdin)
o = o[0] if isinstance(o, list) else o
assert o["state"] == "running" and o["cpu_ns"] > 0 and o["memory_resident"] > 0 and o["processes"] >= 1, o'
	lodge stats --no-stream | grep "^${id:0:12}"
	lodge update --memory 64M --pids-limit 77 "$id"
	group=$(grep -h -o "/libpod[^:]*" /proc/"$(p inspect --format '{{.State.Pid}}' one)"/cgroup | head -n 1)
	grep -qx 77 /sys/fs/cgroup/pids"$group"/pids.max 2>/dev/null || grep -qx 77 /sys/fs/cgroup"$group"/pids.max
	grep -qx 67108864 /sys/fs/cgroup/memory"$group"/memory.limit_in_bytes 2>/dev/null ||
		grep -qx 67108864 /sys/fs/cgroup"$group"/memory.max
	lodge update --cpus 0.5 "$id"
	grep -qx 77 /sys/fs/cgroup/pids"$group"/pids.max 2>/dev/null || grep -qx 77 /sys/fs/cgroup"$group"/pids.max
	lodge logs -f "$id" >"$BATS_TEST_TMPDIR/followed" 3>&- &
	sleep 0.3
	lodge kill "$id"
	wait $!
	[ "$(wc -l <"$BATS_TEST_TMPDIR/followed")" = 5 ]
}

@test "stop, kill, kill -s: podman has the exit code" {
	id=$(up one 'trap "exit 3" TERM; trap "echo usr" USR1; while :; do sleep 0.1; done')
	within p exec one true
	lodge kill -s USR1 "$id"
	within eval 'lodge logs "$id" | grep -q usr'
	[ "$(state one)" = running ]
	lodge stop "$id"
	[ "$(p wait one)" = 3 ]
	within eval '[ "$(state one)" = exited ]'
	try lodge stop "$id"
	[ "$status" -ne 0 ]
	id=$(up two 'trap "" TERM; while :; do sleep 0.1; done')
	within p exec two true
	lodge pause "$id"
	lodge stop -t 1 "$id"
	[ "$(p wait two)" = 137 ]
	id=$(up three 'trap "exit 5" INT; while :; do sleep 0.1; done' --stop-signal INT)
	within p exec three true
	lodge stop "$id"
	[ "$(p wait three)" = 5 ]
	id=$(up four 'sleep 100')
	lodge kill "$id"
	[ "$(p wait four)" = 137 ]
}

@test "what is the engine's to do is refused, and says whose it is" {
	id=$(up one 'sleep 100')
	for verb in start attach rm "rm -f" suspend snapshot restart wait; do
		case $verb in snapshot) words="snapshot create $id" ;; *) words="$verb $id" ;; esac
		try lodge $words
		echo "$verb: $status $output"
		[ "$status" -ne 0 ]
		[[ $output == *"container of podman"* ]]
	done
	try lodge rename "$id" other
	[[ $output == *"container of podman"* ]]
	try lodge update --restart always "$id"
	[[ $output == *"container of podman"* ]]
	[ "$(state one)" = running ]
	try lodge inspect 0000nosuch
	[ "$status" -eq 127 ]
}

@test "an own root, by the setting oci-roots; the beginning of two ids is said to be that" {
	mkdir -p "$XDG_CONFIG_HOME/lodge" "$BOX/own"
	oci=$(realpath "$BATS_TEST_DIRNAME/../../build/lodge-oci")
	mkdir -p "$BATS_TEST_TMPDIR/b"
	ln -s "$BOX/rootfs" "$BATS_TEST_TMPDIR/b/rootfs"
	(cd "$BATS_TEST_TMPDIR/b" && "$oci" spec)
	sed -i 's/"terminal": *true/"terminal": false/; s/"sh"/"sleep", "100"/' "$BATS_TEST_TMPDIR/b/config.json"
	for id in abc1 abc2; do
		"$oci" --root "$BOX/own" run -d --bundle "$BATS_TEST_TMPDIR/b" $id >/dev/null 2>&1 </dev/null 3>&-
	done
	try lodge inspect abc1
	[ "$status" -eq 127 ]
	echo "oci-roots = $BOX/own" >"$XDG_CONFIG_HOME/lodge/config"
	lodge ls | grep "^abc1 .*lodge-oci, $BOX/own"
	try lodge inspect abc
	[[ $output == *"the beginning of 2 containers' ids"* ]]
	lodge kill abc1
	[ "$("$oci" --root "$BOX/own" list | awk '$1 == "abc1" { print $3 }')" = stopped ]
	for id in abc1 abc2; do "$oci" --root "$BOX/own" delete --force $id; done
	[ -z "$(lodge ls -a | grep abc)" ]
}
