#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Networks of containers by a bridge: all of it in two network namespaces of the test's own, one of
# which plays this host and one the world behind it, which knows no way to the containers.

source "$BATS_TEST_DIRNAME/container.sh"

setup() {
	[ "$(id -u)" = 0 ] || skip "bridges are root's"
	home_begin
	unshare -n sleep 1000 3>&- &
	HOST=$!
	unshare -n sleep 1000 3>&- &
	WORLD=$!
	for p in $HOST $WORLD; do
		for _ in $(seq 100); do
			[ "$(readlink /proc/$p/ns/net)" = "$(readlink /proc/self/ns/net)" ] || break
			sleep 0.02
		done
	done
	at $HOST ip link add out type veth peer name in netns $WORLD || skip "no pairs of interfaces"
	for p in $HOST $WORLD; do at $p ip link set lo up; done
	at $HOST ip addr add 192.0.2.1/24 dev out
	at $HOST ip link set out up
	at $WORLD ip addr add 192.0.2.2/24 dev in
	at $WORLD ip link set in up
	shell_pull
	cat >"$DIR/get" <<-'END'
		import sys, urllib.request
		print(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode().strip())
	END
	cat >"$DIR/serve" <<-'END'
		import http.server, sys
		class H(http.server.BaseHTTPRequestHandler):
		    def do_GET(self):
		        self.send_response(200)
		        self.end_headers()
		        self.wfile.write((sys.argv[2] + " " + self.client_address[0]).encode())
		    def log_message(self, *a): pass
		s = http.server.ThreadingHTTPServer(("", int(sys.argv[1])), H)
		print("up", flush=True)
		s.serve_forever()
	END
	# how many tables nf_tables has: a dump of NFT_MSG_GETTABLE
	cat >"$DIR/tables" <<-'END'
		import socket, struct
		s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
		s.bind((0, 0))
		s.send(struct.pack("=IHHIIBBH", 20, 0xa01, 0x301, 1, 0, 2, 0, 0))
		n, end = 0, False
		while not end:
		    d = s.recv(65536)
		    while d:
		        size, kind = struct.unpack_from("=IH", d)
		        n += kind == 0xa00
		        end |= kind in (2, 3)
		        d = d[(size + 3) & ~3:]
		print(n)
	END
}

teardown() {
	[ -n "${DIR:-}" ] || return 0
	for name in $(lodge ls -aq 2>/dev/null); do lodge rm -f "$name" >/dev/null 2>&1 || true; done
	# nothing of any container is left: folder, mount, interface, rule, address
	nothing || { left; false; }
	kill $HOST $WORLD
	rm -rf "$DIR"
}

at() { nsenter --net=/proc/$1/ns/net "${@:2}"; }
lodge() { at $HOST timeout 60 "$LODGE" "$@"; }
# NAME NETWORK COMMAND [OPTION...]
start_sh() { lodge run -d --name "$1" --net "$2" -v /usr:/usr:ro -v "$DIR:/dir:ro" "${@:4}" shell -c "$3" 3>&-; }
run_sh() { lodge run --net "$1" -v /usr:/usr:ro -v "$DIR:/dir:ro" "${@:3}" shell -c "$2"; }
left() {
	at $HOST ip -o link | grep -E 'lodge-|lv[0-9a-f]{12}'
	at $HOST python3 "$DIR/tables" | grep -v '^0$'
	ls "$XDG_DATA_HOME"/lodge/networks/*/leases "$XDG_DATA_HOME"/lodge/containers 2>/dev/null | grep '^[0-9]'
}
nothing() {
	for _ in $(seq 40); do
		[ -n "$(left)" ] || return 0
		sleep 0.05
	done
	return 1
}
address() { lodge inspect "$1" | python3 -c 'import json, sys
o = json.load(sys.stdin)
o = o[0] if isinstance(o, list) else o
print(o["container"]["network"]["address"])'; }

@test "containers reach each other by address and name; names come and go" {
	start_sh web bridge 'exec python3 /dir/serve 80 web' --hostname site
	said web up
	[ "$(address web)" = 10.78.0.2 ]
	[ "$(run_sh bridge 'python3 /dir/get http://web/; python3 /dir/get http://site/; python3 /dir/get http://10.78.0.2/; hostname -i')" = "web 10.78.0.3
web 10.78.0.3
web 10.78.0.3
10.78.0.3" ]
	start_sh other bridge 'sleep 60'
	[ "$(lodge exec web grep other /etc/hosts | cut -f1)" = 10.78.0.3 ]
	[ "$(lodge exec other python3 /dir/get http://web/)" = "web 10.78.0.3" ]
	lodge rm -f other
	[ -z "$(lodge exec web grep other /etc/hosts)" ]
	[ "$(lodge exec web sed 's/ [0-9a-f]*$//' /etc/hosts)" = "127.0.0.1	localhost
::1	localhost
10.78.0.2	site web" ]
	lodge restart -t 0 web 3>&-
	said web up
	[ "$(run_sh bridge 'python3 /dir/get http://web/')" = "web 10.78.0.3" ]
	lodge stop -t 0 web
	nothing
}

@test "out by the host's address; ports of the host, of all its addresses or of one, lead in" {
	at $WORLD python3 "$DIR/serve" 80 world >"$DIR/up" 3>&- &
	SERVER=$!
	for _ in $(seq 200); do ! grep -q up "$DIR/up" || break; sleep 0.05; done
	start_sh web bridge 'python3 /dir/serve 81 udp-side & exec python3 /dir/serve 80 web' \
		-p 0.0.0.0:8080:80 -p 8081:80 -p 192.0.2.1:8082:81
	said web up
	sleep 0.2
	[ "$(run_sh bridge 'python3 /dir/get http://192.0.2.2/')" = "world 192.0.2.1" ]
	[ "$(at $WORLD python3 "$DIR/get" http://192.0.2.1:8080/)" = "web 192.0.2.2" ]
	[ "$(at $WORLD python3 "$DIR/get" http://192.0.2.1:8082/)" = "udp-side 192.0.2.2" ]
	try at $WORLD python3 "$DIR/get" http://192.0.2.1:8081/
	[ "$status" -ne 0 ]
	[ "$(at $HOST python3 "$DIR/get" http://127.0.0.1:8080/)" = "web 10.78.0.1" ]
	[ "$(at $HOST python3 "$DIR/get" http://127.0.0.1:8081/)" = "web 10.78.0.1" ]
	[ "$(at $HOST python3 "$DIR/get" http://192.0.2.1:8080/ | cut -d' ' -f1)" = web ]
	# by way of the host, from beside it and from itself
	[ "$(run_sh bridge 'python3 /dir/get http://192.0.2.1:8080/')" = "web 10.78.0.1" ]
	[ "$(lodge exec web python3 /dir/get http://192.0.2.1:8080/)" = "web 10.78.0.1" ]
	try start_sh two bridge true -p 8081:80
	[ "$status" -eq 125 ]
	[[ $output == *8081*"in use"* ]]
	lodge rm -f web
	nothing
	try at $WORLD python3 "$DIR/get" http://192.0.2.1:8080/
	[ "$status" -ne 0 ]
	at $HOST python3 -c 'import socket; socket.socket().bind(("0.0.0.0", 8080))'
	kill $SERVER
}

@test "the host's loopback is not reached by way of the bridge" {
	at $HOST python3 "$DIR/serve" 80 secret >"$DIR/up" 3>&- &
	SERVER=$!
	for _ in $(seq 200); do ! grep -q up "$DIR/up" || break; sleep 0.05; done
	[ "$(run_sh bridge 'python3 /dir/get http://10.78.0.1/')" = "secret 10.78.0.2" ]
	try run_sh bridge 'ip link set lo down; ip route add 127.0.0.1 via 10.78.0.1; echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet
		timeout 3 python3 /dir/get http://127.0.0.1/' --cap-add net_admin
	[ "$status" -ne 0 ]
	[[ $output != *secret* ]]
	kill $SERVER
}

@test "kill -9 of the keeper, or of lodge in the foreground: nothing stays" {
	start_sh web bridge 'exec python3 /dir/serve 80 web' -p 8080:80
	said web up
	kill -9 "$(lodge inspect web | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' | head -1)"
	pkill -9 -f -- "$DIR/data/lodge/instances/web" || true
	nothing
	for all in no yes; do
		nsenter --net=/proc/$HOST/ns/net "$LODGE" run --net bridge -v /usr:/usr:ro \
			-v "$DIR:/dir:ro" shell -c 'echo up; sleep 50' >"$DIR/out" 2>/dev/null 3>&- &
		pid=$!
		for _ in $(seq 200); do ! grep -q up "$DIR/out" || break; sleep 0.05; done
		if [ $all = yes ]; then # its warden too: the next run does it
			pkill -9 -f "^$LODGE run --net bridge.*$DIR"
			[ -n "$(left)" ]
			run_sh bridge true
		else
			kill -9 "$pid"
		fi
		nothing
	done
}

@test "networks of one's own: made, listed, apart from each other, removed" {
	[ "$(lodge network create back --subnet 10.9.8.0/29)" = back ]
	lodge network create front
	[ "$(lodge network ls -q)" = "back
front" ]
	try lodge network create back
	[ "$status" -eq 125 ]
	[[ $output == *already* ]]
	try lodge network create third --subnet 10.9.8.0/24
	[[ $output == *back* ]]
	try lodge network create third --subnet 192.0.2.128/25
	[[ $output == *"the host"* ]]
	for bad in 10.9.7.1/24 10.9.7.0 10.9.7.0/31 300.0.0.0/24; do
		try lodge network create third --subnet "$bad"
		[ "$status" -eq 125 ]
	done
	try lodge network create none
	[ "$status" -eq 125 ]
	start_sh a back 'exec python3 /dir/serve 80 a'
	said a up
	[ "$(address a)" = 10.9.8.2 ]
	[ "$(lodge network inspect back | python3 -c 'import json, sys
o = json.load(sys.stdin)
print(o["subnet"], o["gateway"], [(m["address"], m["guest"]) for m in o["members"]])')" = "10.9.8.0/29 10.9.8.1 [('10.9.8.2', 'a')]" ]
	[ "$(run_sh back 'python3 /dir/get http://a/')" = "a 10.9.8.3" ]
	try run_sh front 'python3 /dir/get http://a/'
	[ "$status" -ne 0 ]
	try lodge network rm back
	[ "$status" -eq 125 ]
	[[ $output == *"1 container is in"* ]]
	for i in 3 4 5 6; do start_sh n$i back 'sleep 60'; done
	try start_sh full back true
	[ "$status" -eq 125 ]
	[[ $output == *"no address left"* ]]
	for n in a n3 n4 n5 n6; do lodge rm -f $n; done
	lodge network rm back front
	[ -z "$(lodge network ls -q)" ]
	try run_sh back true
	[ "$status" -eq 127 ]
	[[ $output == *"no network 'back'"* ]]
}

@test "ten at once have ten addresses; without rights it is said so" {
	for i in $(seq 10); do run_sh bridge 'hostname -i; sleep 1' >"$DIR/ip$i" & done
	wait $(jobs -p | grep -vxE "$HOST|$WORLD")
	[ "$(cat "$DIR"/ip* | sort -u | wc -l)" = 10 ]
	nothing
	mkdir -m 700 "$DIR/nobody"
	chown 65534:65534 "$DIR/nobody"
	chmod 755 "$DIR"
	as_nobody() {
		setpriv --reuid=65534 --regid=65534 --clear-groups env XDG_DATA_HOME="$DIR/nobody/data" \
			XDG_RUNTIME_DIR="$DIR/nobody" HOME="$DIR/nobody" "$@"
	}
	as_nobody unshare -Urm true 2>/dev/null || skip "the kernel gives users no namespaces"
	as_nobody test -x "$LODGE" || skip "another user cannot run $LODGE from here"
	as_nobody "$LODGE" pull -q "$DIR/shell" --as shell
	try as_nobody "$LODGE" run --net bridge -v /usr:/usr:ro --user 0 shell -c true
	[ "$status" -eq 125 ]
	[[ $output == *"are root's; --net user"* ]]
}
