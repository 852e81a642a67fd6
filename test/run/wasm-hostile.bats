#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Modules that want too much (test/wasm/hostile.py): each ends in time with a reason, or does what it
# says; limits hold, whichever engine runs it.

bats_require_minimum_version 1.5.0 # run -CODE

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export T=$BATS_FILE_TMPDIR LODGE=$PWD/build/lodge
	python3 test/wasm/hostile.py "$T"
	cd "$T" || return 1
	"$LODGE" run blocks.wasm 2>why || skip "no namespaces here: $(cat why)"
}
setup() { cd "$T" || return 1; }

# ends CODE TEXT MODULE...: so, within its limits, compiled and interpreted
ends() {
	local code=$1 text=$2 accel
	for m in "${@:3}"; do
		for accel in translate interpret; do
			run "-$code" timeout 60 "$LODGE" run -m 64M --timeout 2s --accel $accel "$m.wasm"
			echo "$m, $accel: $output"
			[[ "${lines[0]-}" = *"$text"* ]]
		done
	done
}

@test "depth that is only long runs" {
	ends 0 '' blocks loops ifs tries operands labels
}

@test "what no function may have is refused" {
	ends 126 'too many locals: at most 50000' locals
	ends 126 'more than 65000 values' values
	ends 126 '2000000 labels: at most 1000000' many-labels
	ends 126 'nested so deeply' constant
}

@test "memories and tables that are too large are refused, and grow no further than they may" {
	ends 126 'at most 10000000' table
	ends 126 'more than it may have' memory memories
	ends 126 'a memory of' memory64
	ends 0 '' grow grow-table
}

@test "recursion of any kind ends when the stack does" {
	ends 134 'call stack exhausted' recursion wide-recursion indirect-recursion mutual-recursion
}

@test "what never ends is ended by its time" {
	ends 124 '' forever start-forever tail-recursion fill copy
	for m in forever start-forever tail-recursion; do
		run -124 timeout 60 "$LODGE" run -o fuel=1000000 "$m.wasm"
		[ "${lines[0]}" = "lodge: all fuel is used up" ]
	done
}
