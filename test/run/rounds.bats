#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The short forms of test/life/*; LODGE_ROUNDS=200, LODGE_KILLS=300, LODGE_CLONES=100 for more.
bats_require_minimum_version 1.5.0

@test "random verbs on a guest under load: memory, counter, files and clock are right after each" {
	cd "$BATS_TEST_DIRNAME/../.."
	build/lodge pull debian-small >/dev/null
	run test/life/rounds "${LODGE_ROUNDS:-8}"
	echo "$output" | tail -n 20
	[ "$status" -eq 0 ]
}

@test "killed at any moment, or with a full disk: the old state or the new one, and it says which" {
	cd "$BATS_TEST_DIRNAME/../.."
	run test/life/kills "${LODGE_KILLS:-9}"
	echo "$output" | tail -n 20
	[ "$status" -eq 0 ]
}

@test "clones at the same time: each is somebody else, and small" {
	cd "$BATS_TEST_DIRNAME/../.."
	IDLE=5 CLONES_GUEST=debian-small run test/life/clones "${LODGE_CLONES:-4}"
	echo "$output" | tail -n 20
	[ "$status" -eq 0 ]
}
