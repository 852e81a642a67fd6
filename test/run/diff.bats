#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# lodge diff, with docker's letters, and lodge port, with docker's arrows.
source "$BATS_TEST_DIRNAME/container.sh"

setup() {
	home_begin
	shell_pull
}

teardown() { home_end; }

@test "diff: added, changed, deleted, while it runs and when it does not" {
	[ "$(id -u)" = 0 ] || skip "containers are made as root here"
	start_sh one 'ls -A / >/dev/null; rm -rf /kept; mv /etc/passwd /etc/moved; echo x >/new; mkdir -p /d/e; echo y >/d/e/f; echo up; while :; do sleep 0.1; done' -w /
	said one up
	[ "$(lodge diff one)" = "A /d
A /d/e
A /d/e/f
C /etc
A /etc/moved
D /etc/passwd
D /kept
A /new" ]
	# what was made and is gone again is no change
	lodge exec one -- sh -c 'rm /new /etc/moved; rm -r /d; mkdir -p /kept/own'
	[ "$(lodge diff one)" = "C /etc
D /etc/passwd
C /kept
A /kept/own" ]
	lodge stop -t 1 one
	[ "$(lodge diff one | tail -n 1)" = "A /kept/own" ]
	# a folder in the place of a folder hides what was in it
	python3 "$MAKE" people "$DIR/people"
	lodge pull -q "$DIR/people" --as people
	lodge run -d --name folk --net none -v /usr:/usr:ro people -c 'rm -r /home/ann; mkdir /home/ann; echo >/home/ann/other; echo up; while :; do sleep 0.1; done' 3>&-
	said folk up
	lodge diff folk
	[ "$(lodge diff folk | grep home)" = "C /home
C /home/ann
D /home/ann/own
A /home/ann/other" ]
	start_sh two 'echo up; while :; do sleep 0.1; done'
	said two up
	[ -z "$(lodge diff two | grep -v '^C /etc$\|^A /usr$\|^C /usr$')" ]
	lodge exec two -- sh -c 'printf x >"/a$(printf "\033")b"'
	lodge diff two | grep -qx 'A /a\\x1bb'
}

@test "diff: a folder as root and other guests are refused, with the reason" {
	mkdir -p "$DIR/r/bin"
	lodge create --name r "$DIR/r"
	try lodge diff r
	[ "$status" -eq 125 ]
	[[ $output == *"its root is a folder"* ]]
	lodge create --name m demo
	try lodge diff m
	[ "$status" -eq 125 ]
	[[ $output == *"of the level machine"* ]]
}

@test "port: what runs and publishes, as docker writes it" {
	lodge run -d --name web --rm -p 127.0.0.1:18080:80 -p 18053:53/udp demo 3>&-
	[ "$(lodge port web)" = "80/tcp -> 127.0.0.1:18080
53/udp -> 127.0.0.1:18053" ]
	[ "$(lodge port web 80)" = 127.0.0.1:18080 ]
	[ "$(lodge port web 80/tcp)" = 127.0.0.1:18080 ]
	[ "$(lodge port web 53/udp)" = 127.0.0.1:18053 ]
	for none in 53 8 81 80/udp; do
		try lodge port web $none
		[ "$status" -eq 125 ]
		[[ $output == *"publishes no port $none"* ]]
	done
	lodge kill web
	lodge create --name off -p 18081:80 demo
	[ -z "$(lodge port off)" ]
}
