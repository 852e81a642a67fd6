#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A guest moves between the keepers of two data folders ("here" and "there") while it writes memory
# and its disk, counts, and keeps a nonce in memory.
bats_require_minimum_version 1.5.0
source "$BATS_TEST_DIRNAME/guests.sh"

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export LODGE=$PWD/build/lodge
	export XDG_CACHE_HOME=${XDG_CACHE_HOME:-$HOME/.cache}
	export WORK=$BATS_FILE_TMPDIR
	mkdir -m 700 "$WORK/run-here" "$WORK/run-there"
	image_pull debian-small
	truncate -s 300M "$WORK/disk"
	here run -d --name g -m 384M --cpus 2 --disk 256M debian-small
	here exec --wait 3m -i g sh -c 'cat >/load.sh' <<-'END'
	head -c 32 /dev/urandom | sha256sum >/nonce
	mkdir -p /fill && mount -t tmpfs -o size=80% t /fill
	(while :; do head -c 10485760 /dev/zero | tr '\0' y >/fill/load; sleep 0.2; done) >/dev/null 2>&1 &
	n=0
	while :; do
		n=$((n + 1))
		echo $n >/fill/count.new && mv /fill/count.new /fill/count
		head -c 65536 /dev/urandom >/fill/block
		dd if=/fill/block of=/dev/vda bs=65536 seek=$((n % 2000)) conv=notrunc 2>/dev/null
		[ $((n % 2000)) -gt 20 ] || sha256sum </fill/block >/fill/sum.$((n % 2000))
	done
	END
	here exec -i g sh -c 'setsid sh /load.sh >/dev/null 2>&1 </dev/null & sleep 3'
}

teardown_file() {
	here rm -f g other >/dev/null 2>&1 || true
	there rm -f g other >/dev/null 2>&1 || true
}

# Commands of this file's two hosts; LODGE_SIDE for functions below.
here() { XDG_DATA_HOME=$WORK/here XDG_RUNTIME_DIR=$WORK/run-here "$LODGE" "$@"; }
there() { XDG_DATA_HOME=$WORK/there XDG_RUNTIME_DIR=$WORK/run-there "$LODGE" "$@"; }
state() { "$1" ls -a | awk '$1 == "g" { print $2 }'; }
ask() { "$1" exec --wait 60s g sh -c "$2" </dev/null; }
keeper_pid() { "$1" inspect g | sed -n 's/^ *"pid":\([0-9]*\),*/\1/p'; }

remember() { # SIDE
	nonce=$(ask "$1" 'cat /nonce /proc/sys/kernel/random/boot_id')
	counted=$(ask "$1" 'cat /fill/count')
}
goes_on() { # SIDE
	[ "$(ask "$1" 'cat /nonce /proc/sys/kernel/random/boot_id')" = "$nonce" ]
	now=$(ask "$1" 'cat /fill/count')
	[ "$now" -ge "$counted" ]
	for _ in $(seq 30); do
		sleep 0.5
		[ "$(ask "$1" 'cat /fill/count')" -le "$now" ] || break
	done
	[ "$(ask "$1" 'cat /fill/count')" -gt "$now" ]
	# what the disk had long before and has never been written since
	ask "$1" 'for n in 3 5 7 11 13 17 19; do
		[ ! -e /fill/sum.$n ] || [ "$(cat /fill/count)" -lt $((n + 30)) ] ||
		[ "$(dd if=/dev/vda bs=65536 skip=$n count=1 2>/dev/null | sha256sum)" = "$(cat /fill/sum.$n)" ] || exit 1
	done'
	a=$(date +%s) g=$(ask "$1" 'date +%s') b=$(date +%s)
	[ "$g" -ge $((a - 2)) ] && [ "$g" -le $((b + 2)) ]
}

wait_for() { # FILE
	for _ in $(seq 100); do
		[ ! -e "$1" ] || return 0
		sleep 0.05
	done
	return 1
}

move() { # FROM TO ADDRESS [OPTION...]: and what is left is removed
	local from=$1 to=$2 address=$3
	shift 3
	"$to" receive --listen "$address" >"$WORK/receive.out" 2>&1 3>&- &
	case $address in
	unix:*) wait_for "${address#unix:}" ;;
	*) sleep 1 ;;
	esac
	"$from" migrate "$@" g "$address"
	wait $!
	[ "$(cat "$WORK/receive.out")" = g ]
	[ "$(state "$from")" = stopped ]
	run "$from" start g
	[ "$status" -ne 0 ]
	echo "$output" | grep -q "was moved to"
	"$from" rm g
}

@test "live, by a unix socket and by TCP, there and back" {
	remember here
	move here there "unix:$WORK/s"
	goes_on there
	remember there
	there clone g copy # what it boots from has come along, too
	there rm -f copy
	move there here tcp:127.0.0.1:$((20000 + $$ % 20000))
	goes_on here
	grep "paused for" "$WORK"/*/lodge/instances/g/keeper.log | sed 's/^/# /' >&3
}

@test "by a pair of pipes; a paused guest stays paused; standing still" {
	remember here
	mkfifo "$WORK/back"
	here pause g
	here migrate g - <"$WORK/back" 2>"$WORK/migrate.err" | there receive >"$WORK/back" 2>"$WORK/receive.err"
	[ "${PIPESTATUS[0]}" = 0 ]
	rm "$WORK/back"
	[ "$(state there)" = paused ]
	there resume g
	goes_on there
	here rm g
	remember there
	move there here "unix:$WORK/s" --still
	goes_on here
}

# CI has no ssh server: a stand-in does what ssh does with such arguments, a shell and its streams.
ssh_stand_in() {
	mkdir -p "$WORK/bin"
	cat >"$WORK/bin/ssh" <<-END
	#!/bin/bash
	echo "\$*" >"$WORK/ssh.args"
	[ "\$1" = -- ] && shift
	shift
	export XDG_DATA_HOME=$WORK/there XDG_RUNTIME_DIR=$WORK/run-there PATH=$WORK/bin:\$PATH
	exec sh -c "\$*"
	END
	ln -sf "$LODGE" "$WORK/bin/lodge"
	chmod +x "$WORK/bin/ssh"
}

@test "by ssh, under another name; and a host that is not there" {
	remember here
	ssh_stand_in
	PATH=$WORK/bin:$PATH here migrate --name other g ssh://me@there
	[ "$(cat "$WORK/ssh.args")" = "-- me@there lodge receive --name other" ]
	there ls | grep -q "^other *running"
	here rm g
	there migrate --name g other "unix:$WORK/s" && return 1 # --name is for ssh only
	here receive --name g --listen "unix:$WORK/s" >/dev/null 2>&1 3>&- &
	wait_for "$WORK/s"
	there migrate other "unix:$WORK/s"
	wait $!
	there rm other
	goes_on here
	printf '#!/bin/sh\necho no route >&2\nexit 255\n' >"$WORK/bin/ssh"
	PATH=$WORK/bin:$PATH run here migrate g ssh://nowhere
	[ "$status" -ne 0 ]
	run here migrate g ssh://-oProxyCommand=x
	[ "$status" -ne 0 ]
	goes_on here
}

@test "a destination that refuses says why, and the guest goes on" {
	remember here
	there create --name g debian-small
	there receive --listen "unix:$WORK/s" >"$WORK/receive.out" 2>&1 3>&- &
	wait_for "$WORK/s"
	run here migrate g "unix:$WORK/s"
	[ "$status" -ne 0 ]
	echo "$output" | grep -q "exists already"
	! wait $!
	goes_on here
	there rm g
	run -127 here migrate g "unix:$WORK/nobody"
	[ "$status" -ne 0 ]
	run here migrate g nowhere
	[ "$status" -ne 0 ]
	goes_on here
	run -127 here migrate --undo other
	[ "$status" -ne 0 ]
}

@test "shared folders of a stranger's choice are not shared" {
	mkdir -p "$WORK/share"
	here run -d --name other -m 128M -v "$WORK/share:/mnt" debian-small
	there receive --listen "unix:$WORK/s" >"$WORK/receive.out" 2>&1 3>&- &
	wait_for "$WORK/s"
	run here migrate other "unix:$WORK/s"
	[ "$status" -ne 0 ]
	echo "$output" | grep -q -- --trust
	! wait $!
	there receive --trust --name third --listen "unix:$WORK/s" >"$WORK/receive.out" 2>&1 3>&- &
	wait_for "$WORK/s"
	here migrate other "unix:$WORK/s"
	wait $!
	[ "$(cat "$WORK/receive.out")" = third ]
	there rm -f third
	here rm other
}

# The stream or the receiving keeper ends at a random moment: the guest goes on at one place, and
# nothing of it was lost; where nobody can know, it is paused at its source.
@test "broken streams and kill -9 at any moment: the guest is at one place" {
	seed=${LODGE_TEST_SEED:-$$}
	stayed=0 moved=0 doubt=0 dead=0
	mkfifo "$WORK/back"
	for i in $(seq 1 "${LODGE_KILLS:-8}"); do
		seed=$(((seed * 1103515245 + 12345) % 2147483648))
		remember here
		(here migrate g - <"$WORK/back" | there receive >"$WORK/back") >/dev/null 2>&1 3>&- &
		both=$!
		sleep "$(printf '%d.%03d' $((seed / 65536 % 1200 / 1000)) $((seed / 65536 % 1000)))"
		if [ $((i % 2)) = 0 ]; then # the stream
			pkill -9 -f "^$LODGE migrate g -$" || true
		elif kill -0 $both 2>/dev/null; then # the receiver and its keeper
			pkill -9 -f "^$LODGE receive$" || true
		fi
		wait || true
		for _ in $(seq 300); do # the source notices, and ends if it was the last moment
			now=$(state here)
			here inspect g | grep -q '"state":"\(moving\|done\)"' || break
			sleep 0.1
		done
		[ "$now" = "$(state here)" ] || sleep 1
		case $(state here) in
		running)
			goes_on here
			there ls -a >/dev/null
			[ -z "$(state there)" ]
			stayed=$((stayed + 1))
			;;
		paused)
			there rm -f g 2>/dev/null || true
			here resume g
			goes_on here
			doubt=$((doubt + 1))
			;;
		stopped)
			if [ "$(state there)" = failed ]; then # killed when it ran there
				here migrate --undo g
				there rm -f g
				here start g
				echo "# the guest itself was killed, and booted" >&3
				dead=$((dead + 1))
				break
			fi
			goes_on there
			here rm g
			remember there
			move there here "unix:$WORK/s"
			moved=$((moved + 1))
			;;
		*)
			here ls -a >&2
			return 1
			;;
		esac
	done
	echo "# stayed: $stayed, moved: $moved, in doubt: $doubt, killed there: $dead" >&3
}

@test "a full disk at the destination: the guest goes on, and nothing is left there" {
	[ "$(id -u)" = 0 ] || skip "needs a mount"
	ask here 'test -e /nonce' || skip "the guest was killed in the test before, and booted anew"
	remember here
	for size in 16M 44M; do # less than its kernel; less than its disk
		mkdir -p "$WORK/tight"
		mount -t tmpfs -o size=$size tmpfs "$WORK/tight"
		XDG_DATA_HOME=$WORK/tight XDG_RUNTIME_DIR=$WORK/run-there "$LODGE" receive \
			--listen "unix:$WORK/s" >"$WORK/receive.out" 2>&1 3>&- &
		wait_for "$WORK/s"
		run here migrate g "unix:$WORK/s"
		wait $! || true
		for _ in $(seq 50); do # its keeper is just going
			left=$(ls -A "$WORK/tight/lodge/instances" | wc -l)
			[ "$left" != 0 ] || break
			sleep 0.1
		done
		umount "$WORK/tight"
		[ "$status" -ne 0 ]
		echo "$output" | grep -q "No space left"
		[ "$left" = 0 ]
		goes_on here
	done
}
