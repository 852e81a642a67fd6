#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A few rounds of test/life/rounds; LODGE_ROUNDS=200 for more.
bats_require_minimum_version 1.5.0

@test "random verbs on a guest under load: memory, counter, files and clock are right after each" {
	cd "$BATS_TEST_DIRNAME/../.."
	build/lodge pull debian-small >/dev/null
	run test/life/rounds "${LODGE_ROUNDS:-8}"
	echo "$output" | tail -n 20
	[ "$status" -eq 0 ]
}
