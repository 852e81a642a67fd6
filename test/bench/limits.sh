# shellcheck shell=bash disable=SC2034,SC2154 # variables are those of run
# SPDX-License-Identifier: Apache-2.0
# Part "limits" of run: is a guest held to what it was told, and does memory come back? No peers.

in_held() { "$lodge" exec --wait 3m held sh -c "$1" </dev/null; }
held_stat() { "$lodge" stats held | awk -v k="$1" '$1 == k { print $2 }'; }
# VALUE is off TARGET by a part of it: bars are for that
off() { awk -v v="$1" -v t="$2" 'BEGIN { d = (v > t) ? v - t : t - v; printf "%.4f", (d > 0.0001) ? d : 0.0001 }'; }
limit_row() { # WHAT VALUE OFF BAR [busy]
	local v
	v=$(verdict "$3" "$4") || {
		# what others leave of the host is less than the guest may have
		if [ "${5:-1}" = busy ]; then v=busy; else missed=1; fi
	}
	line "$1" "$2" - "$3" "$4" "$v"
}

# CPUs that the keeper uses over $1 seconds
cpus_used() {
	local a b from to
	a=$(held_stat cpu_ns) from=$(date +%s%N)
	sleep "$1"
	b=$(held_stat cpu_ns) to=$(date +%s%N)
	awk "BEGIN { printf \"%.3f\", ($b - $a) / ($to - $from) }"
}

# seconds until what backs the guest's memory is at most $1 MiB, 30 at most
until_resident() {
	local begin now
	begin=$(date +%s%N)
	while :; do
		now=$(date +%s%N)
		[ "$(held_stat memory_resident)" -gt $(($1 << 20)) ] || break
		[ $((now - begin)) -lt 30000000000 ] || break
		sleep 0.1
	done
	awk "BEGIN { printf \"%.1f\", ($now - $begin) / 1e9 + 0.1 }"
}

# MiB/s of 100 MiB through the guest's disk
disk_rate() { # DD-OPERANDS...
	local begin
	begin=$(date +%s%N)
	in_held "dd $* bs=1M count=100 2>/dev/null"
	awk "BEGIN { printf \"%.2f\", 100e9 / ($(date +%s%N) - $begin) }"
}

held_up() { # OPTIONS...
	"$lodge" run -d --name held -m 768M --cpus 2 --disk 256M "$@" debian-small >/dev/null && in_held true || exit 1
}

cpu_row() { # WHAT
	local used busy=
	in_held 'for i in 1 2; do setsid sh -c "while :; do :; done" >/dev/null 2>&1 </dev/null & echo $! >>/tmp/busy; done'
	awk "BEGIN { exit !($(cpus_used 5) < 0.6) }" && busy=busy
	"$lodge" update held --cpus 0.25 >/dev/null
	sleep 1
	used=$(cpus_used 20)
	limit_row "$1" "$used" "$(off "$used" 0.25)" 0.03 $busy
	"$lodge" update held --cpus none >/dev/null
	in_held 'kill $(cat /tmp/busy); rm /tmp/busy'
}

part_limits() {
	local rate secs full
	line "limits" lodge - "off by" bar ""
	held_up
	if "$lodge" update held --cpus 1.5 >/dev/null && "$lodge" inspect held | grep -q '"cpus_by":"/'; then
		cpu_row "0.25 CPU by a control group, 20 s"
	fi
	"$lodge" rm -f held >/dev/null
	held_up -o cgroup=off
	cpu_row "0.25 CPU by lodge, 20 s"
	"$lodge" update held --disk-bps 10M >/dev/null
	rate=$(disk_rate if=/dev/zero of=/dev/vda oflag=direct)
	limit_row "disk of 10 MiB/s: writes, MiB/s" "$rate" "$(off "$(ratio "$rate" 10)" 1)" 0.05
	rate=$(disk_rate if=/dev/vda of=/dev/null iflag=direct)
	limit_row "disk of 10 MiB/s: reads, MiB/s" "$rate" "$(off "$(ratio "$rate" 10)" 1)" 0.05
	"$lodge" update held --disk-bps none >/dev/null
	in_held 'dd if=/dev/zero of=/dev/shm/big bs=1M count=300 2>/dev/null'
	full=$(($(held_stat memory_resident) >> 20))
	in_held 'rm /dev/shm/big'
	secs=$(until_resident $((full - 285)))
	limit_row "300 MiB freed by the guest: back, s" "$secs" "$secs" 10
	in_held 'dd if=/dev/zero of=/dev/shm/big bs=1M count=150 2>/dev/null; dd if=/dev/vda of=/dev/null bs=1M 2>/dev/null'
	"$lodge" update held --memory 320M >/dev/null
	secs=$(until_resident 320)
	limit_row "768 to 320 MiB: host has them back, s" "$secs" "$secs" 5
	"$lodge" rm -f held >/dev/null
}
