#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Programs of riscv64 under a keeper: the life cycle of the process level.

bats_require_minimum_version 1.5.0 # run -CODE
source "$BATS_TEST_DIRNAME/guests.sh"

setup_file() {
	home_make
	for p in kept program vlen holds; do
		riscv64-linux-gnu-gcc -std=gnu17 -D_GNU_SOURCE -O2 -Wall -static -pthread -o "$T/$p" "test/run/process/$p.c"
	done
	mkdir "$T/in"
}

setup() { cd "$T/in" || return 1; }
teardown() { "$LODGE" rm -f one two three >/dev/null 2>&1 || true; }

# whole NAME: its rounds are numbered without a gap, and its nonce stays
whole() {
	"$LODGE" logs "$1" | awk 'NR == 1 { n = $1 - 1; nonce = $2 } $1 != ++n || $2 != nonce { print "gap:", $0; exit 1 }'
}

@test "a guest of a program: name, output, exit code, stop, kill, time-out" {
	run -42 timeout 60 "$LODGE" run --name one "$T/program" args a b
	[[ "$output" == a* ]]
	run "$LODGE" ls -a
	[[ "$output" == *"one"*"process"*"exit code 42"* ]]
	"$LODGE" rm one
	"$LODGE" run -d --name one "$T/kept"
	rounds one 2
	run "$LODGE" stop one
	run "$LODGE" ls -a
	[[ "$output" == *"exit code 143"* ]]
	"$LODGE" start one
	rounds one 2
	"$LODGE" kill one
	run "$LODGE" ls -a
	[[ "$output" == *"exit code 137"* ]]
	run -124 "$LODGE" run --name two --timeout 500ms "$T/kept"
}

@test "no process of a program outlives it, nor its keeper" {
	"$LODGE" run -d --name one "$T/kept" 3
	rounds one 5
	"$LODGE" inspect one | grep -q '"processes":4'
	"$LODGE" kill one
	! pgrep -f "$T/kept"
	"$LODGE" start one
	rounds one 5
	kill -9 "$("$LODGE" inspect one | sed -n 's/.*"pid":\([0-9]*\).*/\1/p' | head -n 1)"
	for _ in $(seq 50); do pgrep -f "$T/kept" >/dev/null || break; sleep 0.1; done
	! pgrep -f "$T/kept"
	run "$LODGE" ls -a
	[[ "$output" == *failed* ]]
}

@test "pause and resume: processes and threads stand still, calls that wait go on" {
	"$LODGE" run -d --name one "$T/kept" 3
	rounds one 20
	for _ in 1 2 3 4 5; do
		"$LODGE" pause one
		before=$("$LODGE" logs one | wc -l)
		sleep 0.3
		[ "$("$LODGE" logs one | wc -l)" -eq "$before" ]
		"$LODGE" resume one
		rounds one 5
	done
}

@test "suspend and resume: memory, threads, files, pipes, timers, signals" {
	"$LODGE" run -d --name one "$T/kept"
	for _ in 1 2 3; do
		rounds one 3
		"$LODGE" suspend one
		run "$LODGE" ls -a
		[[ "$output" == *suspended* ]]
		! pgrep -f "$T/kept"
		"$LODGE" resume one
	done
	rounds one 3
	whole one
	"$LODGE" pause one
	"$LODGE" suspend one
	"$LODGE" start one
	rounds one 3
	whole one
}

@test "snapshot, restore and clone" {
	"$LODGE" run -d --name one "$T/kept"
	rounds one 3
	"$LODGE" snapshot create one s1
	nonce=$("$LODGE" logs one | tail -n 1 | cut -d' ' -f2)
	rounds one 3
	whole one
	"$LODGE" kill one # it holds the lock of the file
	"$LODGE" clone -s s1 one two
	rounds two 3
	[ "$("$LODGE" logs two | tail -n 1 | cut -d' ' -f2)" = "$nonce" ]
	whole two
	"$LODGE" kill two
	"$LODGE" restore one s1
	rounds one 3
	[ "$("$LODGE" logs one | tail -n 1 | cut -d' ' -f2)" = "$nonce" ]
}

@test "long vector registers: suspended, cloned, restored" {
	for vlen in 128 512; do
		"$LODGE" run -d --name one -o vlen=$vlen "$T/vlen" hold
		rounds one 3
		for _ in 1 2 3; do
			"$LODGE" suspend one
			"$LODGE" resume one
			rounds one 2
		done
		"$LODGE" snapshot create one s1
		"$LODGE" clone -s s1 one two
		rounds two 3
		"$LODGE" logs two | tail -n 1 | grep -E "^[0-9]+ $((vlen / 8))\$"
		"$LODGE" restore -f one s1
		rounds one 3
		"$LODGE" logs one | tail -n 1 | grep -E "^[0-9]+ $((vlen / 8))\$"
		"$LODGE" rm -f one two
	done
}

@test "timers, signals that wait, sockets, watches, locks and files without a name are saved, too" {
	port=$((20000 + RANDOM % 10000))
	"$LODGE" run -d --name one "$T/holds" $port
	rounds one 3
	for _ in 1 2 3; do
		"$LODGE" suspend one
		"$LODGE" resume one
		rounds one 3
	done
	whole one
	exec 9<>/dev/tcp/127.0.0.1/$port # it listens as before
	read -r -t 20 said <&9
	exec 9>&-
	[ "$("$LODGE" logs one | tail -n 1 | cut -d' ' -f2)" = "$said" ]
	run "$LODGE" clone one two # both cannot have the address
	[ "$status" -eq 125 ]
	[[ "$output" == *"127.0.0.1:$port"* ]]
	rounds one 3
	whole one
}

@test "what cannot be saved is named, and the guest goes on" {
	port=$((20000 + RANDOM % 10000))
	for what in "inotify events that are not read" "connection connections that are not accepted"; do
		"$LODGE" run -d --name one "$T/holds" $port "${what%% *}"
		rounds one 3
		run "$LODGE" suspend one
		[ "$status" -eq 125 ]
		[[ "$output" == *descriptor*"${what#* }"* ]]
		rounds one 3
		"$LODGE" ls | grep running
		"$LODGE" rm -f one
	done
}

@test "a state that does not fit any more is refused with the reason, and kept" {
	"$LODGE" run -d --name one "$T/kept"
	rounds one 3
	"$LODGE" suspend one
	mv kept.file kept.away
	run "$LODGE" resume one
	[ "$status" -eq 125 ]
	[[ "$output" == *kept.file* ]]
	mv kept.away kept.file
	: >kept.file
	run "$LODGE" resume one
	[ "$status" -eq 125 ]
	[[ "$output" == *shorter* ]]
}

@test "input and a terminal" {
	run timeout 20 bash -c 'echo hello | "$LODGE" run -i --name one "$T/program" echo'
	[ "$output" = "pipe: hello" ]
	"$LODGE" run -d -t --name two "$T/program" echo
	run timeout 20 bash -c '(sleep 0.5; echo hello; sleep 1) | "$LODGE" attach two'
	"$LODGE" logs two | tr -d '\r' | grep -x "terminal: hello"
}

@test "an ordinary user, without a right" {
	[ "$(id -u)" = 0 ] || skip "as root"
	home=$(mktemp -d) # where such a user gets in
	cp "$LODGE" "$T/kept" "$home"
	mkdir -m 700 "$home/run"
	chmod 755 "$home/lodge" "$home/kept"
	chown -R 65534:65534 "$home"
	cat >"$T/user.sh" <<-END
		cd "$home" && export XDG_DATA_HOME=$home/data XDG_RUNTIME_DIR=$home/run HOME=$home
		./lodge run -d --name user ./kept || exit
		sleep 1
		./lodge suspend user && ./lodge resume user && sleep 1
		./lodge logs user
		./lodge kill user
	END
	run setpriv --reuid=65534 --regid=65534 --clear-groups bash -s <"$T/user.sh"
	echo "$output"
	rm -rf "$home"
	[ "$status" -eq 0 ]
	[[ "$output" != *wrong* ]]
	[ "$(grep -c '^[0-9]' <<<"$output")" -gt 10 ]
}

# CPUs that the guest $1 uses over $2 seconds
used() {
	local a b from to
	a=$(stat_of "$1" cpu_ns) from=$(date +%s%N)
	sleep "$2"
	b=$(stat_of "$1" cpu_ns) to=$(date +%s%N)
	awk "BEGIN { print ($b - $a) / ($to - $from) }"
}

@test "CPU time of a program and its children is held, by lodge and by a control group" {
	cat >"$T/burn.c" <<-'END'
	#include <pthread.h>
	#include <stdio.h>
	#include <unistd.h>
	static void *spin(void *arg) { for (volatile unsigned long i = 0;; i++) ; return arg; }
	int main(void)
	{
		pthread_t t;
		pthread_create(&t, 0, spin, 0);
		if (!fork())
			spin(0);
		for (int n = 1;; n++) {
			usleep(200000);
			printf("%d same\n", n);
			fflush(stdout);
		}
	}
	END
	riscv64-linux-gnu-gcc -O1 -static -pthread -o "$T/burn" "$T/burn.c"
	for option in cgroup=off cgroup=on; do
		"$LODGE" run -d --name one -o "$option" "$T/burn"
		rounds one 2
		free=$(used one 3)
		"$LODGE" update one --cpus 0.25
		sleep 1
		held=$(used one 8)
		echo "$option: free $free held $held"
		awk "BEGIN { exit !($held < 0.28 && ($held > 0.22 || $free < 0.6)) }"
		"$LODGE" pause one
		"$LODGE" update one --cpus 0.2
		awk "BEGIN { exit !($(used one 1) < 0.02) }"
		"$LODGE" resume one
		rounds one 2
		"$LODGE" update one --cpus none
		rounds one 5
		whole one
		"$LODGE" rm -f one
	done
}

@test "limits ask for a keeper; a program that ends is started again" {
	run -42 timeout 60 "$LODGE" run --cpus 0.5 "$T/program" args a b
	[ -z "$("$LODGE" ls -a -q)" ] || "$LODGE" rm -f $("$LODGE" ls -a -q)
	"$LODGE" run -d --name one --restart on-failure:2 "$T/program" args a b
	for _ in $(seq 100); do
		[ "$("$LODGE" logs one | grep -c '^a')" -lt 3 ] || "$LODGE" ls | grep -q one || break
		sleep 0.1
	done
	[ "$("$LODGE" logs one | grep -c '^a')" -eq 3 ]
	"$LODGE" ls -a | grep -q "exit code 42"
}
