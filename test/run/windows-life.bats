#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Programs of Windows under a keeper, and with limits: their life, what they may use, and that nothing
# of them is left.
bats_require_minimum_version 1.5.0 # run -CODE
source "$BATS_TEST_DIRNAME/guests.sh"

setup_file() {
	export BATS_TEST_TIMEOUT=90
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export T=$BATS_FILE_TMPDIR HOME=$BATS_FILE_TMPDIR LODGE=$BATS_FILE_TMPDIR/lodge
	export XDG_DATA_HOME=$T/data XDG_RUNTIME_DIR=$T/run
	chmod 755 "$T" "$BATS_RUN_TMPDIR" # for other users
	cp build/lodge "$LODGE"
	mkdir -p "$T/in"
	mkdir -p -m 700 "$T/run"
	x86_64-w64-mingw32-gcc -O1 -w test/windows/probe/kept.c -o "$T/in/kept.exe"
	cd "$T/in" || return 1
	"$LODGE" run kept.exe exit 0 2>"$T/why" || skip "no namespaces here: $(cat "$T/why")"
}

setup() { cd "$T/in" || return 1; }
teardown() { guests_remove; }

stands() { # NAME: for a while
	local before
	sleep 0.1 # until the log has what was printed before
	before=$(lines_of "$1")
	sleep 0.3
	[ "$(lines_of "$1")" -eq "$before" ]
}
number() { "$LODGE" inspect "$1" | sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p" | head -n 1; }
ends() { # PID: soon
	for _ in $(seq 100); do
		[ -d "/proc/$1" ] && [[ "$(cat "/proc/$1/stat" 2>/dev/null)" != *") Z "* ]] || return 0
		sleep 0.05
	done
	return 1
}
groups() { find /sys/fs/cgroup -path '*/lodge/windows-*' -prune -print 2>/dev/null | wc -l; }
has_groups() {
	"$LODGE" run --pids-limit 500 kept.exe exit 0 2>"$T/why" || skip "$(cat "$T/why")"
}
nobody() {
	mkdir -p "$T/nobody/run" "$T/nobody/data"
	chown -R 65534:65534 "$T/nobody"
	chmod 700 "$T/nobody/run"
	setpriv --reuid=65534 --regid=65534 --clear-groups env XDG_DATA_HOME="$T/nobody/data" \
		XDG_RUNTIME_DIR="$T/nobody/run" HOME="$T/nobody" "$@"
}

@test "name, output, exit code, stop, kill, time-out, restart" {
	run -42 timeout 60 "$LODGE" run --name one kept.exe exit 42
	run "$LODGE" ls -a
	[[ "$output" == *"one"*"windows"*"exit code 42"* ]]
	"$LODGE" rm one
	"$LODGE" run -d --name one --label kind=test kept.exe count
	rounds one 2
	[ -d "/proc/$(number one program_pid)" ]
	[[ "$("$LODGE" ls --filter label=kind=test)" == *one*running*windows* ]]
	[ "$(stat_of one processes)" -eq 1 ]
	[ "$(stat_of one cpu_ns)" -gt 0 ]
	[ "$(stat_of one memory_resident)" -gt 100000 ]
	"$LODGE" stop one
	[[ "$("$LODGE" ls -a)" == *"exit code 143"* ]]
	"$LODGE" start one
	rounds one 2
	"$LODGE" restart one
	rounds one 2
	"$LODGE" rename one other
	"$LODGE" kill other
	[[ "$("$LODGE" ls -a)" == *other*"exit code 137"* ]]
	[[ "$("$LODGE" events --since 1h --no-stream | tr -d '\n')" == *created*started*died*started*died*renamed*died* ]]
	run -124 "$LODGE" run --name two --timeout 500ms kept.exe
	"$LODGE" run -d --name five --restart on-failure:2 kept.exe exit 3
	for _ in $(seq 100); do # that is after 100 ms, and after 200 ms
		[ "$("$LODGE" events --since 1h --no-stream | grep -c 'five.*died')" -lt 3 ] || break
		sleep 0.1
	done
	[ "$("$LODGE" events --since 1h --no-stream | grep -c 'five.*died')" -eq 3 ]
	"$LODGE" wait five
	[[ "$("$LODGE" ls -a)" == *"exit code 3"* ]]
	"$LODGE" create --name six kept.exe exit 9
	"$LODGE" start six
	[ "$("$LODGE" wait six)" = 9 ]
	[ "$("$LODGE" ls | wc -l)" -eq 1 ] # nothing runs on
	[ "$(groups)" -eq 0 ]
}

@test "what is wrong is said at the start; nothing is left of it" {
	head -c 3000 kept.exe >cut.exe
	run -126 "$LODGE" run -d --name one cut.exe
	[[ "$output" == *"beyond the end of the file"* ]]
	x86_64-w64-mingw32-gcc -O1 -w -o needs.exe -x c - <<-END
		#include <windows.h>
		int main(void) { return GetVersion() ? 0 : 1; }
	END
	sed 's/KERNEL32.dll/KERNEL99.dll/' needs.exe >misses.exe
	run -127 "$LODGE" run misses.exe
	said=$output
	[[ "${said,,}" == *kernel99* ]]
	run -127 "$LODGE" run -d --name two misses.exe
	[ "$output" = "$said" ]
	run -127 "$LODGE" run --timeout 5s misses.exe
	[ "$output" = "$said" ]
	run -125 "$LODGE" run -d --name three -v "$T/in:/w" kept.exe
	[[ "$output" == *"SRC:C:"* ]]
	[[ "$("$LODGE" ls)" != *running* ]]
	[ "$(groups)" -eq 0 ]
}

@test "its folder is D:, or what it is given, whenever it is started" {
	"$LODGE" create --name one kept.exe where
	mkdir -p "$T/given"
	"$LODGE" create --name two -v "$T/given:C:\\work" -w 'C:\work' kept.exe where
	cd /
	"$LODGE" start one two
	"$LODGE" wait one two
	[ "$("$LODGE" logs one | tr -d '\r')" = 'D:\kept.exe in D:\' ]
	[ "$("$LODGE" logs two | tr -d '\r')" = 'C:\App\kept.exe in C:\work' ]
	mkdir -p "$T/a:b"
	cp "$T/in/kept.exe" "$T/a:b"
	cd "$T/a:b"
	run -125 "$LODGE" create --name three kept.exe where
	[[ "$output" == *"a:b: a guest that is kept cannot have a folder whose name has a colon"* ]]
	run -0 "$LODGE" run kept.exe where
	[ "${output%$'\r'}" = 'D:\kept.exe in D:\' ]
}

@test "it reads input, and has a terminal" {
	run timeout 20 bash -c 'echo hello | "$LODGE" run -i --name two kept.exe echo'
	[ "${output//$'\r'/}" = "heard: hello" ]
	"$LODGE" run -d -t --name three kept.exe echo
	run timeout 20 bash -c '(sleep 0.5; echo hello; sleep 1) | "$LODGE" attach three'
	"$LODGE" logs three | tr -d '\r' | grep -x "heard: hello"
}

@test "stop and kill -s are events of its console, however many threads it has" {
	for late in 0 1; do
		"$LODGE" run -d --name one kept.exe events $late
		said one "count 3"
		"$LODGE" kill -s INT one
		said one "ready after event 0" # Ctrl-C: it has said that it goes on
		rounds one 3
		"$LODGE" kill -s QUIT one
		said one "ready after event 1"
		run -125 "$LODGE" kill -s USR1 one
		[[ "$output" == *"no signal 10"* ]]
		"$LODGE" stop one # the console closes: it may tidy up, and ends
		"$LODGE" logs one | tr -d '\r' | grep -x "ready after event 2"
		[[ "$("$LODGE" ls -a)" == *"exit code 58"* ]] # STATUS_CONTROL_C_EXIT
		"$LODGE" rm one
	done
}

@test "pause and resume, also of what forks without end, with a freezer and without" {
	for by in on off; do
		"$LODGE" run -d --name one -o cgroup=$by kept.exe forks
		for _ in 1 2 3 4 5; do
			rounds one 10
			"$LODGE" pause one
			stands one
			"$LODGE" resume one
		done
		rounds one 10
		"$LODGE" pause one
		"$LODGE" stop one # goes on, to be asked
		[[ "$("$LODGE" ls -a)" == *"exit code 143"* ]]
		"$LODGE" rm one
	done
	[ "$(groups)" -eq 0 ]
}

@test "nothing outlives the keeper, also of a guest that stands still" {
	for by in on off; do
		for what in runs paused; do
			"$LODGE" run -d --name one -o cgroup=$by kept.exe many 5
			said one "started 5"
			program=$(number one program_pid)
			[ "$(stat_of one processes)" -eq 6 ]
			mapfile -t all < <(pgrep -P "$program") # each of its threads' children
			[ "${#all[@]}" -eq 5 ]
			[ $what = runs ] || "$LODGE" pause one
			kill -9 "$(number one pid)"
			for pid in "$program" "${all[@]}"; do ends "$pid"; done
			[[ "$("$LODGE" ls -a)" == *failed* ]]
			"$LODGE" rm one
		done
	done
	for _ in $(seq 20); do [ "$(groups)" -eq 0 ] && break || sleep 0.1; done
	[ "$(groups)" -eq 0 ]
	"$LODGE" run -d --name one kept.exe many 5
	said one "started 5"
	program=$(number one program_pid)
	mapfile -t all < <(pgrep -P "$program")
	"$LODGE" kill one
	for pid in "$program" "${all[@]}"; do ends "$pid"; done
}

@test "limits under a keeper: memory, processes, CPU time; changed while it runs" {
	has_groups
	"$LODGE" run -d --name one -m 64M kept.exe eat 400
	[ "$("$LODGE" wait one)" = 137 ]
	[[ "$("$LODGE" inspect one)" == *"had no more memory"* ]]
	[[ "$("$LODGE" logs one)" != *"ate 64"* ]]
	"$LODGE" rm one
	"$LODGE" run -d --name one --pids-limit 20 kept.exe many 40
	said one started
	[ "$(stat_of one processes)" -lt 20 ]
	"$LODGE" rm -f one
	"$LODGE" run -d --name one --cpus 0.2 kept.exe burn 2
	said one burns
	sleep 0.5
	from=$(stat_of one cpu_ns)
	sleep 2
	used=$((($(stat_of one cpu_ns) - from) / 1000000)) # 400 ms are allowed
	[ $used -gt 100 ] && [ $used -lt 700 ]
	"$LODGE" update one -m 96M --pids-limit 30 --cpu-weight 50
	[ "$(stat_of one memory_allowed)" -eq $((96 << 20)) ]
	"$LODGE" update one -m none --cpus none
	[ -z "$(stat_of one memory_allowed)" ]
	from=$(stat_of one cpu_ns)
	sleep 2
	[ $((($(stat_of one cpu_ns) - from) / 1000000)) -gt 700 ]
}

@test "limits under a keeper without control groups: CPU time by Lodge, the rest is said" {
	run -0 "$LODGE" run -d --name one -o cgroup=off --cpus 0.2 -m 64M kept.exe burn 2
	[[ "$output" == *"memory and processes are not enforced: -o cgroup=off"* ]]
	said one burns
	sleep 0.5
	from=$(stat_of one cpu_ns)
	sleep 2
	used=$((($(stat_of one cpu_ns) - from) / 1000000))
	[ $used -gt 100 ] && [ $used -lt 800 ]
	[ "$(stat_of one held_ns)" -gt 0 ]
	"$LODGE" pause one # by both, and resumed by one
	from=$(stat_of one cpu_ns)
	sleep 1
	[ $((($(stat_of one cpu_ns) - from) / 1000000)) -lt 50 ]
	"$LODGE" resume one
}

@test "limits and a time-out in the foreground" {
	has_groups
	run -7 "$LODGE" run -m 256M --pids-limit 64 --cpus 1 --cpu-weight 50 kept.exe exit 7
	run -137 "$LODGE" run -m 64M kept.exe eat 400
	[[ "$output" != *"ate 64"* ]]
	# all threads and processes of it by one CPU, also when that is all that is asked for
	for limit in "--cpus 1" "--cpu-weight 50" "--cpuset 0"; do
		# shellcheck disable=SC2086
		"$LODGE" run $limit kept.exe count >count 3>&- &
		pid=$!
		for _ in $(seq 100); do grep -q "count 3" count && break; sleep 0.05; done
		at=$(find /sys/fs/cgroup -path "*/lodge/windows-run-$pid" -print -quit)
		[ -n "$at" ]
		# one that somebody left whose number is a thread's now
		tid=$(cd "/proc/$(pgrep -f 'kept.exe count' | tail -n 1)/task" && find . -maxdepth 1 -name '[0-9]*' | sort -V |
			sed -n 's|./||; 2p')
		if [ -n "$tid" ]; then
			mkdir "${at%/*}/windows-run-$tid"
			"$LODGE" run --cpus 1 kept.exe exit 0
			[ ! -e "${at%/*}/windows-run-$tid" ]
		fi
		kill -TERM $pid
		wait $pid && return 1 || [ $? -eq 143 ]
		run -125 "$LODGE" run -o cgroup=off $limit kept.exe exit 0
		[[ "$output" == *"limits of a program in the foreground: -o cgroup=off"* ]]
	done
	# by its standard streams, each for itself
	run -124 --separate-stderr "$LODGE" run --timeout 700ms kept.exe count
	[[ "${lines[0]}" == "count 0"* ]]
	[ -z "$stderr" ]
	"$LODGE" run --pids-limit 64 kept.exe events 0 >events 3>&- &
	pid=$!
	for _ in $(seq 100); do grep -q "count 3" events && break; sleep 0.05; done
	kill -TERM $pid
	wait $pid && return 1 || [ $? -eq 58 ]
	grep -q "ready after event 2" events
	# the terminal is what it was
	cat >by-terminal <<-'END'
		stty -g
		# shellcheck disable=SC2086
		"$LODGE" run $BY kept.exe raw </dev/tty &
		sleep 0.8
		kill -TERM $! 2>/dev/null
		wait $!
		echo $?
		stty -g
	END
	for by in "--timeout 300ms 124" "--pids-limit 64 143"; do
		BY=${by% *} script -qec "bash by-terminal" /dev/null </dev/null | tr -d '\r' >modes
		cat modes
		[ "$(sed -n 2p modes)" = "mode 0" ]
		[ "$(tail -n 2 modes | head -n 1)" = "${by##* }" ]
		[ "$(tail -n 1 modes)" = "$(head -n 1 modes)" ]
	done
	for ms in $(seq -w 000 3 090); do # at any time of its start, too
		"$LODGE" run --pids-limit 64 kept.exe count >early 2>&1 3>&- &
		pid=$!
		until [ "$(readlink /proc/$pid/exe)" = "$LODGE" ]; do :; done
		sleep 0.$ms
		kill -TERM $pid
		ends $pid || { kill -9 $pid; echo "after $ms ms"; return 1; }
		wait $pid && return 1 || [ $? -eq 143 ] || { cat early; return 1; }
	done
	"$LODGE" run --pids-limit 64 kept.exe many 3 >many 3>&- &
	pid=$!
	for _ in $(seq 100); do grep -q "started" many && break; sleep 0.05; done
	first=$(pgrep -P $pid)
	kill -9 $pid
	ends "$first"
	[ "$(pgrep -fc 'kept.exe many')" = 0 ]
	"$LODGE" run --pids-limit 64 kept.exe exit 0 # removes what is left of that one's group
	[ "$(groups)" -eq 0 ]
}

@test "states are refused, with the reason; so is what starts a second program" {
	"$LODGE" run -d --name one kept.exe count
	rounds one 2
	for verb in "suspend one" "snapshot create one s" "clone one two" "migrate one unix:$T/s" \
		"backup -o $T/b one"; do
		# shellcheck disable=SC2086
		run -125 timeout 20 "$LODGE" $verb
		[[ "$output" == *"cannot "*"a Windows program is a process of the host"* ]]
	done
	for verb in "exec one cmd" "shell one" "top one" "cp one:/x ."; do
		# shellcheck disable=SC2086
		run timeout 20 "$LODGE" $verb
		[ "$status" -eq 125 ]
		[[ "$output" == *"one program"* || "$output" == *"out of reach"* ]]
	done
	"$LODGE" create --name made kept.exe
	for guest in one made; do # also while nobody keeps it
		run -125 "$LODGE" update $guest --idle-timeout 10s
		[[ "$output" == *"cannot suspend $guest: a Windows program is a process of the host"* ]]
		"$LODGE" update $guest --idle-timeout none
	done
	"$LODGE" rm made
	run -125 "$LODGE" diff one
	run -125 "$LODGE" run -d --name two --idle-timeout 10s kept.exe
	[[ "$output" == *"cannot be saved"* ]]
	rounds one 3 # it goes on
	[ "$("$LODGE" ls -a | wc -l)" -eq 2 ]
}

@test "an ordinary user" {
	[ "$(id -u)" -eq 0 ] || skip "not root: that is what all of this was"
	nobody "$LODGE" run -d --name one -v "$T/in:D:\\" kept.exe forks
	for _ in $(seq 100); do [ "$(nobody "$LODGE" logs one | wc -l)" -lt 10 ] || break; sleep 0.1; done
	nobody "$LODGE" pause one
	before=$(nobody "$LODGE" logs one | wc -l)
	[ "$before" -ge 10 ]
	sleep 0.3
	[ "$(nobody "$LODGE" logs one | wc -l)" -eq "$before" ]
	nobody "$LODGE" resume one
	nobody "$LODGE" stop one
	[[ "$(nobody "$LODGE" ls -a)" == *"exit code 143"* ]]
	nobody "$LODGE" rm one
	run -125 nobody "$LODGE" run -m 64M -v "$T/in:D:\\" kept.exe exit 3
	[[ "$output" == *"control groups are root's"* ]]
	run -124 nobody "$LODGE" run --timeout 300ms -v "$T/in:D:\\" kept.exe count
}
