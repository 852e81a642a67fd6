#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A program of Debian's python3 for riscv64 under a keeper, through all verbs: threads, queue, locks,
# files, a pipe and a nonce in memory (process/keeps.py). Skipped where Debian's packages cannot be had.

bats_require_minimum_version 1.5.0 # run -CODE
source "$BATS_TEST_DIRNAME/guests.sh"

setup_file() {
	home_make
	export CACHE=$XDG_CACHE_HOME/lodge ROOT=$XDG_CACHE_HOME/lodge/debian-13-riscv64/python
	mkdir "$T/in"
	cp test/run/process/keeps.py "$T/in"
	sh guest/fetch/debian.sh root --cache "$CACHE" --add "python3-minimal libpython3-stdlib" --out "$ROOT" \
		>"$T/fetch.log" 2>&1 || skip "no python3 for riscv64: $(grep -m 1 -A 1 error "$T/fetch.log")"
}

setup() { python one; }
teardown() {
	guests_remove
	rm -f "$T"/in/one.*
}

# python NAME: the program runs, and has a nonce
python() {
	"$LODGE" run -d --name "$1" --root "$ROOT" -v "$T/in:/mnt" -w /mnt python3 keeps.py "$1" >/dev/null
	rounds "$1" 2
	nonce=$(last "$1")
	nonce=${nonce#* }
}

last() { "$LODGE" logs "$1" | tail -n 1; }

# whole NAME [AT FROM]: what it has printed is numbered without a gap, but for one step back to AT, behind
# line FROM; the nonce stays. Its records are numbered without a gap, too.
whole() {
	"$LODGE" logs "$1" | awk -v nonce="$nonce" -v at="${2:-0}" -v from="${3:-0}" '
		NR == 1 { n = $1 - 1 }
		from && NR == from + 1 { n = at }
		$1 != ++n || $2 != nonce { print "gap:", NR, $0; bad = 1; exit }
		END { exit bad }'
	awk -v nonce="$nonce" '$1 + 0 != NR || $2 != nonce { print "record:", NR, $0; bad = 1; exit } END { exit bad }' \
		"$T/in/one.records"
	[ "$("$LODGE" ls -aq | wc -l)" = 1 ] || return 0 # a clone appends to the same file
	awk -v nonce="$nonce" 'NR > 1 && $1 > n + 1 || $2 != nonce { print "append:", NR, $0; bad = 1; exit }
		{ n = $1 } END { exit bad }' "$T/in/one.append"
}

# still NAME: it is paused, and all that it has said is in its log
still() {
	local was
	"$LODGE" pause "$1"
	while was=$(last "$1"); do
		sleep 0.1
		[ "$was" != "$(last "$1")" ] || break
	done
}

@test "pause, suspend, resume: the nonce stays, no round is lost or made twice" {
	for verb in pause suspend pause suspend suspend; do
		"$LODGE" $verb one
		[ $verb = pause ] || [ -z "$(pgrep -f "$T/in:/mnt")" ]
		"$LODGE" resume one
		rounds one 3
		whole one
	done
}

@test "snapshot, clone and restore: it goes on where it was" {
	still one
	at=$(last one)
	"$LODGE" snapshot create one s1
	"$LODGE" resume one
	rounds one 5
	whole one
	"$LODGE" clone -s s1 one two
	rounds two 3
	[ "$("$LODGE" logs two | head -n 1)" = "$((${at% *} + 1)) $nonce" ]
	whole two
	rounds one 2
	"$LODGE" kill one
	from=$("$LODGE" logs one | wc -l)
	"$LODGE" restore one s1
	rounds one 3
	"$LODGE" kill two
	whole one "${at% *}" "$from"
}

@test "backup and restore: it goes on as another guest" {
	still one
	at=$(last one)
	"$LODGE" backup -o "$T/one.backup" one
	"$LODGE" rm -f one
	try=$("$LODGE" restore --from "$T/one.backup" two 2>&1) && return 1
	[[ "$try" == *--trust* ]]
	"$LODGE" restore --from "$T/one.backup" --trust two
	"$LODGE" ls -a | grep suspended
	"$LODGE" resume two
	rounds two 3
	[ "$("$LODGE" logs two | head -n 1)" = "$((${at% *} + 1)) $nonce" ]
	whole two
}

@test "30 rounds of random verbs" {
	echo "seed ${LODGE_SEED:=$RANDOM}"
	RANDOM=$LODGE_SEED
	a=one b=two
	for i in $(seq "${LODGE_PYTHON_ROUNDS:-30}"); do
		verb=$((RANDOM % 6))
		echo "round $i: $verb, $a"
		case $verb in
		0) "$LODGE" pause $a && "$LODGE" resume $a ;;
		1 | 2) "$LODGE" suspend $a && "$LODGE" resume $a ;;
		3) "$LODGE" pause $a && "$LODGE" suspend $a && "$LODGE" start $a ;;
		4) "$LODGE" snapshot create $a "s$i" && "$LODGE" snapshot rm $a "s$i" ;;
		5) # it goes on as its clone
			still $a
			at=$(last $a)
			"$LODGE" clone $a $b && "$LODGE" rm -f $a
			rounds $b 1
			[ "$("$LODGE" logs $b | head -n 1)" = "$((${at% *} + 1)) $nonce" ]
			c=$a a=$b b=$c ;;
		esac
		rounds $a 1
		whole $a
	done
}
