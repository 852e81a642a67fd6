# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests of containers have in common; they source this. Everything of Lodge's is below $DIR.
source "$BATS_TEST_DIRNAME/guests.sh"

home_begin() {
	DIR=$(mktemp -d /tmp/lodge-bats-XXXXXX)
	mkdir -m 700 "$DIR/run"
	export XDG_DATA_HOME=$DIR/data XDG_RUNTIME_DIR=$DIR/run XDG_CACHE_HOME=$DIR/cache
	export XDG_CONFIG_HOME=$DIR/config
	unset "${!LODGE_@}" 2>/dev/null || true
	export LODGE="$BATS_TEST_DIRNAME/../../build/lodge"
	MAKE="$BATS_TEST_DIRNAME/image/images.py"
	[ -d /usr/lib64 ] || [ -L /lib64 ] || skip "/usr of this host is not all of it"
}

# The image that the tests run: a few links and files, whose programs are the host's, by -v /usr:/usr:ro.
shell_pull() {
	python3 "$MAKE" shell "$DIR/shell"
	lodge pull -q "$DIR/shell" --as shell
}

home_end() {
	[ -n "${DIR:-}" ] || return 0
	for name in $(lodge ls -aq 2>/dev/null); do lodge rm -f "$name" >/dev/null 2>&1 || true; done
	nothing_left "$XDG_DATA_HOME/lodge"
	! grep "$DIR" /proc/self/mountinfo
	cd /
	rm -rf "$DIR"
}

# FOLDER: nothing of any container is left in it
nothing_left() {
	for _ in $(seq 100); do
		[ -n "$(ls -A "$1/containers" 2>/dev/null)" ] || break
		sleep 0.1
	done
	[ -z "$(ls -A "$1/containers" 2>/dev/null)" ]
	[ -z "$(ls -A "$1/images/guests" 2>/dev/null)" ]
}

lodge() { timeout 60 "$LODGE" "$@"; }
# NAME COMMAND [OPTION...]
start_sh() { lodge run -d --name "$1" --net none -v /usr:/usr:ro "${@:3}" shell -c "$2" 3>&-; }
run_sh() { lodge run --net none -v /usr:/usr:ro "${@:2}" shell -c "$1"; }
as_nobody() {
	setpriv --reuid=65534 --regid=65534 --clear-groups env XDG_DATA_HOME="$DIR/nobody/data" \
		XDG_RUNTIME_DIR="$DIR/nobody" HOME="$DIR/nobody" "$@"
}
# NAME KEY.KEY...: of what inspect says
field() { lodge inspect "$1" | python3 -c 'import json, sys; o = json.load(sys.stdin)
o = o[0] if isinstance(o, list) else o
for k in sys.argv[1].split("."): o = o[k]
print(o)' "$2"; }
