#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Who is who in containers: ranges of /etc/subuid for users without rights, --userns and --uidmap for
# root. The image has files of several users (test/run/image/images.py people).

source "$BATS_TEST_DIRNAME/container.sh"

setup() {
	[ "$(id -u)" = 0 ] || skip "is not root, and so cannot become another user"
	home_begin
	python3 "$BATS_TEST_DIRNAME/image/images.py" people "$DIR/people"
}

teardown() {
	[ -n "${DIR:-}" ] || return 0
	nothing_left "$DIR/nobody/data/lodge"
	home_end
}

run_sh() { lodge run --net none -v /usr:/usr:ro "${@:2}" people -c "$1"; }
# As a user without rights, to whom /etc/subuid and /etc/subgid (of this command alone) give what
# the file subids says.
as_nobody() {
	unshare -m sh -euc 'mount --bind "$0/subids" /etc/subuid; mount --bind "$0/subids" /etc/subgid
		exec setpriv --reuid=65534 --regid=65534 --clear-groups env XDG_DATA_HOME="$0/nobody/data" \
			XDG_RUNTIME_DIR="$0/nobody" HOME="$0/nobody" timeout 60 "$@"' "$DIR" "$@"
}
nobody_sh() { as_nobody "$LODGE" run --net none -v /usr:/usr:ro "${@:2}" people -c "$1"; }
need_nobody() {
	mkdir -p "$DIR/nobody"
	chown 65534:65534 "$DIR/nobody"
	chmod 755 "$DIR"
	echo "$1" >"$DIR/subids"
	touch /etc/subuid /etc/subgid
	as_nobody unshare -Urm true 2>/dev/null || skip "the kernel gives users no namespaces"
	as_nobody test -x "$LODGE" || skip "another user cannot run $LODGE from here"
}

@test "without root, with a range of ids: files have their owners, chown and other users work" {
	[ -u /usr/bin/newuidmap ] || [ -n "$(getcap /usr/bin/newuidmap 2>/dev/null)" ] || skip "no newuidmap"
	need_nobody nobody:200000:65536
	try as_nobody "$LODGE" pull -q "$DIR/people" --as people
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output != *"belong to you"* ]]
	[ "$(nobody_sh 'stat -c %u:%g /home/ann /home/ann/own /web /top /etc/passwd 2>/dev/null')" = "1000:1001
1000:1001
33:33
0:0" ]
	[ "$(stat -c %u:%g "$DIR"/nobody/data/lodge/images/layers/*/fs/web)" = 200032:200032 ]
	[ "$(nobody_sh 'id -u; id -g; cat /home/ann/own; cat /web' -u ann 2>&1)" = "1000
1001
own
cat: /web: Permission denied" ]
	[ "$(nobody_sh 'chown 7:8 /web; stat -c %u:%g /web; python3 -c "import os; os.setgroups([5, 6]); os.setgid(33); os.setuid(33); print(os.getgroups(), os.getuid())"')" = "7:8
[5, 6] 33" ]
	try nobody_sh true -u 70000
	[ "$status" -eq 125 ]
	[[ $output == *"there are 65537 ids"* ]]
	as_nobody "$LODGE" run -d --name kept --net none -v /usr:/usr:ro people -c \
		'mkdir -m 700 /deep; touch /deep/f; chown -R 33:33 /deep; echo up; sleep 60' 3>&-
	for _ in $(seq 100); do ! as_nobody "$LODGE" logs kept | grep -q up || break; sleep 0.05; done
	[ "$(as_nobody "$LODGE" exec -u ann kept sh -c 'id -u; cat /home/ann/own')" = "1000
own" ]
	as_nobody "$LODGE" rm -f kept
	[ -z "$(ls -A "$DIR/nobody/data/lodge/instances" | grep -v '^\.')" ]
	as_nobody "$LODGE" ls -a >"$DIR/all" # which sweeps what was left
	as_nobody "$LODGE" rmi people
	[ -z "$(ls "$DIR/nobody/data/lodge/images/layers")" ]
}

@test "without a range there is root alone, and it is said" {
	need_nobody somebody-else:200000:65536
	try as_nobody "$LODGE" pull "$DIR/people" --as people
	[ "$status" -eq 0 ]
	[[ $output == *"3 files of other owners belong to you"* ]]
	[ "$(nobody_sh 'stat -c %u:%g /web; chown 7 /web 2>/dev/null || echo no')" = "0:0
no" ]
	try nobody_sh true -u ann
	[ "$status" -eq 125 ]
	[[ $output == *"no range of ids in /etc/subuid"*"--user 0"* ]]
	try nobody_sh true --userns auto
	[ "$status" -eq 125 ]
	[[ $output == *"are root's"* ]]
}

@test "root's containers with users of their own: auto, the same again for a guest, maps" {
	lodge pull -q "$DIR/people" --as people
	run_sh true --uidmap 0:300000:65536 2>"$DIR/err" || {
		! grep "idmapped mounts" "$DIR/err" || skip "no idmapped mounts here"
		cat "$DIR/err"
		false
	}
	[ "$(run_sh 'set -- $(cat /proc/self/uid_map); echo $1 $2 $3; stat -c %u:%g /web /home/ann /etc/group; touch /new; stat -c %u /new; cat /web' --uidmap 0:300000:65536)" = "0 300000 65536
33:33
1000:1001
0:0
0
w" ]
	[ "$(run_sh 'id -u; cat /home/ann/own; cat /proc/self/gid_map | tr -s " "' --userns auto:size=2048 -u ann)" = "1000
own
 0 1879048192 2048" ]
	run_sh 'cat /proc/self/uid_map; sleep 5' --userns auto >"$DIR/one" &
	for _ in $(seq 100); do [ ! -s "$DIR/one" ] || break; sleep 0.05; done
	run_sh 'cat /proc/self/uid_map' --userns auto >"$DIR/two"
	wait
	[ "$(awk '{ print $1, $2 }' "$DIR/one")" = "0 1879048192" ]
	[ "$(awk '{ print $1, $2 }' "$DIR/two")" = "0 1879113728" ]
	lodge create --name kept --userns auto --net none -v /usr:/usr:ro people \
		-c 'cat /proc/self/uid_map; touch /mine; chown 33 /mine; stat -c %u /mine'
	lodge start kept 3>&-
	lodge wait kept
	run_sh 'cat /proc/self/uid_map' --userns auto >"$DIR/two"
	[ "$(awk '{ print $2 }' "$DIR/two")" = 1879113728 ]
	lodge start kept 3>&-
	lodge wait kept
	[ "$(lodge logs kept | tr -s ' ')" = " 0 1879048192 65536
33" ] || [ "$(lodge logs kept | tr -s ' ' | sort -u)" = " 0 1879048192 65536
33" ]
	for bad in keep-id nomap nonsense auto:size=5; do
		try run_sh true --userns $bad
		[ "$status" -eq 125 ]
	done
	for bad in 18446744073709551615:0:1 0 0:1:0 5:6:7 0:4294967295:2; do
		try run_sh true --uidmap $bad
		[ "$status" -eq 125 ]
	done
	try run_sh true --uidmap 0:1:5 --userns auto
	[[ $output == *"only one of them"* ]]
}

@test "users of their own with the user network and a root folder" {
	[ -w /dev/net/tun ] || skip "no /dev/net/tun"
	mkdir -p "$DIR/root/usr/bin" "$DIR/root/etc"
	for d in bin sbin lib lib64; do ln -s "usr/$d" "$DIR/root/$d"; done
	chmod 755 "$DIR" "$DIR/root"
	chown 33 "$DIR/root/etc"
	[ "$(lodge run --userns auto -v /usr:/usr:ro "$DIR/root" /bin/sh -c \
		'stat -c %u / /etc; touch /new; ls /sys/class/net | tr "\n" " "; ip -o -4 addr show eth0 | grep -o "10.0.2.15/24"')" = "0
33
eth0 lo 10.0.2.15/24" ]
	[ "$(stat -c %u "$DIR/root/new")" = 0 ]
}
