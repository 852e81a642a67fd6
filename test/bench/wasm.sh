# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The part wasm: kernels of test/bench/wasm by both of lodge's engines, by Node, and as gcc -O2 makes them;
# the start of a small module and of one with 60 MB of code, and what the first has in memory; what throws and
# catches; python.wasm, if a test has fetched it, with a script that does little, and with compiled code of the run
# before or without, and all of its functions compiled.

# Microseconds of COMMAND, the least of so many.
wasm_least() { # ROUNDS COMMAND...
	local begin rounds=$1
	shift
	for _ in $(seq "$rounds"); do
		begin=$(date +%s%N)
		"$@" >/dev/null
		echo $((($(date +%s%N) - begin) / 1000))
	done | sort -n | head -n 1
}

wasm_row() { # WHAT OURS PEER BAR
	local r v
	r=$(ratio "$2" "$3")
	v=$(verdict "$r" "$4") || missed=1
	line "$1" "$2" "$3" "$r" "$4" "$v"
}

wasm_bar() { # WHAT OURS BAR
	local v
	v=$(verdict "$2" "$3") || missed=1
	line "$1" "$2" - - "$3" "$v"
}

part_wasm() {
	local k=$work/kernels python=${XDG_CACHE_HOME:-$HOME/.cache}/lodge/wasm/python.wasm node
	gcc -O2 -o "$k" test/bench/wasm/kernels.c -lm &&
		clang --target=wasm32-wasi -O2 -o "$k.wasm" test/bench/wasm/kernels.c || { missed=1; return; }
	echo 'int main(void) { return 0; }' >"$work/nothing.c"
	clang --target=wasm32-wasi -O2 -o "$work/nothing.wasm" "$work/nothing.c" || missed=1
	node() { command node --no-warnings test/wasm/node.mjs "$@"; }
	for _ in $(seq "$pairs"); do
		"$k" | sed 's/^/native /'
		"$lodge" run --accel interpret "$k.wasm" | sed 's/^/interpret /'
		"$lodge" run --accel translate "$k.wasm" | sed 's/^/translate /'
		node "$k.wasm" '' | sed 's/^/node /'
	done >"$work/wasm"
	printf 'WebAssembly: milliseconds (least): native, interpret, translate, Node; over gcc -O2\n' | show
	awk '{ if (!($1 " " $2 in t) || $3 < t[$1 " " $2]) t[$1 " " $2] = $3; n[$2] = 1
		if ($2 in sum && sum[$2] != $4) { print $2 ": results differ"; bad = 1 }
		sum[$2] = $4 }
		END { for (k in n) {
			a = t["native " k]; i = t["interpret " k]; l = t["translate " k]; v = t["node " k]
			printf "%-12s %8.1f %8.1f %8.1f %8.1f %7.2f %7.2f %7.2f\n", k, a, i, l, v, i / a, l / a, v / a
			si += log(i / a); sl += log(l / a); sv += log(v / a); c++ }
		i = exp(si / c); l = exp(sl / c)
		printf "%-12s %35s %7.2f %7.2f %7.2f (bars 10, 1.45)\n", "geomean", "", i, l, exp(sv / c)
		exit bad || i > 10 || l > 1.45 }' "$work/wasm" >"$work/out" || missed=1
	show <"$work/out"
	wasm_row 'start of a small module, us (node)' "$(wasm_least 20 "$lodge" run "$work/nothing.wasm")" \
		"$(wasm_least 10 node "$work/nothing.wasm" '')" 0.1
	wasm_bar 'the same, ms' "$(wasm_least 20 "$lodge" run "$work/nothing.wasm" | awk '{ print $1 / 1e3 }')" 5
	python3 test/bench/wasm/large.py 60 >"$work/large.wasm"
	wasm_bar 'start of 60 MB of code, ms' "$(wasm_least 5 "$lodge" run "$work/large.wasm" | awk '{ print $1 / 1e3 }')" 250
	rm -f "$work/large.wasm"
	printf '#include <unistd.h>\nint main(void) { sleep(1); return 0; }\n' >"$work/sleeps.c"
	clang --target=wasm32-wasi -O2 -o "$work/sleeps.wasm" "$work/sleeps.c" && gcc -O2 -o "$work/sleeps" "$work/sleeps.c"
	wasm_bar 'asleep, KiB (PSS) beyond a host program' \
		$(($(asleep "$lodge" run "$work/sleeps.wasm") - $(asleep "$work/sleeps"))) 6144
	wat2wasm --enable-exceptions -o "$work/throws.wasm" test/bench/wasm/throws.wat || missed=1
	wasm_row 'exceptions, us (node)' "$(wasm_least 5 "$lodge" run "$work/throws.wasm")" \
		"$(wasm_least 3 node "$work/throws.wasm" '')" 1
	[ -s "$python" ] || { echo 'no python.wasm: test/run/wasm.bats fetches it' | show; return; }
	echo 'import json; print(json.dumps([1]))' >"$work/job.py"
	local theirs
	theirs=$(wasm_least 5 node "$python" "$work" /w/job.py)
	wasm_row 'python start, us (node)' \
		"$(XDG_CACHE_HOME=$work/cache wasm_least 5 "$lodge" run -v "$work:/w" "$python" /w/job.py)" "$theirs" 0.34
	wasm_row 'the same, no code kept' \
		"$(wasm_least 5 "$lodge" run -o cache=off -v "$work:/w" "$python" /w/job.py)" "$theirs" 0.34
	wasm_bar 'all of python compiled, ms for 15 MB' \
		"$(for _ in 1 2 3; do "$build/wasm-compile" "$python"; done | awk '{ t = $2 / $1 * 15e6; if (!m || t < m) m = t }
			END { printf "%.0f", m }')" 1000
}
