#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The life cycle of a Debian guest under load: it writes files with their SHA-256, counts, and keeps
# a nonce in memory. A guest that was restarted instead of going on has another nonce and boot id.
bats_require_minimum_version 1.5.0
source "$BATS_TEST_DIRNAME/guests.sh"

setup_file() {
	home_make
	export SHARE=$BATS_FILE_TMPDIR/share
	mkdir -p "$SHARE"
	image_pull debian
	"$LODGE" run -d --name deb -m 512M --cpus 2 -v "$SHARE:/mnt" debian
	"$LODGE" exec --wait 10m deb true
	"$LODGE" exec -i deb sh -c 'cat >/root/load.sh' <<-'END'
	mkdir -p /root/files
	head -c 64 /dev/urandom | sha256sum >/dev/shm/nonce
	i=0
	while :; do
		i=$((i + 1))
		f=/root/files/$((i % 20))
		head -c 40000 /dev/urandom >$f.tmp
		sha256sum <$f.tmp >$f.sum.tmp
		mv $f.tmp $f
		mv $f.sum.tmp $f.sum
		echo $i >/dev/shm/count.new
		mv /dev/shm/count.new /dev/shm/count
	done
	END
	load
}

teardown_file() {
	"$LODGE" rm -f deb small shot copy1 copy2 copy3 >/dev/null 2>&1 || true
}

guest() { "$LODGE" exec --wait 60s deb sh -c "$1"; }
load() { guest 'setsid sh /root/load.sh >/dev/null 2>&1 </dev/null & sleep 2'; }

# What must be the same before and after, and the counter apart.
remember() {
	before=$(guest 'cat /dev/shm/nonce /proc/sys/kernel/random/boot_id')
	counted=$(guest 'cat /dev/shm/count')
}
goes_on() {
	[ "$(guest 'cat /dev/shm/nonce /proc/sys/kernel/random/boot_id')" = "$before" ]
	now=$(guest 'cat /dev/shm/count')
	[ "$now" -ge "$counted" ]
	for _ in $(seq 30); do # a busy host shares itself among several guests
		sleep 1
		[ "$(guest 'cat /dev/shm/count')" -eq "$now" ] || break
	done
	[ "$(guest 'cat /dev/shm/count')" -gt "$now" ]
	counted=$now
	# the pair that is being replaced may not match: it must a moment later
	guest 'for i in 1 2 3 4 5 6 7 8; do
		f=/root/files/$i n=0
		until [ "$(sha256sum <$f)" = "$(cat $f.sum)" ]; do
			n=$((n + 1)); [ $n -lt 5 ] || exit 1; sleep 0.3
		done
	done'
}
# The same after a restore: the counter goes on from an earlier number.
came_back() {
	counted=0
	goes_on
}
# The guest's clock is the host's, within a second and the time that the question takes.
clock_right() {
	for i in 1 2 3 4 5; do
		a=$(date +%s) g=$(guest 'date +%s') b=$(date +%s)
		[ "$g" -ge $((a - 1)) ] && [ "$g" -le $((b + 1)) ] && return 0
		sleep 0.5
	done
	echo "host $a to $b, guest $g" >&2
	return 1
}

@test "a paused guest stands still, its clock is right afterwards" {
	remember
	"$LODGE" pause deb
	[ "$(state deb)" = paused ]
	sleep 4
	"$LODGE" resume deb
	clock_right
	goes_on
}

@test "a suspended guest has no process, and goes on with memory, disk and clock" {
	remember
	pid=$(keeper_pid deb)
	"$LODGE" suspend deb
	[ "$(state deb)" = suspended ]
	! kill -0 "$pid" 2>/dev/null
	[ -f "$XDG_DATA_HOME/lodge/instances/deb/suspended/state" ]
	sleep 4
	"$LODGE" resume deb
	[ "$(state deb)" = running ]
	[ ! -e "$XDG_DATA_HOME/lodge/instances/deb/suspended" ]
	clock_right
	goes_on
}

@test "again and again, from paused too, on either engine" {
	remember
	for i in 1 2 3 4; do
		[ $((i % 2)) = 0 ] || "$LODGE" pause deb
		"$LODGE" suspend deb
		"$LODGE" start deb
		goes_on
	done
	conf=$XDG_DATA_HOME/lodge/instances/deb/config.json
	"$LODGE" suspend deb
	cp "$conf" "$BATS_TEST_TMPDIR/config.json"
	sed -i 's/^{/{ "accel": "interpret",/' "$conf"
	"$LODGE" resume deb
	"$LODGE" inspect deb | grep -q '"engine":"interpret"'
	goes_on
	"$LODGE" suspend deb
	cp "$BATS_TEST_TMPDIR/config.json" "$conf"
	"$LODGE" resume deb
	goes_on
	clock_right
}

flip() { # FILE BIT
	local b
	b=$(od -An -tu1 -j $(($2 / 8)) -N 1 "$1")
	printf "\\x$(printf %02x $((b ^ 1 << $2 % 8)))" | dd of="$1" bs=1 seek=$(($2 / 8)) conv=notrunc 2>/dev/null
}

# The unit tests try every bit and every length, of small files.
@test "a damaged state is refused with the reason, and is still there" {
	remember
	"$LODGE" suspend deb
	at=$XDG_DATA_HOME/lodge/instances/deb/suspended
	bits=$(($(stat -c %s "$at/state") * 8))
	all=$(($(stat -c %s "$at/ram") * 8))
	tail=$(((8 << 10) * 8)) # of the RAM file: its checksums and its head
	cp "$at/state" "$BATS_TEST_TMPDIR/state"
	for _ in $(seq 6); do
		bit=$(((RANDOM << 15 | RANDOM) % bits))
		flip "$at/state" $bit
		run -125 "$LODGE" resume deb
		echo "bit $bit of $bits: $output"
		[[ $output =~ damaged|checksum|newer|"no sense"|"cut short"|"goes on"|"no state" ]]
		[ "$(state deb)" = suspended ]
		cp "$BATS_TEST_TMPDIR/state" "$at/state"
		bit=$((all - 1 - (RANDOM << 15 | RANDOM) % tail))
		flip "$at/ram" $bit
		run -125 "$LODGE" resume deb
		echo "bit $bit of RAM: $output"
		[[ $output =~ damaged|checksum|newer|"another state"|"impossible" ]]
		[ "$(state deb)" = suspended ]
		flip "$at/ram" $bit
		truncate -s $(((RANDOM << 15 | RANDOM) % (bits / 8))) "$at/state"
		run -125 "$LODGE" resume deb
		[ -n "$output" ]
		[ "$(state deb)" = suspended ]
		cp "$BATS_TEST_TMPDIR/state" "$at/state"
	done
	mv "$at/ram" "$BATS_TEST_TMPDIR/ram"
	run -127 "$LODGE" start deb
	[ "$(state deb)" = suspended ]
	mv "$BATS_TEST_TMPDIR/ram" "$at/ram"
	run "$LODGE" rm deb
	[ "$status" -ne 0 ]
	"$LODGE" resume deb
	goes_on
}

@test "snapshots of a guest under load, restored in any order" {
	remember
	"$LODGE" snapshot create deb first
	at_first=$(guest 'cat /dev/shm/count')
	goes_on
	guest 'echo later >/root/mark; echo later >/dev/shm/mark; sync'
	[ "$("$LODGE" snapshot create deb)" = s1 ]
	guest 'rm /root/mark /dev/shm/mark; sync'
	"$LODGE" snapshot create deb third
	run "$LODGE" snapshot create deb first
	[ "$status" -ne 0 ]
	[ "$("$LODGE" snapshot ls deb | awk 'NR > 1 { print $1, $2 }' | grep -c -- '- ')" = 2 ]
	"$LODGE" snapshot ls --format json deb | grep -q '"parent": *"s1"'
	run "$LODGE" restore deb first
	[ "$status" -ne 0 ] # it runs
	"$LODGE" restore -f deb s1
	guest '[ "$(cat /root/mark)" = later ] && [ "$(cat /dev/shm/mark)" = later ]'
	came_back
	clock_right
	"$LODGE" restore -f deb first
	guest '[ ! -e /root/mark ] && [ ! -e /dev/shm/mark ]'
	[ "$(guest 'cat /dev/shm/count')" -le $((at_first + 200)) ]
	came_back
	clock_right
	"$LODGE" restore -f deb third
	came_back
	"$LODGE" suspend deb
	"$LODGE" restore deb s1
	guest '[ "$(cat /root/mark)" = later ]'
	came_back
}

@test "removed snapshots leave the others whole" {
	remember
	"$LODGE" snapshot rm deb s1
	[ "$("$LODGE" snapshot ls deb | awk 'NR > 1' | wc -l)" = 2 ]
	"$LODGE" restore -f deb third
	came_back
	"$LODGE" snapshot rm deb first third
	goes_on
	"$LODGE" stop deb
	"$LODGE" start deb
	"$LODGE" exec --wait 5m deb true
	guest 'cat /root/files/*.sum >/dev/null && ! dmesg | grep -iE "EXT4-fs error|I/O error"'
	load
}

@test "clones of a running, a suspended guest and of a snapshot, each its own" {
	remember
	"$LODGE" snapshot create deb start
	"$LODGE" clone deb copy1
	"$LODGE" clone --snapshot start deb copy2
	goes_on
	"$LODGE" suspend deb
	"$LODGE" clone deb copy3
	"$LODGE" resume deb
	goes_on
	for c in copy1 copy2 copy3; do
		[ "$("$LODGE" exec --wait 60s $c sh -c 'cat /dev/shm/nonce /proc/sys/kernel/random/boot_id')" = "$before" ]
		"$LODGE" exec --wait 60s $c sh -c "echo $c >/root/who; sync; dmesg | grep -q 'crng reseeded due to virtual machine fork'"
	done
	cids=$(for c in deb copy1 copy2 copy3; do
		"$LODGE" exec --wait 60s $c perl -e 'open(F, "/dev/vsock"); $b = pack("L", 0); ioctl(F, 0x7b9, $b); print unpack("L", $b), "
"'
	done | sort -u | wc -l)
	[ "$cids" = 4 ]
	randoms=$(for c in copy1 copy2 copy3; do
		"$LODGE" exec --wait 60s $c sh -c 'head -c 16 /dev/urandom | sha256sum'
	done | sort -u | wc -l)
	[ "$randoms" = 3 ]
	"$LODGE" rm -f copy1
	"$LODGE" snapshot rm deb start
	for c in copy2 copy3; do
		[ "$("$LODGE" exec --wait 60s $c cat /root/who)" = $c ]
		"$LODGE" exec --wait 60s $c sh -c 'for i in 1 2 3; do cp /root/files/$i /root/x && sync; done; ! dmesg | grep -iE "EXT4-fs error|I/O error"'
	done
	"$LODGE" stop copy2
	"$LODGE" start copy2
	[ "$("$LODGE" exec --wait 5m copy2 cat /root/who)" = copy2 ]
	"$LODGE" rm -f copy2 copy3
	! "$LODGE" exec deb cat /root/who
	goes_on
}

@test "a shared folder: open files go on, one that is gone is an error and no more" {
	echo kept >"$SHARE/kept"
	echo gone >"$SHARE/gone"
	guest 'cat /mnt/kept /mnt/gone >/dev/null
		(exec 3>>/mnt/log; i=0; while [ ! -e /mnt/stop ]; do i=$((i + 1)); echo $i >&3; sleep 0.1; done) >/dev/null 2>&1 </dev/null &
		sleep 1'
	"$LODGE" snapshot create deb shared
	"$LODGE" suspend deb
	lines=$(wc -l <"$SHARE/log")
	rm "$SHARE/gone"
	"$LODGE" resume deb
	guest 'sleep 2; [ "$(cat /mnt/kept)" = kept ] && ! cat /mnt/gone'
	[ "$(wc -l <"$SHARE/log")" -gt "$lines" ]
	"$LODGE" restore -f deb shared
	guest 'sleep 1; [ "$(cat /mnt/kept)" = kept ]'
	lines=$(wc -l <"$SHARE/log")
	guest 'sleep 2'
	[ "$(wc -l <"$SHARE/log")" -gt "$lines" ]
	touch "$SHARE/stop"
	"$LODGE" snapshot rm deb shared
}

# 128 MiB of Linux without a disk, which boots in seconds.
small_start() { # NAME
	"$LODGE" run -d --name "$1" -m 160M debian-small
	"$LODGE" exec --wait 2m "$1" sh -c 'head -c 32 /dev/urandom >/nonce' </dev/null
}
small_nonce() { "$LODGE" exec --wait 60s "$1" cat /nonce </dev/null | sha256sum; }

@test "kill -9 at any moment of a suspend: the old or the new state" {
	small_start small
	nonce=$(small_nonce small)
	seed=${LODGE_TEST_SEED:-$$}
	old=0 new=0
	for i in $(seq 1 "${LODGE_KILLS:-8}"); do
		seed=$(((seed * 1103515245 + 12345) % 2147483648))
		pid=$(keeper_pid small)
		"$LODGE" suspend small >/dev/null 2>&1 3>&- &
		sleep "0.$(printf %03d $((seed / 65536 % 600)))"
		kill -9 "$pid" 2>/dev/null || true
		wait $! || true
		while kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
		case $(state small) in
		suspended)
			new=$((new + 1))
			"$LODGE" resume small
			[ "$(small_nonce small)" = "$nonce" ]
			;;
		failed) # the power went before the state was there
			old=$((old + 1))
			"$LODGE" rm -f small
			small_start small
			nonce=$(small_nonce small)
			;;
		*)
			"$LODGE" ls -a >&2
			return 1
			;;
		esac
	done
	echo "# killed before the state was whole: $old, after: $new" >&3
	"$LODGE" kill small
}

@test "kill -9 at any moment of a snapshot: it is there and whole, or not there" {
	small_start shot
	nonce=$(small_nonce shot)
	"$LODGE" snapshot create shot base
	seed=${LODGE_TEST_SEED:-$$}
	for i in $(seq 1 "${LODGE_KILLS:-8}"); do
		seed=$(((seed * 1103515245 + 12345) % 2147483648))
		pid=$(keeper_pid shot)
		"$LODGE" snapshot create shot "k$i" >/dev/null 2>&1 3>&- &
		sleep "0.$(printf %03d $((seed / 65536 % 400)))"
		kill -9 "$pid" 2>/dev/null || true
		wait $! || true
		while kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
		snap=base
		"$LODGE" snapshot ls shot | grep -q "k$i" && snap=k$i
		"$LODGE" restore shot "$snap"
		[ "$(small_nonce shot)" = "$nonce" ]
	done
	"$LODGE" clone -n 3 shot many
	for n in 1 2 3; do [ "$(small_nonce many-$n)" = "$nonce" ]; done
	"$LODGE" rm -f shot
	[ "$(small_nonce many-2)" = "$nonce" ]
	"$LODGE" rm -f many-1 many-2 many-3
}

@test "a full disk: the guest goes on, and says why it is not suspended" {
	[ "$(id -u)" = 0 ] || skip "needs a mount"
	mkdir -p "$BATS_TEST_TMPDIR/full"
	mount -t tmpfs -o size=24M tmpfs "$BATS_TEST_TMPDIR/full"
	(
		export XDG_DATA_HOME=$BATS_TEST_TMPDIR/full
		small_start tight
		nonce=$(small_nonce tight)
		for i in 1 2 3; do
			run "$LODGE" suspend tight
			[ "$status" -ne 0 ]
			echo "$output" | grep -q "No space left"
			[ "$(state tight)" = running ]
			[ "$(small_nonce tight)" = "$nonce" ]
			[ ! -e "$XDG_DATA_HOME/lodge/instances/tight/.suspended.new" ]
			run "$LODGE" snapshot create tight full
			[ "$status" -ne 0 ]
			echo "$output" | grep -q "No space left"
			[ "$("$LODGE" snapshot ls tight | wc -l)" = 1 ]
		done
		mount -o remount,size=400M "$XDG_DATA_HOME"
		"$LODGE" suspend tight
		"$LODGE" resume tight
		[ "$(small_nonce tight)" = "$nonce" ]
		"$LODGE" rm -f tight
	)
	umount "$BATS_TEST_TMPDIR/full"
}

@test "kill throws the state of a suspended guest away, and it boots anew" {
	"$LODGE" suspend deb
	"$LODGE" kill deb
	[ "$(state deb)" = stopped ]
	[ ! -e "$XDG_DATA_HOME/lodge/instances/deb/suspended" ]
	"$LODGE" start deb
	"$LODGE" exec --wait 5m deb sh -c '[ ! -e /dev/shm/nonce ] && [ -e /root/files/1 ]'
}

@test "memory that was restored becomes a memfd again when the guest computes" {
	"$LODGE" suspend deb
	"$LODGE" resume deb
	"$LODGE" exec --wait 60s deb sh -c 'i=0; while [ $i -lt 3000000 ]; do i=$((i + 1)); done' &
	for _ in $(seq 60); do
		"$LODGE" inspect deb | grep -q '"memory_kind":"memfd"' && break
		sleep 0.5
	done
	"$LODGE" logs deb >/dev/null
	"$LODGE" inspect deb | grep -q '"memory_kind":"memfd"' ||
		grep -q "memory stays private" "$XDG_DATA_HOME/lodge/instances/deb/keeper.log"
	wait
}
