#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Clones of a small Debian: each is somebody else, for its network too.
bats_require_minimum_version 1.5.0
source "$BATS_TEST_DIRNAME/guests.sh"

setup_file() {
	home_make
	image_pull debian-small
	export PORT=$((20000 + $$ % 10000))
	"$LODGE" run -d --name p -m 160M -o mac=02:00:00:00:00:01 debian-small
	# a service, and a program that asks for something outside all the time
	"$LODGE" exec --wait 3m p sh -c '
		until ip route | grep -q default; do sleep 0.2; done
		(while :; do cat /sys/class/net/eth0/address | nc -l -p 8080; done) >/dev/null 2>&1 </dev/null &
		(while :; do ping -c 1 -W 1 10.0.2.2; sleep 0.1; done) >/dev/null 2>&1 </dev/null &' </dev/null
	# who answers for the host: a line for each that connects
	python3 - "$((PORT + 1))" >/dev/null 2>&1 3>&- <<-'END' &
	import socket, sys
	s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
	while True:
	    c, _ = s.accept()
	    c.sendall(b"outside\n")
	    c.close()
	END
	echo $! >"$BATS_FILE_TMPDIR/server"
	for _ in $(seq 100); do
		! (exec 5<>"/dev/tcp/127.0.0.1/$((PORT + 1))") 2>/dev/null || break
		sleep 0.1
	done
}

teardown_file() {
	kill "$(cat "$BATS_FILE_TMPDIR/server")" 2>/dev/null || true
	"$LODGE" rm -f p c-1 c-2 c-3 web >/dev/null 2>&1 || true
}

in_guest() { "$LODGE" exec --wait 60s "$1" sh -c "$2" </dev/null; }
mac_of() { in_guest "$1" 'cat /sys/class/net/eth0/address'; }
mac_of_card() { "$LODGE" inspect "$1" | sed -n 's/^ *"mac":"\(.*\)".*/\1/p'; }
heard() { # NAME: until its driver has the address
	for _ in $(seq 100); do
		"$LODGE" inspect "$1" | grep -q mac_of_driver || return 0
		sleep 0.1
	done
	return 1
}
outside() { in_guest "$1" "nc -w 10 10.0.2.2 $((PORT + 1)) </dev/null"; }

@test "parent and three clones have different addresses, and all reach the outside" {
	[ "$(mac_of p)" = 02:00:00:00:00:01 ]
	[ "$(outside p)" = outside ]
	"$LODGE" clone -n 3 p c
	for c in c-1 c-2 c-3; do
		heard $c
		[ "$(mac_of $c)" = "$(mac_of_card $c)" ]
		[ "$(outside $c)" = outside ]
		# it has not been taken down: its address and routes are there
		in_guest $c 'ip addr show eth0 | grep -q 10.0.2.15 && ip route | grep -q default'
		in_guest $c 'ping -c 2 -W 5 10.0.2.2'
	done
	[ "$(mac_of p)" = 02:00:00:00:00:01 ]
	[ "$(for c in p c-1 c-2 c-3; do mac_of $c; done | sort -u | wc -l)" = 4 ]
	[ "$(for c in c-1 c-2 c-3; do in_guest $c 'head -c 16 /dev/urandom | od -An -tx1'; done | sort -u | wc -l)" = 3 ]
}

@test "the address stays over suspend, restore and a new start; a clone of a clone has its own" {
	mac=$(mac_of c-1)
	"$LODGE" snapshot create c-1 s
	"$LODGE" suspend c-1
	"$LODGE" resume c-1
	[ "$(mac_of c-1)" = "$mac" ]
	"$LODGE" restore -f c-1 s
	[ "$(mac_of c-1)" = "$mac" ]
	"$LODGE" rm -f c-2
	"$LODGE" clone -s s c-1 c-2
	heard c-2
	[ "$(mac_of c-2)" != "$mac" ]
	[ "$(mac_of c-2)" = "$(mac_of_card c-2)" ]
	[ "$(outside c-2)" = outside ]
	"$LODGE" kill c-1
	"$LODGE" start c-1
	[ "$("$LODGE" exec --wait 3m c-1 cat /sys/class/net/eth0/address </dev/null)" = "$mac" ]
}

@test "an address that somebody has set in the guest is his, until there is a clone" {
	in_guest c-3 'ip link set eth0 address 02:00:00:00:00:99'
	"$LODGE" suspend c-3
	"$LODGE" resume c-3
	[ "$(mac_of c-3)" = 02:00:00:00:00:99 ]
	"$LODGE" rm -f c-2
	"$LODGE" clone c-3 c-2
	heard c-2
	[ "$(mac_of c-2)" = "$(mac_of_card c-2)" ]
	[ "$(mac_of c-3)" = 02:00:00:00:00:99 ]
}

@test "a guest without an agent: the card has the address, the guest goes on with the other" {
	in_guest p '(sleep 1; kill -STOP $(pidof lodge-agent)) >/dev/null 2>&1 </dev/null &'
	sleep 3
	"$LODGE" rm -f c-2
	"$LODGE" clone p c-2
	sleep 1
	"$LODGE" inspect c-2 | grep -q '"mac_of_driver":"02:00:00:00:00:01"'
	[ "$(mac_of_card c-2)" != 02:00:00:00:00:01 ]
	"$LODGE" rm -f c-2 p
}

@test "a clone publishes ports of its own" {
	run "$LODGE" clone -p nonsense c-1 web
	[ "$status" -eq 125 ]
	[[ "$output" == *"--publish nonsense"* ]]
	run "$LODGE" clone -n 2 -p "$PORT:8080" c-3 web
	[ "$status" -eq 125 ]
	run -127 "$LODGE" inspect web
	"$LODGE" clone -p "$PORT:8080" c-3 web
	heard web
	# the first one to connect gets what the service had read before it was cloned
	mac=$(mac_of web)
	for _ in $(seq 60); do
		said=$(timeout 10 bash -c "cat </dev/tcp/127.0.0.1/$PORT" || true)
		[ "$said" != "$mac" ] || break
		sleep 0.5
	done
	[ "$said" = "$mac" ]
}
