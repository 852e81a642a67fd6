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

@test "streams that are closed are the null device to all that is opened after" {
	run -0 sh -c '"$1" --root "$2/s" --log "$2/log" run --bundle "$2" "$3" <&- >&- 2>&-' sh "$B/lodge-oci" "$T" "c$$"
	[ ! -s "$T/log" ]
	[ -z "$(ls "$T/s")" ]
	# what is said goes into the log, and into no file of the container's
	run -1 sh -c '"$1" --root "$2/s" --log "$2/log" state none <&- >&- 2>&-' sh "$B/lodge-oci" "$T"
	grep -q "container does not exist" "$T/log"
}

@test "a container of a folder that somebody else can write to, or of a damaged one, is not touched" {
	"$B/lodge-oci" --root "$T/s" create --bundle "$T" "c$$" >"$T/out" 3>&-
	for bad in "chown 65534" "chmod 777"; do
		$bad "$T/s/c$$"
		run -1 "$B/lodge-oci" --root "$T/s" delete --force "c$$"
		[[ "$output" == *"not a folder that only this user writes to"* ]]
		chown 0 "$T/s/c$$"
		chmod 711 "$T/s/c$$"
	done
	cp "$T/s/c$$/state.json" "$T/kept"
	rm "$T/s/c$$/state.json"
	mkfifo "$T/s/c$$/state.json"
	run -1 timeout 10 "$B/lodge-oci" --root "$T/s" state "c$$"
	[[ "$output" == *"not a plain file"* ]]
	rm "$T/s/c$$/state.json"
	ln -s "$T/kept" "$T/s/c$$/state.json"
	run -1 "$B/lodge-oci" --root "$T/s" state "c$$"
	rm "$T/s/c$$/state.json"
	truncate -s 5G "$T/s/c$$/state.json"
	run -1 "$B/lodge-oci" --root "$T/s" state "c$$"
	[[ "$output" == *"too long"* ]]
	cp --remove-destination "$T/kept" "$T/s/c$$/state.json"
	"$B/lodge-oci" --root "$T/s" delete --force "c$$"
	[ -z "$(ls "$T/s")" ]
}

@test "a file that lies where the pid file is written first is not written to" {
	echo kept >"$T/victim"
	# its name has the number of the process: every one that it may get
	mkdir "$T/pids"
	for i in $(seq $(($$ + 1)) $(($$ + 400))); do ln -s "$T/victim" "$T/pids/.pid.$i"; done
	"$B/lodge-oci" --root "$T/s" create --bundle "$T" --pid-file "$T/pids/pid" "c$$" >"$T/out" 3>&-
	[ "$(cat "$T/victim")" = kept ]
	[ -d "/proc/$(cat "$T/pids/pid")" ]
	"$B/lodge-oci" --root "$T/s" delete --force "c$$"
}

@test "control groups: a name that is too long is not the group above, exec --cgroup stays below" {
	cp "$T/config.json" "$T/kept.json"
	sed -i "s|\"linux\": {|\"linux\": { \"cgroupsPath\": \"/$(printf 'a%.0s' $(seq 300))\",|" "$T/config.json"
	run -1 "$B/lodge-oci" --root "$T/s" create --bundle "$T" "c$$"
	[[ "$output" == *"control group"*"too long"* ]]
	[ -z "$(ls "$T/s")" ]
	cp "$T/kept.json" "$T/config.json"
	"$B/lodge-oci" --root "$T/s" create --bundle "$T" "c$$" >"$T/out" 3>&-
	run -255 "$B/lodge-oci" --root "$T/s" exec --cgroup ../.. "c$$" lodge-oci --version
	[[ "$output" == *"leads out of the container's"* ]]
	run -255 "$B/lodge-oci" --root "$T/s" exec --cgroup pi:/ "c$$" lodge-oci --version
	[[ "$output" == *"no such hierarchy"* ]]
	run -0 "$B/lodge-oci" --root "$T/s" exec --cgroup / "c$$" lodge-oci --version
	for size in nan inf 1e300 -2; do
		run -1 "$B/lodge-oci" --root "$T/s" update --memory "$size" "c$$"
		[[ "$output" == *"not a size"* ]]
	done
	"$B/lodge-oci" --root "$T/s" delete --force "c$$"
}

@test "who listens for a filter and never looks holds nobody up without an end" {
	python3 - "$T" <<-'END'
		import json, sys
		path = sys.argv[1] + "/config.json"
		c = json.load(open(path))
		c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": sys.argv[1] + "/deaf",
		    "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}
		json.dump(c, open(path, "w"))
	END
	python3 - "$T" "$B/lodge-oci" "c$$" <<-'END'
		import socket, subprocess, sys, time
		top, program, name = sys.argv[1:]
		s = socket.socket(socket.AF_UNIX)
		s.bind(top + "/deaf")
		s.listen(0)
		waiting = []
		while True:  # until its queue is full
		    c = socket.socket(socket.AF_UNIX)
		    c.setblocking(False)
		    try:
		        c.connect(top + "/deaf")
		    except BlockingIOError:
		        break
		    waiting.append(c)
		begin = time.time()
		r = subprocess.run([program, "--root", top + "/s", "run", "--bundle", top, name], timeout=40,
		                   capture_output=True, text=True)
		assert r.returncode == 1 and "listenerPath" in r.stderr, (r.returncode, r.stderr)
		assert 5 < time.time() - begin < 30, time.time() - begin
	END
	[ -z "$(ls "$T/s")" ]
}

@test "a configuration that may be made may be read again; one beyond that is refused" {
	python3 - "$T" <<-'END'
		import json, sys
		c = json.load(open(sys.argv[1] + "/config.json"))
		for name, size in (("large", 9 << 20), ("huge", 17 << 20)):
		    c["annotations"] = {"x": "y" * size}
		    json.dump(c, open("%s/%s.json" % (sys.argv[1], name), "w"))
	END
	cp "$T/large.json" "$T/config.json"
	"$B/lodge-oci" --root "$T/s" create --bundle "$T" "c$$" >"$T/out" 3>&-
	run -0 "$B/lodge-oci" --root "$T/s" exec "c$$" lodge-oci --version
	"$B/lodge-oci" --root "$T/s" delete --force "c$$"
	cp "$T/huge.json" "$T/config.json"
	run -1 "$B/lodge-oci" --root "$T/s" create --bundle "$T" "c$$"
	[ -z "$(ls "$T/s")" ]
}

@test "features says what there is" {
	"$B/lodge-oci" features | python3 -c '
import json, sys
f = json.load(sys.stdin)["linux"]
assert f["intelRdt"]["enabled"] and f["mountExtensions"]["idmap"]["enabled"], f
assert "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" in f["seccomp"]["supportedFlags"]
assert len(f["capabilities"]) == 41 and len(f["namespaces"]) == 8'
	create=$("$B/lodge-oci" create --help | sed 1,3d) run=$("$B/lodge-oci" run --help | sed 1,3d)
	[[ "$run" == "$create"*--keep* ]]
	[[ "$create" != *--keep* ]]
}
