#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Limits of a living guest: CPU time with and without a control group, memory, disk, network.
bats_require_minimum_version 1.5.0
source "$BATS_TEST_DIRNAME/guests.sh"

setup_file() {
	home_make
	image_pull debian-small
	"$LODGE" run -d --name small -m 768M --cpus 2 -o cgroup=off --disk 256M debian-small
	"$LODGE" exec --wait 3m small true
}

teardown_file() {
	"$LODGE" rm -f small other >/dev/null 2>&1 || true
}

guest() { "$LODGE" exec --wait 60s small sh -c "$1"; }
limit_of() { "$LODGE" inspect "$1" | sed -n '/"limits"/,/}/s/.*"'"$2"'":"*\([^",]*\)"*,*/\1/p'; }
holds() { awk "BEGIN { exit !($1) }"; }

# CPUs that the keeper of $1 uses over $2 seconds
used() {
	local pid a b from to
	pid=$(keeper_pid "$1")
	a=$(awk '{ print $14 + $15 }' "/proc/$pid/stat") from=$(date +%s.%N)
	sleep "$2"
	b=$(awk '{ print $14 + $15 }' "/proc/$pid/stat") to=$(date +%s.%N)
	awk -v t="$(getconf CLK_TCK)" "BEGIN { print ($b - $a) / t / ($to - $from) }"
}
burn() { guest 'for i in 1 2; do setsid sh -c "while :; do :; done" >/dev/null 2>&1 </dev/null & echo $! >>/tmp/busy; done'; }
calm() { guest 'kill $(cat /tmp/busy); rm /tmp/busy'; }

# CPU time of 0.25, on a host that has so much to give
quarter() {
	local free u
	burn
	free=$(used small 3)
	"$LODGE" update small --cpus 0.25
	sleep 1
	u=$(used small 10)
	echo "free $free held $u"
	holds "$u < 0.28"
	holds "$u > 0.22 || $free < 0.6"
	guest true # it answers meanwhile
	"$LODGE" update small --cpus none
	sleep 1
	holds "$(used small 3) > 0.6 * $free"
	calm
}

@test "CPU time without a control group" {
	[ "$(limit_of small cpus_by)" = "" ]
	quarter
	[ "$(stat_of small held_ns)" -gt 0 ]
}

@test "values are shown, kept, and refused with a reason" {
	"$LODGE" update small --cpus 0.5 --disk-iops 100 --disk-bps 5M --net-bps 1M --cpuset 0
	[ "$(limit_of small cpu_milli)" = 500 ]
	[ "$(limit_of small cpus_by)" = lodge ]
	[ "$(limit_of small disk_bps)" = 5242880 ]
	[ "$(limit_of small cpuset)" = 0 ]
	[ "$(taskset -cp "$(keeper_pid small)" | sed 's/.*: //')" = 0 ]
	grep -q '"net_bps": *1048576' "$XDG_DATA_HOME/lodge/instances/small/config.json"
	try "$LODGE" update small --cpus 3
	[ "$status" -eq 125 ]
	[[ "$output" == *"2 CPUs while it lives"* ]]
	try "$LODGE" update small --memory 2G
	[ "$status" -eq 125 ]
	try "$LODGE" update small
	[ "$status" -eq 125 ]
	try "$LODGE" update small --cpuset 900
	[ "$status" -eq 0 ]
	[[ "$output" == *"cpuset is not enforced"* ]]
	"$LODGE" update small --cpus none --disk-iops none --disk-bps none --net-bps none --cpuset none
	[ "$(limit_of small cpu_milli)" = 0 ]
}

@test "a disk is held to 10 MiB/s, reads and writes, and to requests" {
	"$LODGE" update small --disk-bps 10M
	for way in "if=/dev/zero of=/dev/vda oflag=direct" "if=/dev/vda of=/dev/null iflag=direct"; do
		from=$(date +%s.%N)
		guest "dd $way bs=1M count=60 2>/dev/null"
		rate=$(awk "BEGIN { print 60 / ($(date +%s.%N) - $from) }")
		echo "$way: $rate MiB/s"
		holds "$rate < 10.5 && $rate > 8"
	done
	"$LODGE" update small --disk-bps none --disk-iops 50
	from=$(date +%s.%N)
	guest 'dd if=/dev/vda of=/dev/null bs=4k count=200 iflag=direct 2>/dev/null'
	holds "$(date +%s.%N) - $from > 3.5"
	"$LODGE" update small --disk-iops none
}

@test "the network is held, each way" {
	"$LODGE" update small --net-bps 1M
	port=$((20000 + $$ % 10000))
	head -c 4000000 /dev/urandom >"$BATS_FILE_TMPDIR/file"
	python3 -m http.server --bind 127.0.0.1 --directory "$BATS_FILE_TMPDIR" "$port" >/dev/null 2>&1 3>&- &
	server=$!
	for _ in $(seq 200); do
		! (exec 5<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
		sleep 0.1
	done
	from=$(date +%s.%N)
	sum=$(guest "wget -q -O - http://10.0.2.2:$port/file | sha256sum")
	took=$(awk "BEGIN { print $(date +%s.%N) - $from }")
	kill "$server"
	echo "4 MB in $took s"
	[ "$sum" = "$(sha256sum <"$BATS_FILE_TMPDIR/file")" ]
	holds "$took > 3.6 && $took < 12"
	"$LODGE" update small --net-bps none
}

@test "memory that the guest frees comes back by itself within 10 s" {
	guest 'dd if=/dev/zero of=/dev/shm/big bs=1M count=300 2>/dev/null'
	full=$(stat_of small memory_resident)
	[ "$full" -gt $((300 << 20)) ]
	guest 'rm /dev/shm/big'
	for _ in $(seq 10); do
		sleep 1
		[ "$(stat_of small memory_resident)" -gt $((full - (285 << 20))) ] || break
	done
	[ "$(stat_of small memory_resident)" -le $((full - (285 << 20))) ]
}

@test "lowering memory takes pages back within 5 s, raising gives them" {
	guest 'dd if=/dev/zero of=/dev/shm/big bs=1M count=150 2>/dev/null; dd if=/dev/vda of=/dev/null bs=1M 2>/dev/null'
	[ "$(stat_of small memory_resident)" -gt $((360 << 20)) ]
	"$LODGE" update small --memory 320M
	for _ in 1 2 3 4 5; do
		sleep 1
		[ "$(stat_of small memory_resident)" -gt $((320 << 20)) ] || break
	done
	[ "$(stat_of small memory_resident)" -le $((320 << 20)) ]
	[ "$(guest 'sha256sum </dev/shm/big')" = "$(head -c $((150 << 20)) /dev/zero | sha256sum)" ]
	"$LODGE" update small --memory none
	for _ in 1 2 3 4 5; do
		sleep 1
		! guest '[ $(awk "/^MemAvailable/ { print \$2 }" /proc/meminfo) -gt 400000 ]' || break
	done
	guest '[ $(awk "/^MemAvailable/ { print \$2 }" /proc/meminfo) -gt 400000 ]; rm /dev/shm/big'
}

@test "limits live through suspend and resume" {
	"$LODGE" update small --disk-bps 3M --cpus 1.5
	"$LODGE" suspend small
	"$LODGE" update small --disk-bps 2M
	try "$LODGE" update small --cpus 4
	[ "$status" -eq 125 ]
	"$LODGE" resume small
	[ "$(limit_of small disk_bps)" = 2097152 ]
	[ "$(limit_of small cpu_milli)" = 1500 ]
	from=$(date +%s.%N)
	guest 'dd if=/dev/vda of=/dev/null bs=1M count=10 iflag=direct 2>/dev/null'
	# the last request of 1 MiB is not waited for, nor what was saved up
	holds "$(date +%s.%N) - $from > 4"
	"$LODGE" update small --disk-bps none --cpus none
}

@test "top lists the guest's processes" {
	guest 'setsid sleep 300 >/dev/null 2>&1 </dev/null &'
	"$LODGE" top small | grep -q 'sleep 300'
	"$LODGE" top small -o pid,comm | grep -qE '^ *1 '
}

@test "a guest that powers off starts again, until it is stopped" {
	try "$LODGE" run -d --rm --restart always debian-small
	[ "$status" -eq 125 ]
	"$LODGE" run -d --name other -m 256M --restart always debian-small
	before=$("$LODGE" exec --wait 3m other cat /proc/sys/kernel/random/boot_id)
	pid=$(keeper_pid other)
	"$LODGE" exec other poweroff -f || true
	for _ in $(seq 60); do
		now=$("$LODGE" exec --wait 5s other cat /proc/sys/kernel/random/boot_id 2>/dev/null) && [ "$now" != "$before" ] && break
		sleep 0.5
	done
	[ -n "$now" ]
	[ "$now" != "$before" ]
	[ "$(keeper_pid other)" = "$pid" ]
	"$LODGE" update other --restart no
	"$LODGE" exec other poweroff -f || true
	for _ in $(seq 60); do
		"$LODGE" ls -a | grep -q "^other *stopped.*exit code 0" && break
		sleep 0.5
	done
	"$LODGE" ls -a | grep -q "^other *stopped.*exit code 0"
	[ ! -d "/proc/$pid" ] || sleep 2
	[ ! -d "/proc/$pid" ]
	"$LODGE" rm other
}

@test "what a guest kills for want of memory is an event, counted, and stays known" {
	"$LODGE" run -d --name other -m 128M debian-small
	"$LODGE" exec --wait 3m other true
	"$LODGE" update other --memory 112M
	! "$LODGE" events --no-stream other | grep ' oom '
	"$LODGE" inspect other | grep -q '"oom_killed":false'
	"$LODGE" exec --wait 60s other sh -c 'tail /dev/zero >/dev/null; [ $? -gt 128 ]'
	for _ in $(seq 100); do
		! "$LODGE" events --no-stream other | grep ' other oom kills=' || break
		sleep 0.1
	done
	"$LODGE" events --no-stream --filter event=oom other | grep 'kills=[1-9]'
	[ "$(stat_of other oom_kills)" -ge 1 ]
	"$LODGE" inspect other | grep -q '"oom_killed":true'
	"$LODGE" kill other
	"$LODGE" inspect other | grep -q '"oom_killed":true'
	"$LODGE" start other
	"$LODGE" inspect other | grep -q '"oom_killed":false'
	"$LODGE" rm -f other
}

@test "a stopped guest gets other CPUs and memory" {
	"$LODGE" run -d --name other -m 256M --cpus 0.5 -o cgroup=off debian-small
	"$LODGE" exec --wait 3m other true
	[ "$(limit_of other cpu_milli)" = 500 ]
	[ "$("$LODGE" exec other nproc)" = 1 ]
	"$LODGE" kill other
	"$LODGE" update other --cpus 2 --memory 384M
	"$LODGE" start other
	[ "$("$LODGE" exec --wait 3m other nproc)" = 2 ]
	[ "$(limit_of other cpu_milli)" = 0 ]
	[ "$("$LODGE" exec other awk '/^MemTotal/ { print ($2 > 270000) }' /proc/meminfo)" = 1 ]
	"$LODGE" rm -f other
}

@test "CPU time by a control group, where one can be made" {
	"$LODGE" run -d --name other --cpus 0.25 debian-small
	by=$(limit_of other cpus_by)
	"$LODGE" rm -f other
	[ ! -d "$by" ]
	[ "$by" != lodge ] || skip "no control group can be made here"
	"$LODGE" kill small
	"$LODGE" rm small
	"$LODGE" run -d --name small -m 256M --cpus 2 debian-small
	"$LODGE" exec --wait 3m small true
	quarter
	"$LODGE" update small --cpus 0.5 --cpu-weight 50
	by=$(limit_of small cpus_by)
	[ "$(cat "$by/cpu.shares" "$by/cpu.weight" 2>/dev/null)" = "$([ -e "$by/cpu.weight" ] && echo 50 || echo 512)" ]
	"$LODGE" rm -f small
	[ ! -d "$by" ]
}
