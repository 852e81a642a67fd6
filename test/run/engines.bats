#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# lodge-oci from outside: what the specification asks, ways out, damage, and podman and containerd beside
# runc. Short forms of test/oci/*; as root.
bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export BUILD=${BUILD:-build}
	export OCI=$PWD/$BUILD/lodge-oci
	[ "$(id -u)" = 0 ] || skip "containers are made as root here"
	[ -x "$OCI" ]
}

@test "every case of the conformance run" {
	run test/oci/conform --alone "$OCI"
	echo "$output" | tail -n 40
	[ "$status" -eq 0 ]
}

@test "a runtime that does not do what is asked fails the conformance run" {
	printf '#!/bin/sh\nfor a; do [ "$a" != kill ] || exit 0; done\nexec %s "$@"\n' "$OCI" >"$BATS_TEST_TMPDIR/deaf"
	chmod +x "$BATS_TEST_TMPDIR/deaf"
	run -1 test/oci/conform --only '^kill_(signal|bad)' "$OCI" "$BATS_TEST_TMPDIR/deaf"
}

@test "published ways out of a container" {
	run test/oci/escapes "$OCI"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "broken, missing, full, killed: nothing is left" {
	run test/oci/damage --kills "${LODGE_KILLS:-3}" "$OCI"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "podman does with lodge-oci what it does with runc" {
	run test/oci/podman -o '^(run_(exit_code|not_found|tty|cap_drop|seccomp_prof|uidmap|volume|memory_oom)|exec_(code|tty)|logs|attach_stdin|kill_signal|pause|stop_stubborn|healthcheck|copy|stats|pod|build|kube_play)$' \
		runc "$OCI"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "rootless podman too" {
	run test/oci/podman -r -o '^(run_(exit_code|stdin|user|volume)|exec_code|kill_signal)$' runc "$OCI"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "containerd and the CRI do with lodge-oci what they do with runc" {
	run test/oci/containerd --only '^(run_(output|code|seccomp|memory)|exec_code|pause|metrics|kill_term|delete|cri_(pod|exit|update|two)|foreign)' \
		runc "$OCI"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "the commands of docs/kubernetes.md" {
	run test/oci/docs docs/kubernetes.md "$OCI"
	echo "$output"
	[ "$status" -eq 0 ]
}
