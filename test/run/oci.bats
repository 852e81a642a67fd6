#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# lodge oci and lodge-oci: that both are there and do the same. What a runtime must do is tested with
# others beside it. The program in the container is lodge-oci itself, which is static.
bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	B=${LODGE_BUILD:-$PWD/build}
	T=$BATS_TEST_TMPDIR
	[ "$(id -u)" = 0 ] || skip "needs root"
	grep -q cgroup /proc/mounts || skip "no control groups are mounted here"
	cgroups_writable || skip "control groups are read-only here"
	mkdir -p "$T/rootfs/bin"
	cp "$B/lodge-oci" "$T/rootfs/bin/"
	"$B/lodge-oci" spec --bundle "$T"
	sed -i 's/"terminal": true/"terminal": false/' "$T/config.json"
	args '"lodge-oci", "--version"'
}

cgroups_writable() {
	local d
	for d in $(awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/mounts); do
		[ -w "$d" ] || return 1
	done
}

args() { sed -i 's|"args": \[.*\]|"args": [ '"$1"' ]|' "$T/config.json"; }

@test "lodge oci, lodge-oci and lodge by the name runc run the same" {
	ln -s "$B/lodge" "$T/runc"
	for r in "$B/lodge oci" "$B/lodge-oci" "$T/runc"; do
		run --separate-stderr -0 timeout 60 $r --root "$T/s" run --bundle "$T" "c$$"
		[[ "${lines[0]}" == "lodge-oci version "* ]]
	done
	[ -z "$(ls "$T/s")" ]
}

@test "lodge oci: the exit code, errors with their place, no such command" {
	args '"lodge-oci", "nonsense"'
	run -3 "$B/lodge-oci" --root "$T/s" run --bundle "$T" "c$$"
	sed -i 's/"type": "pid"/"type": "pud"/' "$T/config.json"
	run -1 "$B/lodge-oci" --root "$T/s" --log "$T/log" --log-format json run --bundle "$T" "c$$"
	[[ "$output" == ".linux.namespaces[0].type: 'pud' is none of "* ]]
	grep -q '"level":"error","msg":".linux.namespaces\[0\].type' "$T/log"
	run -1 "$B/lodge-oci" --root "$T/s" state none
	[ "$output" = "container does not exist" ]
	run -3 "$B/lodge-oci" frobnicate
}

@test "lodge oci: create, start, delete; nothing is left" {
	"$B/lodge-oci" --root "$T/s" create --bundle "$T" --pid-file "$T/pid" "c$$" >"$T/out" 3>&-
	run -0 "$B/lodge-oci" --root "$T/s" state "c$$"
	[[ "$output" == *'"status": "created"'* ]]
	[ -d "/proc/$(cat "$T/pid")" ]
	"$B/lodge-oci" --root "$T/s" start "c$$"
	for _ in $(seq 100); do
		"$B/lodge-oci" --root "$T/s" state "c$$" | grep -q stopped && break
		sleep 0.1
	done
	"$B/lodge-oci" --root "$T/s" delete "c$$"
	grep -q '^lodge-oci version ' "$T/out"
	[ -z "$(ls "$T/s")" ]
	[ -z "$(find /sys/fs/cgroup -maxdepth 3 -name "c$$" 2>/dev/null)" ]
}

@test "a riscv64 program in a container" {
	[ -x "$B/guest/lodge-agent" ] || skip "no riscv64 program was built"
	printf '%s\n' 'int main(void) { return 42; }' >"$T/p.c"
	riscv64-linux-gnu-gcc -static -o "$T/rootfs/bin/p" "$T/p.c" || skip "no compiler for riscv64"
	args '"p"'
	run -42 timeout 60 "$B/lodge-oci" --root "$T/s" run --bundle "$T" "c$$"
}

@test "the file of the runtime cannot be written from a container" {
	cp "$B/lodge-oci" "$T/runtime"
	before=$(sha256sum <"$T/runtime")
	printf '%s\n' '#include <fcntl.h>' '#include <stdio.h>' '#include <unistd.h>' \
	  'int main(int c, char **v) { char p[64]; int bad = 0;' \
	  'for (int i = 0; i < 2000000; i++) { snprintf(p, 64, "/proc/%d/exe", 2 + i % 6);' \
	  'int r = open(p, O_RDONLY | O_CLOEXEC); if (r < 0) continue;' \
	  'snprintf(p, 64, "/proc/self/fd/%d", r); int w = open(p, O_WRONLY | O_TRUNC);' \
	  'if (w >= 0) bad = 1; close(w); close(r); } return bad; }' >"$T/w.c"
	cc -static -o "$T/rootfs/bin/w" "$T/w.c"
	args '"w"'
	"$T/runtime" --root "$T/s" run -d --bundle "$T" "c$$" >"$T/out" 3>&-
	for _ in $(seq 20); do
		"$T/runtime" --root "$T/s" exec "c$$" /proc/self/exe --version >/dev/null 2>&1 || true
	done
	"$T/runtime" --root "$T/s" delete -f "c$$"
	[ "$(sha256sum <"$T/runtime")" = "$before" ]
}
