#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Backups: full and incremental, of a guest that runs and of one that does not, damaged and cut short.
bats_require_minimum_version 1.5.0
source "$BATS_TEST_DIRNAME/guests.sh"

setup_file() {
	home_make
	export WORK=$BATS_FILE_TMPDIR
	image_pull debian-small
	"$LODGE" run -d --name g -m 160M --disk 64M debian-small
	"$LODGE" exec --wait 2m g sh -c 'head -c 32 /dev/urandom >/nonce
		head -c 8000000 /dev/urandom | dd of=/dev/vda bs=1M 2>/dev/null; sync' </dev/null
}

teardown_file() {
	"$LODGE" rm -f g r full inc two still >/dev/null 2>&1 || true
}

ask() { "$LODGE" exec --wait 60s "$1" sh -c "$2" </dev/null; }
what() { ask "$1" 'cat /nonce /dev/vda /marks 2>/dev/null | sha256sum'; }

@test "full and incremental backups of a running guest" {
	first=$(what g)
	"$LODGE" backup g -o "$WORK/a"
	[ "$(state g)" = running ]
	ask g 'echo 1 >>/marks; head -c 9000 /dev/urandom | dd of=/dev/vda bs=1000 seek=5000 conv=notrunc 2>/dev/null; sync'
	second=$(what g)
	"$LODGE" backup g -o "$WORK/b" --incremental "$WORK/a"
	ask g 'echo 2 >>/marks; dd if=/dev/zero of=/dev/vda bs=64k count=4 conv=notrunc 2>/dev/null; sync'
	third=$(what g)
	"$LODGE" backup g -i "$WORK/b" -o - >"$WORK/c"
	[ "$(stat -c %s "$WORK/c")" -lt "$(stat -c %s "$WORK/a")" ]
	[ "$("$LODGE" snapshot ls g | wc -l)" = 1 ] # nothing is left of the snapshots it took
	for n in 1 2 3; do
		case $n in
		1) set -- --from "$WORK/a" want="$first" ;;
		2) set -- --from "$WORK/a" --from "$WORK/b" want="$second" ;;
		3) set -- --from "$WORK/a" --from "$WORK/b" --from "$WORK/c" want="$third" ;;
		esac
		want=${!#}
		want=${want#want=}
		set -- "${@:1:$#-1}"
		[ "$("$LODGE" restore "$@" r)" = r ]
		[ "$(state r)" = suspended ]
		"$LODGE" start r
		[ "$(what r)" = "$want" ]
		"$LODGE" rm -f r
	done
	[ "$(what g)" = "$third" ]
}

@test "by a pipe; of a suspended guest, of a stopped one" {
	now=$(what g)
	"$LODGE" suspend g
	"$LODGE" backup g -o - | "$LODGE" restore --from - r
	[ "$(state g)" = suspended ]
	"$LODGE" start g
	"$LODGE" start r
	[ "$(what r)" = "$now" ]
	disk=$(ask r 'sync; sha256sum </dev/vda')
	"$LODGE" stop r
	"$LODGE" backup r -o "$WORK/stopped"
	"$LODGE" rm r
	"$LODGE" restore --from "$WORK/stopped"
	[ "$(state r)" = stopped ]
	"$LODGE" start r
	[ "$(ask r 'sha256sum </dev/vda')" = "$disk" ]
	[ -z "$(ask r 'cat /nonce 2>/dev/null' || true)" ]
	"$LODGE" rm -f r
}

@test "damaged, cut short, in the wrong order: refused, and nothing is left" {
	head -c 20000000 "$WORK/a" >"$WORK/short"
	cp "$WORK/a" "$WORK/bent"
	printf x | dd of="$WORK/bent" bs=1 seek=40000000 conv=notrunc 2>/dev/null
	for files in "--from $WORK/short" "--from $WORK/bent" "--from $WORK/b" \
		"--from $WORK/a --from $WORK/c" "--from $WORK/a --from $WORK/a" "--from /dev/null"; do
		# shellcheck disable=SC2086 # two words or more
		run "$LODGE" restore $files r
		[ "$status" -ne 0 ]
		[ -n "$output" ]
		[ -z "$(state r)" ]
	done
	run "$LODGE" backup g -o "$WORK/d" --incremental "$WORK/bent"
	[ "$status" -ne 0 ]
	[ ! -e "$WORK/d" ]
	[ ! -e "$WORK/d.partial" ]
	run "$LODGE" restore --from "$WORK/a" g
	[ "$status" -ne 0 ]
	echo "$output" | grep -q "exists already"
	[ "$(ls -A "$XDG_DATA_HOME/lodge/instances")" = g ]
}

@test "kill -9 and a full disk during a backup: the guest goes on, no half backup" {
	seed=${LODGE_TEST_SEED:-$$}
	now=$(what g)
	for i in $(seq 1 "${LODGE_KILLS:-6}"); do
		seed=$(((seed * 1103515245 + 12345) % 2147483648))
		rm -f "$WORK/k"
		"$LODGE" backup g -o "$WORK/k" >/dev/null 2>&1 3>&- &
		pid=$!
		sleep "0.$(printf %03d $((seed / 65536 % 900)))"
		kill -9 $pid 2>/dev/null || true
		wait $pid || true
		[ ! -e "$WORK/k" ] || {
			"$LODGE" restore --from "$WORK/k" r
			"$LODGE" rm -f r
		}
		[ "$(state g)" = running ]
	done
	[ "$(what g)" = "$now" ]
	[ "$(id -u)" = 0 ] || return 0
	mkdir -p "$WORK/full"
	mount -t tmpfs -o size=16M tmpfs "$WORK/full"
	run "$LODGE" backup g -o "$WORK/full/x"
	ls -A "$WORK/full" >"$WORK/left"
	umount "$WORK/full"
	[ "$status" -ne 0 ]
	echo "$output" | grep -q "No space left"
	[ ! -s "$WORK/left" ]
	[ "$(what g)" = "$now" ]
}
