#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Volumes: folders with a name, which outlive the guests that have them. The image "people" has files
# of several users; its programs are the host's, by -v /usr:/usr:ro.

source "$BATS_TEST_DIRNAME/container.sh"

setup() {
	home_begin
	python3 "$MAKE" people "$DIR/people"
	[ "$(id -u)" != 0 ] || lodge pull -q "$DIR/people" --as people
}

teardown() { home_end; }

image_sh() { lodge run --net none -v /usr:/usr:ro "${@:2}" people -c "$1"; }
need_root() { [ "$(id -u)" = 0 ] || skip "is not root: files of the image have no owners"; }

@test "a volume is made when it is named, begins with what the image has there, and stays" {
	need_root
	[ "$(image_sh 'stat -c %u:%g:%a /home/ann/own; echo more >/home/more; ls /home' --user 0 -v v:/home)" = "$(image_sh \
		'stat -c %u:%g:%a /home/ann/own; echo more >/home/more; ls /home' --user 0)" ]
	[ "$(image_sh 'stat -c %u:%g /home/ann; cat /home/more' --user 0 -v v:/home:ro)" = "1000:1001
more" ]
	try image_sh 'echo x >/home/more' --user 0 -v v:/home:ro
	[[ $output == *"Read-only file system"* ]]
	image_sh 'rm -r /home/ann' --user 0 -v v:/home
	[ "$(image_sh 'ls /home' --user 0 -v v:/home)" = more ] # it has something: nothing is copied
	[ "$(image_sh 'ls /new; echo a >/new/a; ls /new' --user 0 -v new:/new)" = a ]
	[ "$(lodge volume ls -q)" = "new
v" ]
	[ "$(cat "$(lodge volume inspect new | sed -n 's/.*"path":"\(.*\)",/\1/p')/a")" = a ]
}

@test "a copy that was interrupted is made again" {
	need_root
	lodge volume create v
	v=$XDG_DATA_HOME/lodge/volumes/v/data
	mkdir -p "$v/ann/part"
	touch "$v/.lodge-filling"
	[ "$(image_sh 'cat /home/ann/own; ls -A /home' --user 0 -v v:/home)" = "own
ann" ]
	[ -z "$(ls -A "$v/ann" | grep part)" ]
	mkdir "$XDG_DATA_HOME/lodge/volumes/.old.gone" # rm was killed
	[ "$(lodge volume ls -q)" = v ]
	[ ! -e "$XDG_DATA_HOME/lodge/volumes/.old.gone" ]
}

@test "with ids of its own, a container has its volumes as its own; another one sees the same" {
	need_root
	image_sh 'cat /home/ann/own; stat -c %u:%g /home/ann/own; echo x >/home/ann/new; chown 33 /home/ann/new' \
		--user 0 --userns auto -v v:/home >"$DIR/out" || { cat "$DIR/out"; false; }
	[ "$(cat "$DIR/out")" = "own
1000:1001" ]
	[ "$(image_sh 'stat -c %u /home/ann /home/ann/new' --user 0 -v v:/home)" = "1000
33" ]
}

@test "who has a volume keeps it: guests by their configuration, others while they run; prune takes the rest" {
	need_root
	lodge create --name g --net none -v /usr:/usr:ro -v a:/a people -c true
	image_sh 'touch /b/up; sleep 60' -v b:/b --user 0 &
	pid=$!
	b=$XDG_DATA_HOME/lodge/volumes/b
	for _ in $(seq 200); do [ -e "$b/data/up" ] && break || sleep 0.05; done
	lodge volume create c d
	try lodge volume rm a
	[ "$status" -ne 0 ]
	[[ $output == *"guest g"* ]]
	try lodge volume rm b
	[ "$status" -ne 0 ]
	[[ $output == *"used by process"* ]]
	[ "$(lodge volume rm d)" = d ]
	[ "$(lodge volume prune -f)" = c ]
	lodge volume ls | grep -E '^a .* g *$'
	lodge volume ls --format json | python3 -c 'import json, sys
a, b = json.load(sys.stdin)
assert a["guests"] == ["g"] and not a["processes"] and len(b["processes"]) == 1, (a, b)'
	kill -9 "$(ls "$b/uses")"
	wait "$pid" || true
	lodge rm g
	[ "$(lodge volume prune --force)" = "a
b" ]
	[ -z "$(ls -A "$XDG_DATA_HOME/lodge/volumes")" ]
}

@test "other levels have them, too" {
	mkdir -p "$DIR/w"
	cat >"$DIR/w/w.c" <<'END'
#include <stdio.h>
int main(int n, char **a)
{
	FILE *f = fopen(a[1], "a+");
	fprintf(f, "line\n");
	rewind(f);
	for (int c; (c = getc(f)) != EOF;)
		putchar(c);
}
END
	clang --target=wasm32-wasi -O1 "$DIR/w/w.c" -o "$DIR/w/w.wasm"
	x86_64-w64-mingw32-gcc -O1 "$DIR/w/w.c" -o "$DIR/w/w.exe"
	[ "$(lodge run -v both:/v "$DIR/w/w.wasm" /v/f)" = line ]
	[ "$(lodge run -v 'both:C:\v' "$DIR/w/w.exe" 'C:\v\f' | tr -d '\r' | grep -c line)" = 2 ]
	[ "$(lodge volume ls -q)" = both ]
	try lodge run -v 'bad name:/v' "$DIR/w/w.wasm" /v/f
	[ "$status" -ne 0 ]
}

@test "what cannot be: names, volumes that are not there, a word too many" {
	for name in .x a/b '' "$(printf 'x%.0s' $(seq 64))"; do
		try lodge volume create "$name"
		[ "$status" -ne 0 ]
		[[ $output == *"cannot be the name"* ]]
	done
	try lodge volume rm none
	[ "$status" -ne 0 ]
	[[ $output == *"no volume 'none'"* ]]
	[ "$(lodge volume rm -f none)" = none ]
	try lodge volume inspect none
	[ "$status" -ne 0 ]
	try lodge volume prune
	[ "$status" -ne 0 ]
	[[ $output == *--force* ]]
	[[ $(lodge volume create) =~ ^[0-9a-f]{16}$ ]]
	! ls "$XDG_DATA_HOME"/lodge/volumes/.[!.]* 2>/dev/null
}
