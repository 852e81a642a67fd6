# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests of guests have in common; they source this.

# Lodge of this tree, and an empty home of the file's own; images come from the user's cache.
home_make() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export LODGE=$PWD/build/lodge T=$BATS_FILE_TMPDIR
	export XDG_CACHE_HOME=${XDG_CACHE_HOME:-$HOME/.cache}
	export XDG_DATA_HOME=$T/data XDG_RUNTIME_DIR=$T/run
	mkdir -p -m 700 "$XDG_RUNTIME_DIR"
}

image_pull() { # IMAGE
	"$LODGE" pull "$1" >"$BATS_FILE_TMPDIR/pull.log" 2>&1 || {
		cat "$BATS_FILE_TMPDIR/pull.log" >&2
		return 1
	}
}

guests_remove() { # [SIDE]: all of them; SIDE runs Lodge with another home
	local name
	for name in $("${1:-$LODGE}" ls -aq); do "${1:-$LODGE}" rm -f "$name" >/dev/null 2>&1 || true; done
}

try() { output=$("$@" 2>&1) && status=0 || status=$?; }
state() { "$LODGE" ls -a | awk -v n="$1" '$1 == n { print $2 }'; }
keeper_pid() { "$LODGE" inspect "$1" | sed -n 's/^ *"pid":\([0-9]*\),*/\1/p'; }
stat_of() { "$LODGE" stats "$1" | awk -v k="$2" '$1 == k { print $2 }'; } # NAME KEY
lines_of() { "$LODGE" logs "$1" | wc -l; }

# said NAME TEXT: until it has printed a line like that
said() {
	for _ in $(seq 400); do
		! "$LODGE" logs "$1" | grep -q "$2" || return 0
		sleep 0.05
	done
	"$LODGE" logs "$1"
	return 1
}

# rounds NAME N: until it has printed N lines more; none of what it prints is wrong
rounds() {
	local from
	from=$(lines_of "$1")
	for _ in $(seq 300); do
		! "$LODGE" logs "$1" | grep -A 20 wrong || return 1
		[ "$(lines_of "$1")" -lt $((from + $2)) ] || return 0
		sleep 0.05
	done
	"$LODGE" ls -a
	return 1
}
