#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A folder as the root of a machine: `lodge run --level machine --root DIR PROGRAM`. The root is made
# here: one static program for riscv64 (vmroot.c) under several names. Skipped without the image's
# kernel (lodge pull debian-small) and without a compiler for riscv64.

bats_require_minimum_version 1.5.0 # run -CODE

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export LODGE=$PWD/build/lodge ROOT=$BATS_FILE_TMPDIR/root VOL=$BATS_FILE_TMPDIR/vol
	export XDG_CACHE_HOME=${XDG_CACHE_HOME:-$HOME/.cache}
	export XDG_DATA_HOME=$BATS_FILE_TMPDIR/data XDG_RUNTIME_DIR=$BATS_FILE_TMPDIR/run
	mkdir -m 700 "$XDG_RUNTIME_DIR"
	command -v riscv64-linux-gnu-gcc >/dev/null || skip "no compiler for riscv64"
	"$LODGE" pull debian-small >"$BATS_FILE_TMPDIR/pull.log" 2>&1 ||
		skip "no kernel: $(grep -m 1 error "$BATS_FILE_TMPDIR/pull.log")"
	mkdir -p "$ROOT/bin" "$ROOT/etc" "$ROOT/data" "$VOL"
	riscv64-linux-gnu-gcc -static -O1 -o "$ROOT/bin/do" test/run/vmroot.c
	printf 'root:x:0:0:root:/:/bin/do\njo:x:1000:1000::/data:/bin/do\n' >"$ROOT/etc/passwd"
	printf 'root:x:0:\njo:x:1000:\nplay:x:2000:jo\n' >"$ROOT/etc/group"
	echo text >"$ROOT/data/text"
	echo outside >"$VOL/file"
}

teardown() {
	for name in $("$LODGE" ls -aq); do "$LODGE" rm -f "$name" >/dev/null || true; done
}

# vm OPTIONS... PROGRAM...: in a machine with that root
vm() {
	timeout -k 10 120 "$LODGE" run --rm --level machine --root "$ROOT" -m 128M "$@"
}

# begin NAME WORDS...: the same behind our back, until it has said "begun"; $pid, its output in $said
begin() {
	said=$BATS_TEST_TMPDIR/$1
	"$LODGE" run --rm --level machine --root "$ROOT" -m 128M --name "$@" >"$said" </dev/null 2>&1 3>&- &
	pid=$!
	within 60 grep -q begun "$said"
}

# within SECONDS COMMAND...: until it succeeds
within() {
	end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}

@test "output, error output and exit code are the program's alone" {
	vm /bin/do out hello err oops exit 42 >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" </dev/null && code=0 || code=$?
	cat "$BATS_TEST_TMPDIR/err"
	[ "$code" -eq 42 ]
	[ "$(cat "$BATS_TEST_TMPDIR/out")" = hello ]
	[ "$(cat "$BATS_TEST_TMPDIR/err")" = oops ]
	[ -z "$("$LODGE" ls -aq)" ]
}

@test "a megabyte each way, unchanged" {
	head -c 1000000 /dev/urandom >"$BATS_TEST_TMPDIR/bytes"
	vm do cat <"$BATS_TEST_TMPDIR/bytes" | cmp - "$BATS_TEST_TMPDIR/bytes"
}

@test "what is around it: root, mounts, network, name, environment, folder, user" {
	run vm --name around -e "A=b c" -w /data -u jo do env A cwd ids mounts file /etc/passwd host file /etc/resolv.conf </dev/null
	echo "$output"
	[ "$status" -eq 0 ]
	[[ "$output" == *"A=b c"* && "$output" == *"cwd=/data"* && "$output" == *"ids=1000:1000:2000"* ]]
	[[ "$output" == *" / virtiofs "* && "$output" == *" /proc proc "* && "$output" == *" /dev/pts devpts "* ]]
	[[ "$output" == *"jo:x:1000"* && "$output" == *"host=around"* && "$output" == *"nameserver 10.0.2.3"* ]]
	run vm -u 7:8,9,10 do ids </dev/null
	[ "$output" = "ids=7:8:9,10" ]
	run -125 vm -u nobody-at-all do ids </dev/null
	[[ "$output" == *"no such user"* ]]
}

@test "files of the guest are there in the folder, with their owners" {
	vm -u jo -w /data -v "$VOL:/more/here" do write /dev/shm/x y </dev/null
	[ ! -e "$ROOT/dev/shm/x" ]
	chmod 777 "$ROOT/data"
	vm -u jo -v "$VOL:/more/here" -v "$VOL:/ro:ro" do write /data/new contents file /more/here/file file /ro/file </dev/null >"$BATS_TEST_TMPDIR/out"
	[ "$(cat "$ROOT/data/new")" = contents ]
	[ "$(id -u)" != 0 ] || [ "$(stat -c %u:%g "$ROOT/data/new")" = 1000:1000 ]
	[ "$(grep -c outside "$BATS_TEST_TMPDIR/out")" -eq 2 ]
	run vm -v "$VOL:/ro:ro" do write /ro/new x </dev/null
	[ "$status" -ne 0 ]
	[ ! -e "$VOL/new" ]
}

@test "a root that cannot be written" {
	mkdir -p "$ROOT"/{proc,sys,dev,tmp}
	run vm --read-only do file /data/text write /tmp/scratch ok write /data/no no </dev/null
	echo "$output"
	[ "$status" -ne 0 ]
	[[ "$output" == *text* && "$output" == *"Read-only file system"* ]]
	[ ! -e "$ROOT/data/no" ]
}

@test "a terminal of the size of ours" {
	command -v script >/dev/null || skip "no script(1)"
	# exec: whoever is not in the terminal's foreground, as below timeout(1), is stopped
	timeout -k 10 120 script -qec "stty rows 33 cols 99; exec '$LODGE' run --rm --level machine --root '$ROOT' -m 128M -it do size" /dev/null </dev/null >"$BATS_TEST_TMPDIR/out"
	cat "$BATS_TEST_TMPDIR/out"
	grep -q "tty=1 size=33x99" "$BATS_TEST_TMPDIR/out"
}

@test "a signal to lodge is the program's" {
	begin sig do out begun wait
	kill -TERM $pid
	wait $pid && code=0 || code=$?
	[ "$code" -eq 143 ]
	begin caught do handle 10 out begun wait exit 9
	kill -USR1 $pid
	wait $pid && code=0 || code=$?
	[ "$code" -eq 9 ]
	grep -q "signal 10" "$said"
}

@test "lodge killed in the foreground: the machine ends as well" {
	begin orphan do out begun wait
	kill -KILL $pid
	wait $pid || true
	gone() { [ -z "$("$LODGE" ls -aq)" ]; }
	within 60 gone
}

@test "a guest that is asked to power off ends, also when its program will not" {
	begin deaf do ignore 15 out begun forever
	"$LODGE" exec deaf do kill 1 12
	wait $pid && code=0 || code=$?
	[ "$code" -eq 137 ]
	gone() { [ -z "$("$LODGE" ls -aq)" ]; }
	within 60 gone
}

@test "detached: its output is the console's; exec, pause, stop, kill" {
	"$LODGE" run -d --name d --level machine --root "$ROOT" -m 128M do handle 15 out begun wait exit 5
	said() { "$LODGE" logs d | grep -q "$1"; }
	within 60 said begun
	[ "$("$LODGE" exec --wait 1m d do out inside)" = inside ]
	run "$LODGE" exec d do exit 7
	[ "$status" -eq 7 ]
	run -127 "$LODGE" exec d nothing
	"$LODGE" pause d
	"$LODGE" resume d
	"$LODGE" stop -t 60 d
	"$LODGE" ls -a | grep '^d ' | grep -q "exit code 5"
	"$LODGE" start d
	within 60 "$LODGE" exec --wait 1m d do out again
	"$LODGE" kill d
	"$LODGE" ls -a | grep '^d ' | grep -q 137
}

@test "a snapshot of one in the foreground goes on without anybody" {
	begin shot do out begun wait
	"$LODGE" snapshot create shot one
	"$LODGE" clone shot copy >/dev/null
	[ "$("$LODGE" exec --wait 1m copy do out alive)" = alive ]
	[ "$("$LODGE" exec --wait 1m shot do out alive)" = alive ]
	sleep 6
	"$LODGE" ls | grep '^copy ' | grep -q running
	kill -TERM $pid
	wait $pid && code=0 || code=$?
	[ "$code" -eq 143 ]
}

@test "what cannot be run: 127, 126, and why" {
	run -127 vm /bin/nothing </dev/null
	[[ "$output" == *"/bin/nothing: No such file"* ]]
	run -126 vm /data/text </dev/null
	[[ "$output" == *"Permission denied"* ]]
	run -126 vm /data </dev/null
	[ -z "$("$LODGE" ls -aq)" ]
}

@test "bad input has its reason" {
	run -125 "$LODGE" run --level machine --root "$ROOT/etc/passwd" do
	[[ "$output" == *"not a folder"* ]]
	run -127 "$LODGE" run --level machine --root "$ROOT/missing" do
	run -125 "$LODGE" run --level machine --root "$ROOT"
	[[ "$output" == *"name a program"* ]]
	run -125 "$LODGE" run --read-only "$ROOT/bin/do"
	[[ "$output" == *"--level machine"* ]]
	mkdir "$BATS_TEST_TMPDIR/bare"
	cp -a "$ROOT/bin" "$BATS_TEST_TMPDIR/bare/"
	run -125 "$LODGE" run --rm --level machine --root "$BATS_TEST_TMPDIR/bare" -m 128M --read-only do exit 0
	[[ "$output" == *"has no folder /proc"* ]]
	: >"$BATS_TEST_TMPDIR/bare/proc"
	run -125 "$LODGE" run --rm --level machine --root "$BATS_TEST_TMPDIR/bare" -m 128M do exit 0
	[[ "$output" == *"/proc cannot be mounted: Not a directory"* ]]
	run -127 "$LODGE" run --rm --level machine --root "$ROOT" --kernel "$XDG_CACHE_HOME/none" do
}

@test "a panic of its kernel is 123" {
	run -123 vm do write /proc/sysrq-trigger c </dev/null
}
