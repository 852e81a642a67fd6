#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Containers with the annotation dev.lodge.level=machine: a riscv64 root in a machine, by the
# commands of an OCI runtime, and by podman where it is. The root is that of vmroot.bats.

bats_require_minimum_version 1.5.0 # run -CODE

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	[ "$(id -u)" = 0 ] || skip "needs root"
	command -v riscv64-linux-gnu-gcc >/dev/null || skip "no compiler for riscv64"
	export XDG_CACHE_HOME=${XDG_CACHE_HOME:-$HOME/.cache}
	build/lodge pull debian-small >"$BATS_FILE_TMPDIR/pull.log" 2>&1 ||
		skip "no kernel: $(grep -m 1 error "$BATS_FILE_TMPDIR/pull.log")"
	export B=$BATS_FILE_TMPDIR/bundle S=/run/lodge-vm-$$ OCI=$PWD/build/lodge-oci
	mkdir -p "$B/rootfs/bin" "$B/rootfs/etc" "$B/rootfs/data" "$B/vol"
	riscv64-linux-gnu-gcc -static -O1 -o "$B/rootfs/bin/do" test/run/vmroot.c
	echo 'root:x:0:0::/:/bin/do' >"$B/rootfs/etc/passwd"
	echo of-the-volume >"$B/vol/file"
	# engines clean the environment of a runtime
	export RUNTIME=$BATS_FILE_TMPDIR/runtime
	printf '#!/bin/sh\nexport XDG_CACHE_HOME=%s\nexec %s "$@"\n' "$XDG_CACHE_HOME" "$OCI" >"$RUNTIME"
	chmod 755 "$RUNTIME"
}

teardown() {
	[ -n "$S" ] || return 0
	for id in $("$OCI" --root "$S" list -q); do "$OCI" --root "$S" delete --force "$id" || true; done
}

teardown_file() { rm -rf "$S" "$S-vm"; }

# bundle MOUNTS WORDS...: a configuration; MOUNTS is JSON with commas in front
bundle() {
	mounts=$1
	shift
	words=
	for w; do words="$words,\"$w\""; done
	cat >"$B/config.json" <<-END
	{"ociVersion":"1.0.2","hostname":"inside","root":{"path":"rootfs"},
	 "annotations":{"dev.lodge.level":"machine","dev.lodge.memory":"128M"},
	 "process":{"cwd":"/data","user":{"uid":0,"gid":0},"env":["PATH=/bin","FOO=bar"],"args":[${words#,}]},
	 "mounts":[{"destination":"/proc","type":"proc","source":"proc"}$mounts],
	 "linux":{"namespaces":[{"type":"pid"},{"type":"mount"},{"type":"ipc"},{"type":"uts"}]}}
	END
}

oci() { timeout 100 "$OCI" --root "$S" "$@"; }

# within SECONDS COMMAND...: until it succeeds
within() {
	end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}

@test "run: streams, exit code, mounts, name, folder, environment" {
	bundle ',{"destination":"/vol","type":"bind","source":"'"$B"'/vol","options":["rbind","ro"]}' \
		do out hello cwd host env FOO file /vol/file exit 7
	run oci run -b "$B" one </dev/null
	echo "$output"
	[ "$status" -eq 7 ]
	[ "$output" = $'hello\ncwd=/data\nhost=inside\nFOO=bar\nof-the-volume' ]
	[ -z "$(ls "$S-vm/lodge/instances")" ]
}

@test "create, start, exec, pause, kill, delete" {
	bundle "" do handle 15 out begun wait exit 9
	oci create -b "$B" two </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
	[ ! -s "$BATS_TEST_TMPDIR/out" ]
	oci start two
	within 60 grep -q begun "$BATS_TEST_TMPDIR/out"
	run oci exec two do out more exit 3 </dev/null
	[ "$status" -eq 3 ]
	[ "$output" = more ]
	oci pause two
	oci state two | grep -q '"paused"'
	oci resume two
	oci kill two TERM
	stopped() { oci state two | grep -q '"stopped"'; }
	within 60 stopped
	grep -q "signal 15" "$BATS_TEST_TMPDIR/out"
	oci delete two
	[ -z "$(ls "$S-vm/lodge/instances")" ]
}

@test "delete --force leaves nothing" {
	bundle "" do out begun wait
	oci create -b "$B" three </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
	oci start three
	within 60 grep -q begun "$BATS_TEST_TMPDIR/out"
	oci delete --force three
	[ -z "$(ls "$S-vm/lodge/instances")" ]
	! pgrep -f -- "--root $B/rootfs" || return 1
}

@test "an image does not lead a mount out of its root" {
	ln -sfn /etc "$B/rootfs/link"
	ln -sfn ../../../../../../../../etc "$B/rootfs/up"
	before=$(ls -la /etc | sha256sum)
	bundle ',{"destination":"/link/x","type":"bind","source":"'"$B"'/vol/file","options":["bind"]},{"destination":"/up/y","type":"bind","source":"'"$B"'/vol/file","options":["bind"]}' \
		do file /etc/x file /etc/y
	run oci run -b "$B" four </dev/null
	echo "$output"
	[ "$output" = $'of-the-volume\nof-the-volume' ]
	[ -e "$B/rootfs/etc/x" ]
	[ -e "$B/rootfs/etc/y" ]
	[ ! -e /etc/x ]
	[ "$(ls -la /etc | sha256sum)" = "$before" ]
	bundle ',{"destination":"/data/../../x","type":"bind","source":"'"$B"'/vol/file","options":["bind"]}' do exit 0
	run ! oci run -b "$B" five </dev/null
}

@test "the guest's kernel keeps programs to their capabilities, limits and rights" {
	bundle "" do ids file /proc/self/status file /proc/self/limits file /proc/self/oom_score_adj exit 0
	python3 - "$B/config.json" <<-'END'
		import json, sys
		c = json.load(open(sys.argv[1]))
		kill = ["CAP_KILL"]
		c["process"].update(user={"uid": 7, "gid": 8, "umask": 0o77}, noNewPrivileges=True, oomScoreAdj=300,
		    rlimits=[{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88},
		             {"type": "RLIMIT_NPROC", "soft": 5, "hard": 6}],
		    capabilities={"bounding": kill + ["CAP_NET_RAW"], "effective": kill, "permitted": kill,
		                  "inheritable": kill, "ambient": kill})
		c["linux"]["resources"] = {"pids": {"limit": 3}, "cpu": {"cpus": "0", "quota": 400000, "period": 100000}}
		json.dump(c, open(sys.argv[1], "w"))
	END
	run oci run -b "$B" six </dev/null
	echo "$output"
	[ "$status" -eq 0 ]
	grep -qx "ids=7:8" <<<"$output"
	for set in Inh Prm Eff Amb; do grep -qx "Cap$set:.0000000000000020" <<<"$output"; done
	grep -qx "CapBnd:.0000000000002020" <<<"$output"
	grep -qx "NoNewPrivs:.1" <<<"$output"
	grep -qx "Umask:.0077" <<<"$output"
	grep -qx "Cpus_allowed_list:.0" <<<"$output"
	grep -Eqx "Max open files +77 +88 +files *" <<<"$output"
	grep -Eqx "Max processes +5 +6 +processes *" <<<"$output"
	grep -qx 300 <<<"$output"
	# root without rights is kept to them, too; exec has the container's unless it is told others
	bundle "" do out begun wait
	oci create -b "$B" seven </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
	oci start seven
	within 60 grep -q begun "$BATS_TEST_TMPDIR/out"
	run oci exec seven do file /proc/self/status
	[[ $output == *$'CapEff:\t0000000000000000'* ]]
	[[ $output == *$'CapBnd:\t0000000000000000'* ]]
	cat >"$BATS_TEST_TMPDIR/p.json" <<-'END'
	{"cwd":"/","user":{"uid":0,"gid":0},"env":["PATH=/bin"],"args":["do","file","/proc/self/status"],
	 "capabilities":{"bounding":["CAP_CHOWN"],"effective":["CAP_CHOWN"],"permitted":["CAP_CHOWN"]}}
	END
	run oci exec --process "$BATS_TEST_TMPDIR/p.json" seven
	[[ $output == *$'CapEff:\t0000000000000001'* ]]
	run oci exec --user nobody seven do ids
	[ "$status" -eq 255 ]
	[[ $output == *"UID[:GID] in numbers"* ]]
	[ "$(oci exec --user 5:6 seven do ids)" = ids=5:6 ]
}

@test "podman: run, exec, stop" {
	command -v podman >/dev/null || skip "no podman"
	pod() {
		timeout 100 podman --root "$BATS_FILE_TMPDIR/pod" --runroot "$BATS_FILE_TMPDIR/podrun" --storage-driver vfs \
			--cgroup-manager cgroupfs --runtime "$RUNTIME" "$@"
	}
	vm="--network none --annotation dev.lodge.level=machine -m 512m"
	# shellcheck disable=SC2086 # words
	run pod run --rm $vm -e A=b --rootfs "$B/rootfs" /bin/do out hi env A exit 42 </dev/null
	echo "$output"
	[ "$status" -eq 42 ]
	[ "$output" = $'hi\nA=b' ]
	# shellcheck disable=SC2086 # words
	pod run -d --name p $vm -v "$B/vol:/vol" --rootfs "$B/rootfs" /bin/do handle 15 out begun wait exit 9
	begun() { pod logs p | grep -q begun; }
	within 60 begun
	[ "$(pod exec p /bin/do file /vol/file)" = of-the-volume ]
	pod stop -t 30 p
	[ "$(pod inspect -f '{{.State.ExitCode}}' p)" = 9 ]
	pod rm -f p
}
