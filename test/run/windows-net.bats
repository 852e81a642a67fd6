#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Programs of Windows with a network: what they reach, how they are reached, what they are told of
# it; and that without one they reach nothing.
bats_require_minimum_version 1.5.0 # run -CODE
source "$BATS_TEST_DIRNAME/guests.sh"

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export BATS_TEST_TIMEOUT=120
	export T=$BATS_FILE_TMPDIR HOME=$BATS_FILE_TMPDIR LODGE=$BATS_FILE_TMPDIR/lodge
	export XDG_DATA_HOME=$T/data XDG_RUNTIME_DIR=$T/run
	chmod 755 "$T" "$BATS_RUN_TMPDIR" # for other users
	cp build/lodge "$LODGE"
	mkdir -p "$T/in"
	mkdir -p -m 700 "$T/run"
	x86_64-w64-mingw32-gcc -O1 -w test/windows/probe/net.c -o "$T/in/net.exe" -lws2_32 -liphlpapi
	cd "$T/in" || return 1
	"$LODGE" run --net user net.exe tables >/dev/null 2>"$T/why" ||
		skip "no network here: $(cat "$T/why")"
	PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	export PORT
	mkfifo "$T/open"
	[ "$(id -u)" -ne 0 ] || export RESOLVER=127.0.0.77
	sleep 1000 >"$T/open" 3>&- &
	echo $! >"$T/opener"
	python3 "$BATS_TEST_DIRNAME/../windows/resolver.py" "$RESOLVER" "$PORT" <"$T/open" >"$T/ready" 3>&- &
	for _ in $(seq 100); do [ ! -s "$T/ready" ] || break; sleep 0.05; done
	echo "nameserver 127.0.0.77" >"$T/resolv.conf"
}
teardown_file() { kill "$(cat "$T/opener")"; }
setup() { cd "$T/in" || return 1; }
teardown() { guests_remove; }
net() { timeout 60 "$LODGE" run --net user net.exe "$@" | tr -d '\r'; }
# with the test's resolver as the host's
resolving() {
	unshare -m sh -c 'mount --bind "$T/resolv.conf" /etc/resolv.conf && exec "$@"' sh "$@"
}
fetch() { # PORT: what a server on the host's loopback says
	python3 -c 'import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
s.sendall(b"hello\n")
print(s.recv(100).decode(), end="")' "$1"
}

@test "without the flag nothing is reachable, and nothing is told" {
	ways=("" "--net none")
	if "$LODGE" run -m 64M net.exe tables >/dev/null 2>"$T/err"; then
		ways+=("-m 64M")
	else
		grep "control group" "$T/err"
	fi
	for more in "${ways[@]}"; do
		# shellcheck disable=SC2086
		run -3 "$LODGE" run $more net.exe tcp 10.0.2.2 "$PORT"
		[ "${output%$'\r'}" = "not reached: 10051" ]
		run -3 "$LODGE" run $more net.exe tcp 127.0.0.1 "$PORT" # its own
		[[ "$output" == *"not reached: 10061"* ]]
		run -2 "$LODGE" run $more net.exe tcp one.test "$PORT"
		[[ "$output" == *"no such name: 11001"* ]]
	done
	run -0 "$LODGE" run net.exe tables
	[[ "$output" == *"interfaces 1"*"info: 232"*"best: 1231"* ]]
	[[ "$output" != *10.0.2* && "$output" != *route* ]]
	run -125 "$LODGE" run -p 8080:80 net.exe tables
	[[ "$output" == *"--net user publishes"* ]]
	run -125 "$LODGE" run --net bridge net.exe tables
	[[ "$output" == *"a Windows program has user, or none"* ]]
}

@test "servers of the host by TCP and UDP; its own loopback stays its own" {
	run -0 net tcp 10.0.2.2 "$PORT"
	[ "${lines[0]}" = "from 10.0.2.15" ]
	[ "${lines[1]}" = "heard the host has hello" ]
	run -0 net udp 10.0.2.2 "$PORT"
	[ "${lines[1]}" = "heard a datagram of hello" ]
	run net tcp 127.0.0.1 "$PORT"
	[[ "$output" == *"not reached: 10061"* ]]
}

@test "names by the host's resolver" {
	[ -n "$RESOLVER" ] || skip "needs root, for a resolver of the test's own"
	run -0 resolving "$LODGE" run --net user net.exe names one.test two.test ALIAS.test. empty.test \
		no.test cut.test broken.test localhost lodge 10.9.8.7
	output=${output//$'\r'/}
	for line in "one.test 192.0.2.1" "one.test by name: 192.0.2.1" "two.test 192.0.2.1" \
		"two.test 192.0.2.2" "two.test by name: 192.0.2.2" "ALIAS.test. 192.0.2.1" \
		"empty.test: 11001" "no.test: 11001" "no.test: by name: 11001" "cut.test 192.0.2.1" \
		"cut.test 192.0.2.30" "cut.test by name: 192.0.2.30" "broken.test: 11002" \
		"localhost ::1" "localhost 127.0.0.1" "lodge 10.0.2.15" "10.9.8.7 10.9.8.7"; do
		grep -qxF "$line" <<<"$output" || { echo "not there: $line"; echo "$output"; return 1; }
	done
	[ "$(grep -c '^two.test 192' <<<"$output")" -eq 2 ]
	run -0 resolving "$LODGE" run --net user net.exe whose 192.0.2.7 192.0.2.8 192.0.2.9 127.0.0.1 10.0.2.15
	output=${output//$'\r'/}
	for line in "192.0.2.7 is seven.test (0)" "192.0.2.7 by name only: seven.test (0)" \
		"192.0.2.7 by address: seven.test (0)" "192.0.2.8 is 192.0.2.8 (0)" \
		"192.0.2.8 by name only:  (11001)" "192.0.2.9 is 192.0.2.9 (0)" \
		"192.0.2.9 by address:  (11001)" "127.0.0.1 is localhost (0)" "10.0.2.15 is lodge (0)"; do
		grep -qxF "$line" <<<"$output" || { echo "not there: $line"; echo "$output"; return 1; }
	done
}

@test "what it is told of its network" {
	run -0 net tables
	[ "$output" = 'interfaces 2
adapter 2 type 6 hardware 6
 address 10.0.2.15
 resolver 10.0.2.3
 gateway 10.0.2.2
adapter 1 type 24 hardware 0
 address ::1
 address 127.0.0.1
info 10.0.2.15 255.255.255.0 10.0.2.2
asks 10.0.2.3
best: 0 2
route by 10.0.2.2
route from 10.0.2.15' ]
}

@test "published ports, in the foreground and kept; a port in use is told" {
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	"$LODGE" run --net user -p "$port:80" net.exe serve 80 >said 3>&- &
	pid=$!
	for _ in $(seq 100); do grep -q listens said && break; sleep 0.05; done
	[ "$(fetch "$port")" = "from the guest" ]
	run -125 "$LODGE" run --net user -p "$port:80" net.exe serve 80
	[[ "$output" == *"$port"* ]]
	children=$(pgrep -P $pid)
	kill -TERM $pid
	wait $pid || [ $? -eq 143 ]
	for child in $children; do [ ! -d "/proc/$child" ]; done
	"$LODGE" run -d --name web --net user -p "$port:80" net.exe serve 80
	for _ in $(seq 100); do "$LODGE" logs web | grep -q listens && break; sleep 0.05; done
	[ "$(fetch "$port")" = "from the guest" ]
	[[ "$("$LODGE" port web)" == *"$port"* ]]
	"$LODGE" pause web
	"$LODGE" resume web
	[ "$(fetch "$port")" = "from the guest" ]
	"$LODGE" restart web
	for _ in $(seq 100); do [ "$(fetch "$port" 2>/dev/null)" = "from the guest" ] && break; sleep 0.05; done
	[ "$(fetch "$port")" = "from the guest" ]
	kill -9 "$("$LODGE" inspect web | sed -n 's/.*"pid":\([0-9]*\).*/\1/p' | head -n 1)"
	for _ in $(seq 50); do pgrep -x lodge-net >/dev/null || break; sleep 0.1; done
	run fetch "$port"
	[ "$status" -ne 0 ]
}

@test "an ordinary user" {
	[ "$(id -u)" -eq 0 ] || skip "not root: that is what all of this was"
	setpriv --reuid=65534 --regid=65534 --clear-groups test -w /dev/net/tun || skip "/dev/net/tun is root's"
	run -0 setpriv --reuid=65534 --regid=65534 --clear-groups "$LODGE" run --net user \
		-v "$T/in:D:\\" net.exe tcp 10.0.2.2 "$PORT"
	[[ "$output" == *"heard the host has hello"* ]]
}
