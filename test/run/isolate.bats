#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# lodge run --isolate: what a confined program can and cannot reach, as root and as another user.

bats_require_minimum_version 1.5.0 # run -CODE

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export T=$BATS_FILE_TMPDIR HOME=$BATS_FILE_TMPDIR LODGE=$BATS_FILE_TMPDIR/lodge
	chmod 755 "$T" "$BATS_RUN_TMPDIR" # for other users
	cp build/lodge "$LODGE"
	riscv64-linux-gnu-gcc -std=gnu17 -D_GNU_SOURCE -O1 -Wall -static -o "$T/probe" test/run/isolate/probe.c
	riscv64-linux-gnu-gcc -std=gnu17 -D_GNU_SOURCE -O2 -Wall -static -pthread -o "$T/program" test/run/process/program.c
	mkdir -p "$T/root/bin" "$T/root/proc" "$T/root/dev" "$T/root/etc" "$T/root/share" "$T/root/tmp"
	cc -std=gnu17 -D_GNU_SOURCE -O1 -Wall -static -o "$T/root/bin/native" test/run/isolate/probe.c
	cp "$T/program" "$T/probe" "$T/root/bin"
	chmod 1777 "$T/root/tmp"
	echo secret >"$T/secret"
	python3 - "$T/port" <<-'END' 3>&- &
		import socket, sys, time
		s = socket.create_server(('127.0.0.1', 0))
		a = socket.socket(socket.AF_UNIX); a.bind('\0lodge-isolate-test'); a.listen()
		open(sys.argv[1], 'w').write(str(s.getsockname()[1]))
		time.sleep(600)
	END
	echo $! >"$T/server"
	for _ in {1..100}; do
		[ ! -s "$T/port" ] || break
		sleep 0.05
	done
	"$LODGE" run --isolate "$T/program" args >/dev/null 2>"$T/why" || [ $? = 42 ] ||
		skip "no namespaces here: $(cat "$T/why")"
}

teardown_file() { kill "$(cat "$T/server")"; }

# as WHO COMMAND...: as root (skipped when we are not) or as nobody, or as we are.
as() {
	who=$1
	shift
	if [ "$who" = root ]; then
		"$@"
	elif [ "$(id -u)" = 0 ]; then
		setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
	else
		"$@"
	fi
}

REACHED='port of the host: ECONNREFUSED
network: ENETUNREACH
loopback: yes
abstract socket: ECONNREFUSED
packets: (ENOSYS|EPERM)
raw: EPERM
vsock: ENOSYS
file: ENOENT
up: ENOENT
process: ESRCH
process of init.s: ENOENT
trace: EPERM
mount: (EPERM|EBUSY)
remount: (EPERM|EBUSY)
unshare: EPERM
clone: (EPERM|EINVAL)
setns: EPERM
pivot_root: EPERM
chroot: EPERM
bpf: EPERM
key: EPERM
reboot: EPERM
hostname: EPERM
terminal: (EPERM|ENOTTY)
terminal, high: (EPERM|ENOTTY)
device: EPERM
core pattern: (EROFS|EACCES)
descriptor 50: EBADF
write to /tmp: yes
write to /: (EROFS|EACCES|yes)
secret: none
no_new_privs 1'

# Each line of $output against each of $REACHED.
reached_is() {
	paste -d '\n' <(echo "$REACHED") <(echo "$output") | while read -r want && read -r got; do
		[[ "$got" =~ ^$want$ ]] || {
			echo "wanted: $want; got: $got"
			exit 1
		}
	done
	[ "$(echo "$output" | wc -l)" = "$(echo "$REACHED" | wc -l)" ]
}

@test "a program alone sees nothing of the host, as root and as another user" {
	for who in root other; do
		SECRET=x run -11 as $who "$LODGE" run --isolate "$T/probe" "$(cat "$T/port")" $$ "$T/secret" 50<"$T/secret" </dev/null
		reached_is
	done
}

@test "in a root, neither; nor does a program of the host that it starts" {
	for who in root other; do
		run -11 as $who "$LODGE" run --isolate --root "$T/root" /bin/probe "$(cat "$T/port")" $$ "$T/secret" </dev/null
		reached_is
		rm -f "$T/root/tmp/own" "$T/root/own"
		run -11 as $who "$LODGE" run --isolate --root "$T/root" /bin/program exec /bin/native "$(cat "$T/port")" $$ "$T/secret" </dev/null
		reached_is
		rm -f "$T/root/tmp/own" "$T/root/own"
	done
}

@test "what it is given: folders, environment, where it starts" {
	mkdir -p "$T/given" && echo there >"$T/given/file" && chmod 777 "$T/given"
	cat >"$T/look.c" <<-'END'
		#include <stdio.h>
		#include <stdlib.h>
		#include <unistd.h>
		int main(int argc, char **argv)
		{
			char text[100] = "", cwd[100];
			FILE *f = fopen("file", "r");
			if (f && fgets(text, sizeof text, f))
				printf("%s", text);
			printf("%s %s %s\n", getcwd(cwd, 100), getenv("MARK"), fopen("new", "w") ? "written" : "read-only");
			return argc > 1 ? atoi(argv[1]) : 0;
		}
	END
	riscv64-linux-gnu-gcc -static -o "$T/look" "$T/look.c"
	run -5 "$LODGE" run --isolate -v "$T/given:/data" -e MARK=m -w /data "$T/look" 5
	[ "$output" = $'there\n/data m written' ]
	run -0 "$LODGE" run --isolate -v "$T/given:/data:ro" -w /data "$T/look"
	[ "$output" = $'there\n/data (null) read-only' ]
	cp "$T/look" "$T/root/bin"
	run -0 "$LODGE" run --isolate --root "$T/root" -v "$T/given:/share:ro" -w /share /bin/look
	[ "$output" = $'there\n/share (null) read-only' ]
}

@test "a link in the root leads nowhere else" {
	ln -sfn "$T/given" "$T/root/link"
	run -125 "$LODGE" run --isolate --root "$T/root" -v "$T:/link/x" /bin/program args
	[[ "$output" == *"/link/x of the root"* ]]
	[ ! -e "$T/given/x" ] # nothing was made there on the way, either
	rm "$T/root/link"
}

@test "it ends as without: exit codes, signals, faults, forks, threads" {
	run -42 "$LODGE" run --isolate "$T/program" args a
	for k in "0 139" "5 132" "7 134" "8 137"; do
		run "$LODGE" run --isolate "$T/program" fault ${k% *}
		[ "$status" -eq ${k#* } ]
	done
	run -0 "$LODGE" run --isolate "$T/program" fork
	[ "$output" = $'1225 6 from\nexec\nMARK=' ]
	run -0 "$LODGE" run --isolate "$T/program" threads
	[ "$output" = 600000 ]
}

@test "signals to lodge reach it; killed, nothing stays" {
	mkfifo "$T/hold"
	"$LODGE" run --isolate "$T/program" crowd <"$T/hold" >/dev/null 3>&- &
	pid=$!
	exec 5>"$T/hold"
	sleep 0.5
	kill -TERM $pid
	code=0
	wait $pid || code=$?
	[ "$code" = 143 ]
	"$LODGE" run --isolate "$T/program" crowd <"$T/hold" >/dev/null 3>&- &
	pid=$!
	sleep 0.5
	first=$(pgrep -P $pid) && inner=$(pgrep -P "$first")
	kill -KILL $pid
	wait $pid || true
	exec 5>&-
	for _ in {1..40}; do
		kill -0 "$inner" 2>/dev/null || break
		sleep 0.05
	done
	! kill -0 "$inner" 2>/dev/null
}

@test "what cannot be is refused" {
	run -127 "$LODGE" run --isolate "$T/none"
	run -127 "$LODGE" run --isolate -v "$T/none:/x" "$T/program" args
	run -125 "$LODGE" run --isolate -o strace="$T/log" "$T/program" args
	[[ "$output" == *"strace=-"* ]]
	run -125 "$LODGE" run --isolate -d demo
	[[ "$output" == *foreground* ]]
	run -127 "$LODGE" run --isolate --root "$T/root" /bin/none
	run -127 "$LODGE" run --isolate --root "$T/root" none
	run -42 "$LODGE" run --isolate --root "$T/root" program args
	run -42 "$LODGE" run --isolate -o strace=- "$T/program" args
	[[ "$output" == *exit_group* ]]
	run gdb-multiarch -nx -batch -ex "target remote | $LODGE run --isolate -o gdb=- $T/program args x" \
		-ex "break exit" -ex c -ex "p/d \$a0" -ex c "$T/program"
	[[ "$output" == *"= 42"*"exited with code 052"* ]]
}
