#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The command line from outside, on guests that need no network: LODGE=build/lodge bats test/run

setup_file() {
	export TOP="$BATS_TEST_DIRNAME/../.."
	export LODGE="${LODGE:-$TOP/build/lodge}"
}

setup() {
	HOME_DIR=$(mktemp -d /tmp/lodge-bats-XXXXXX)
	mkdir -m 700 "$HOME_DIR/run"
	export XDG_DATA_HOME=$HOME_DIR/data XDG_RUNTIME_DIR=$HOME_DIR/run
	export XDG_CACHE_HOME=$HOME_DIR/cache XDG_CONFIG_HOME=$HOME_DIR/config
	unset "${!LODGE_@}" 2>/dev/null || true
	export LODGE="$BATS_TEST_DIRNAME/../../build/lodge"
}

teardown() {
	for name in $("$LODGE" ls -a -q 2>/dev/null); do "$LODGE" rm -f "$name" >/dev/null || true; done
	rm -rf "$HOME_DIR"
}

lodge() { "$LODGE" "$@"; }
try() { output=$("$@" 2>&1) && status=0 || status=$?; }
instances() { echo "$XDG_DATA_HOME/lodge/instances"; }

# Wait until the console of $1 has shown $2.
shown() {
	for _ in $(seq 300); do
		lodge logs "$1" | grep -q "$2" && return
		sleep 0.05
	done
	lodge logs "$1"
	return 1
}

keeper_pid() { lodge inspect "$1" | sed -n 's/^ *"pid":\([0-9]*\),*/\1/p'; }
state() { lodge ls -a | awk -v n="$1" '$1 == n { print $2 }'; }

@test "help lists every command, and each explains itself" {
	try lodge --help
	[ "$status" -eq 0 ]
	for verb in run create start ls stop restart kill rm exec shell attach logs inspect doctor \
		pull images rmi help completion version pause resume suspend snapshot restore clone update events top stats migrate receive backup binfmt; do
		echo "$output" | grep -q "^  $verb "
		lodge "$verb" --help | grep -q "^usage: lodge $verb"
		lodge help --format scdoc "$verb" | grep -q "^# SYNOPSIS"
	done
}

@test "lodge oci is listed, and has a help of its own" {
	try lodge --help
	echo "$output" | grep -q "^  oci "
	try lodge oci --help
	[ "$status" -eq 0 ]
	[[ "$output" == "usage: lodge-oci "* ]]
	try lodge help oci
	[ "$status" -eq 0 ]
	[[ "$output" == "usage: lodge oci "* ]]
}

@test "wrong use: 125, the reason, and the nearest word" {
	try lodge
	[ "$status" -eq 125 ]
	try lodge strat
	[ "$status" -eq 125 ]
	[[ "$output" == *"did you mean 'start'"* ]]
	try lodge run --memroy 1G demo
	[ "$status" -eq 125 ]
	[[ "$output" == *"did you mean '--memory'"* ]]
	try lodge run -m lots demo
	[ "$status" -eq 125 ]
	[[ "$output" == *"'lots' is not a size"* ]]
	try lodge rm
	[ "$status" -eq 125 ]
	try lodge version extra
	[ "$status" -eq 125 ]
	try lodge run --name
	[ "$status" -eq 125 ]
	[[ "$output" == *"--name needs NAME"* ]]
}

@test "errors are JSON when JSON was asked for" {
	try lodge stats --format json nobody
	[ "$status" -eq 127 ]
	echo "$output" | jq -e '.error.code == "ENOENT"' || [[ "$output" == *'"code":"ENOENT"'* ]]
	try lodge ls --format yaml
	[ "$status" -eq 125 ]
}

@test "what is not there is 127" {
	for verb in start stop kill rm pause resume inspect logs attach; do
		try lodge "$verb" nobody
		[ "$status" -eq 127 ]
		[[ "$output" == *"no guest named 'nobody'"* ]]
	done
	try lodge run /no/such/kernel
	[ "$status" -eq 127 ]
	try lodge rmi debian
	[ "$status" -eq 127 ]
	try lodge pull no-such-image
	[ "$status" -eq 127 ]
}

@test "what cannot be run is 126" {
	head -c 100000 /dev/urandom >"$HOME_DIR/noise.txt"
	try lodge run --level warp demo
	[ "$status" -eq 126 ]
}

@test "bad configurations are refused before anything is made" {
	for bad in "--cpus 5000" "--accel warp" "-p 80" "-p 0:80" "-v /tmp" "-v /no/such:/mnt" \
		"--disk /no/such.img" "--disk 100" "--bus usb" "--mmu sv32" "--net carrier-pigeon" \
		"--name ../x" "--name -x" "-m 5000" "--kernel /no/such" "--timeout soon" "-e =novalue"; do
		try lodge create $bad demo
		[ "$status" -ne 0 ]
		[ -n "$output" ]
	done
	[ -z "$(lodge ls -a -q)" ]
}

@test "demo runs, its exit code is lodge's" {
	run bash -c "(sleep 2; printf '\r'; sleep 0.3; printf 'poweroff\r') | '$LODGE' run -i --rm demo"
	[ "$status" -eq 0 ]
	[[ "$output" == *"Lodge"* ]]
	[ -z "$(lodge ls -a -q)" ]
}

@test "the life of a detached guest" {
	try lodge run -d --name web demo
	[ "$status" -eq 0 ]
	[ "$output" = web ]
	shown web "help"
	[ "$(state web)" = running ]
	lodge inspect web | grep -q '"state":"running"'
	lodge stats web | grep -q instructions
	lodge stats web | grep -q 'tlb_hit_rate  *\(null\|[01]\.[0-9]*\)$'
	lodge inspect web | grep -q '"mirror_hit_rate":'
	try lodge start web
	[ "$status" -eq 125 ]
	try lodge rm web
	[ "$status" -eq 125 ]
	[[ "$output" == *"is running"* ]]
	lodge pause web
	[ "$(state web)" = paused ]
	try lodge pause web
	[ "$status" -eq 125 ]
	lodge resume web
	[ "$(state web)" = running ]
	lodge kill web
	[ "$(state web)" = stopped ]
	lodge ls -a | grep -q "exit code 137"
	[ -z "$(lodge ls -q)" ]
	lodge start web
	[ "$(state web)" = running ]
	lodge restart -t 1 web
	[ "$(state web)" = running ]
	lodge stop -t 1 web
	lodge rm web
	[ -z "$(lodge ls -a -q)" ]
	[ ! -e "$XDG_RUNTIME_DIR/lodge/web" ]
}

@test "create makes, start -a runs" {
	try lodge create --name c demo
	[ "$output" = c ]
	[ "$(state c)" = created ]
	try lodge create --name c demo
	[ "$status" -eq 125 ]
	[[ "$output" == *"exists already"* ]]
	run bash -c "(sleep 2; printf '\r'; sleep 0.3; printf 'poweroff\r') | '$LODGE' start -a -i c"
	[ "$status" -eq 0 ]
	[ "$(state c)" = stopped ]
}

@test "a keeper killed is failed; start and rm work on it" {
	lodge run -d --name k demo
	kill -9 "$(keeper_pid k)"
	for _ in $(seq 50); do [ "$(state k)" = failed ] && break; sleep 0.05; done
	[ "$(state k)" = failed ]
	lodge ls -a | grep -q killed
	try lodge stop k
	[ "$status" -ne 0 ]
	lodge start k
	[ "$(state k)" = running ]
	kill -9 "$(keeper_pid k)"
	for _ in $(seq 100); do [ "$(state k)" = failed ] && break; sleep 0.05; done
	lodge rm k
	[ -z "$(lodge ls -a -q)" ]
}

@test "SIGTERM to a keeper stops the guest in order" {
	lodge run -d --name t demo
	kill "$(keeper_pid t)"
	for _ in $(seq 300); do [ "$(state t)" = stopped ] && break; sleep 0.05; done
	[ "$(state t)" = stopped ]
}

@test "the CLI killed leaves a detached life, SIGTERM takes the guest along" {
	"$LODGE" run --name j demo </dev/null >"$HOME_DIR/out" &
	cli=$!
	shown j "help"
	kill -9 $cli
	[ "$(state j)" = running ]
	lodge rm -f j
	"$LODGE" run --name j --rm demo </dev/null >"$HOME_DIR/out" &
	cli=$!
	shown j "help"
	kill $cli
	run wait $cli
	for _ in $(seq 100); do [ -z "$(lodge ls -a -q)" ] && break; sleep 0.05; done
	[ -z "$(lodge ls -a -q)" ]
}

@test "rm -f works on every damage" {
	for damage in "rm state.json" "rm config.json" "rm lock" "truncate -s 0 state.json" \
		"truncate -s 0 config.json" "sh -c 'echo {>config.json'" "sh -c 'echo []>state.json'" \
		"sh -c 'rm state.json; mkdir state.json'" "chmod 0 state.json" "rm -rf ./lock ./state.json ./config.json"; do
		lodge create --name d demo
		(cd "$(instances)/d" && eval "$damage")
		lodge ls -a | grep -q "^d "
		try lodge start d
		lodge rm -f d
		[ ! -e "$(instances)/d" ]
	done
}

@test "two at once: one name, one start, one removal" {
	for _ in 1 2 3; do
		for n in 1 2 3 4; do
			{ lodge create --name x demo >/dev/null 2>&1 && echo made >>"$HOME_DIR/made"; } &
		done
		wait
		[ "$(wc -l <"$HOME_DIR/made")" -eq 1 ]
		for n in 1 2 3; do
			{ lodge start x >/dev/null 2>&1 && echo up >>"$HOME_DIR/up"; } &
		done
		wait
		[ "$(wc -l <"$HOME_DIR/up")" -eq 1 ]
		for n in 1 2 3; do lodge rm -f x >/dev/null 2>&1 & done
		wait
		[ -z "$(lodge ls -a -q)" ]
		rm "$HOME_DIR/made" "$HOME_DIR/up"
	done
}

@test "--timeout ends with 124" {
	try lodge run --rm --timeout 1s demo </dev/null
	[ "$status" -eq 124 ]
}

@test "--timeout counts for a guest that nobody watches" {
	lodge run -d --name t --timeout 1s demo
	for _ in $(seq 100); do [ "$(state t)" = stopped ] && break; sleep 0.05; done
	lodge ls -a | grep -q "exit code 124"
}

@test "several watch one console; logs follow it" {
	lodge run -d --name v demo
	timeout 20 "$LODGE" attach --no-stdin --replay 64K v >"$HOME_DIR/one" &
	timeout 20 "$LODGE" attach --no-stdin --replay 64K v >"$HOME_DIR/two" &
	timeout 20 "$LODGE" logs -f v >"$HOME_DIR/three" &
	shown v "help"
	(sleep 0.3; printf '\r'; sleep 0.3; printf 'poweroff\r'; sleep 1) | timeout 20 "$LODGE" attach v
	wait
	for f in one two three; do grep -q poweroff "$HOME_DIR/$f"; done
	lodge logs v >"$HOME_DIR/all"
	cmp "$HOME_DIR/all" "$HOME_DIR/three"
	[ "$(lodge logs -n 1 v | wc -l)" -le 1 ]
}

@test "a terminal: Ctrl-] leaves, the guest goes on, the terminal is as before" {
	cat >"$HOME_DIR/terminal.py" <<-'END'
	import os, pty, select, sys, termios, time
	pid, fd = pty.fork()
	if pid == 0:
	    os.execv(sys.argv[1], sys.argv[1:])
	before = termios.tcgetattr(fd)
	seen, sent, end = b"", False, time.time() + 30
	while time.time() < end:
	    r, _, _ = select.select([fd], [], [], 0.2)
	    if r:
	        try: data = os.read(fd, 4096)
	        except OSError: break
	        if not data: break
	        seen += data
	    if not sent and b"help" in seen:
	        sent = True
	        os.write(fd, b"\x1d")
	    if sent and b"goes on" in seen: break
	_, status = os.waitpid(pid, 0)
	after = termios.tcgetattr(fd)
	sys.stdout.buffer.write(seen)
	sys.exit(os.waitstatus_to_exitcode(status) if before[3] == after[3] else 99)
	END
	command -v python3 >/dev/null || skip "no python3"
	run python3 "$HOME_DIR/terminal.py" "$LODGE" run --name p demo
	[ "$status" -eq 0 ]
	[[ "$output" == *"lodge attach p"* ]]
	[ "$(state p)" = running ]
}

@test "defaults: flag before environment before file" {
	mkdir -p "$XDG_CONFIG_HOME/lodge"
	printf '# mine\nmemory = 96M # small\ncpus = 2\n' >"$XDG_CONFIG_HOME/lodge/config"
	lodge create --name a demo
	lodge inspect a | grep -q '"memory":100663296'
	lodge inspect a | grep -q '"cpus":2'
	LODGE_MEMORY=64M lodge create --name b demo
	lodge inspect b | grep -q '"memory":67108864'
	LODGE_MEMORY=64M lodge create --name c -m 128M demo
	lodge inspect c | grep -q '"memory":134217728'
	echo nonsense >"$XDG_CONFIG_HOME/lodge/config"
	try lodge create demo
	[ "$status" -eq 125 ]
	[[ "$output" == *"config:1"* ]]
}

@test "disks by size are made in the guest's folder and go with it" {
	lodge create --name d --disk 64M demo
	[ "$(stat -c %s "$(instances)/d/disk0.raw")" -eq 67108864 ]
	[ "$(stat -c %b "$(instances)/d/disk0.raw")" -lt 100 ]
	truncate -s 1M "$HOME_DIR/mine.img"
	(cd "$HOME_DIR" && lodge create --name e --disk mine.img demo)
	lodge inspect e | grep -q "\"$HOME_DIR/mine.img\""
	lodge rm d e
	[ -e "$HOME_DIR/mine.img" ]
}

@test "a full disk: no half guest is left" {
	[ "$(id -u)" -eq 0 ] || skip "needs to mount"
	mkdir "$HOME_DIR/small"
	mount -t tmpfs -o size=64k,nr_inodes=12 tmpfs "$HOME_DIR/small" || skip "cannot mount"
	head -c 60000 /dev/zero >"$HOME_DIR/small/fill"
	XDG_DATA_HOME=$HOME_DIR/small try lodge create --name f --append "$(head -c 20000 /dev/zero | tr '\0' x)" demo
	local s=$status
	XDG_DATA_HOME=$HOME_DIR/small try lodge ls -a -q
	local left=$output
	umount "$HOME_DIR/small"
	[ "$s" -eq 125 ]
	[ -z "$left" ]
}

@test "the control socket speaks HTTP to anyone of this user" {
	command -v curl >/dev/null || skip "no curl"
	lodge run -d --name h demo
	s=$XDG_RUNTIME_DIR/lodge/h/control.sock
	curl -sf --unix-socket "$s" http://lodge/v1/guest | grep -q '"state":"running"'
	run curl -s -o /dev/null -w '%{http_code}' --unix-socket "$s" http://lodge/nothing
	[ "$output" = 404 ]
	run curl -s -o /dev/null -w '%{http_code}' --unix-socket "$s" -X POST http://lodge/v1/resume
	[ "$output" = 409 ]
	run curl -s -o /dev/null -w '%{http_code}' --unix-socket "$s" -X POST -d '{' http://lodge/v1/stop
	[ "$output" = 400 ]
	run curl -s -o /dev/null -w '%{http_code}' --unix-socket "$s" http://lodge/v1/console
	[ "$output" = 426 ]
	head -c 100000 /dev/zero | run curl -s -o /dev/null -w '%{http_code}' --unix-socket "$s" -X POST --data-binary @- http://lodge/v1/stop
	[ "$(state h)" = running ]
	timeout 20 python3 -c 'import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(os.urandom(4096))
s.shutdown(socket.SHUT_WR)
while s.recv(4096): pass' "$s" || true
	curl -sf --unix-socket "$s" -X POST http://lodge/v1/kill | grep -q state
}

@test "a keeper is small" {
	lodge run -d --name m -m 128M demo
	shown m "help"
	rss=$(awk '/^Rss(Anon|File)/ { n += $2 } END { print n }' "/proc/$(keeper_pid m)/status")
	echo "keeper: $rss KiB beside the guest's memory"
	[ "$rss" -le 8192 ]
}

@test "exec without an agent says so" {
	lodge run -d --name x demo
	try lodge exec --wait 0 x true
	[ "$status" -eq 125 ]
	[[ "$output" == *"agent"* ]]
	lodge kill x
	try lodge exec x true
	[ "$status" -eq 125 ]
	[[ "$output" == *"not running"* ]]
}

@test "doctor tries things and says what" {
	try lodge doctor
	[ "$status" -eq 0 ]
	for probe in kvm "user namespaces" cgroup io_uring tap ping "image tools"; do
		[[ "$output" == *"$probe"* ]]
	done
	lodge doctor --format json | grep -q '"finding"'
}

@test "completion of three shells is valid and complete" {
	lodge completion bash >"$HOME_DIR/c.bash"
	bash -n "$HOME_DIR/c.bash"
	bash -c ". '$HOME_DIR/c.bash'; COMP_WORDS=(lodge ru); COMP_CWORD=1; _lodge; echo \${COMPREPLY[*]}" | grep -q "^run$"
	bash -c ". '$HOME_DIR/c.bash'; COMP_WORDS=(lodge run --mem); COMP_CWORD=2; _lodge; echo \${COMPREPLY[*]}" | grep -q -- "--memory"
	lodge completion zsh | grep -q "#compdef lodge"
	lodge completion fish | grep -q "complete -c lodge"
	try lodge completion tcsh
	[ "$status" -eq 125 ]
}

@test "the library exports lodge_* only, and serves a C++ program" {
	lib=$TOP/build/liblodge.so
	[ -e "$lib" ] || skip "not built"
	[ -z "$(nm -D --defined-only "$lib" | awk '{ print $3 }' | grep -v '^lodge_')" ]
	g++ -std=c++11 -pedantic -Wall -Wextra -Werror -I"$TOP/include" -o "$HOME_DIR/public" \
		"$BATS_TEST_DIRNAME/public.cc" "$lib"
	LD_LIBRARY_PATH=$TOP/build ln -s "$lib" "$HOME_DIR/liblodge.so.0"
	LD_LIBRARY_PATH=$HOME_DIR "$HOME_DIR/public"
	echo '#include <lodge/lodge.h>' >"$HOME_DIR/h.c"
	cc -std=c99 -pedantic -Wall -Werror -I"$TOP/include" -c -o "$HOME_DIR/h.o" "$HOME_DIR/h.c"
}

@test "events are told as they happen, kept, and filtered" {
	timeout 60 "$LODGE" events --format json >"$HOME_DIR/events" 3>&- &
	listener=$!
	sleep 0.3
	lodge run -d --name e demo
	lodge pause e
	lodge resume e
	lodge update e --net-bps 1M
	lodge rm -f e
	for _ in $(seq 50); do
		! grep -q '"removed"' "$HOME_DIR/events" || break
		sleep 0.1
	done
	kill "$listener"
	[ "$(sed 's/.*"event":"\([a-z]*\)".*/\1/' "$HOME_DIR/events" | tr '\n' ' ')" = \
		"created started paused resumed updated died removed " ]
	python3 -c 'import json, sys; [json.loads(l)["time_ns"] for l in open(sys.argv[1])]' "$HOME_DIR/events"
	[ "$(lodge events --no-stream -f event=died -f event=paused | wc -l)" -eq 2 ]
	lodge events --no-stream --since 1h e | grep -q "e died exit_code=137 why=killed$"
	[ -z "$(lodge events --no-stream other)" ]
	try lodge events -f nonsense --no-stream
	[ "$status" -eq 125 ]
}

@test "stats: a table of all, counters of one, text for Prometheus" {
	lodge create --name idle demo
	lodge run -d --name s demo
	shown s "lodge"
	try lodge stats
	[ "$status" -eq 0 ]
	echo "$output" | grep -qE "^s +[0-9.]+% +[0-9].* running$"
	! echo "$output" | grep -q "^idle"
	lodge stats s | grep -qE "^cpu_ns +[1-9]"
	lodge stats s --format json | python3 -c 'import json, sys; json.load(sys.stdin)["disk_requests"]'
	lodge stats --format prometheus >"$HOME_DIR/metrics"
	grep -q '^lodge_guest_running{name="s"} 1$' "$HOME_DIR/metrics"
	grep -q '^lodge_guest_running{name="idle"} 0$' "$HOME_DIR/metrics"
	grep -q '^# TYPE lodge_cpu_seconds_total counter$' "$HOME_DIR/metrics"
	! grep -vE '^(# (HELP|TYPE) lodge_[a-z_]+ .*|lodge_[a-z_]+\{name="[^"]*"(,[a-z]+="[^"]*")*\} [0-9.e+]+)$' "$HOME_DIR/metrics"
	try lodge stats --format xml
	[ "$status" -eq 125 ]
}

@test "labels: kept with a guest, and ls finds it by them, its name, state and level" {
	lodge create --name one --label who=me --label mine demo
	lodge create --name two -l who=you demo
	[ "$(lodge ls -q -f label=who=me -f state=created)" = one ]
	[ "$(lodge ls -aq --filter label=who)" = "one
two" ]
	[ "$(lodge ls -aq -f label=mine -f label=who=you)" = "one
two" ] # any of one key
	[ -z "$(lodge ls -aq -f name=on -f label=who=you)" ] # all of several
	[ "$(lodge ls -aq -f name=on -f level=machine -f guest=demo)" = one ]
	[ -z "$(lodge ls -q -f label=who)" ]
	lodge ls -a --format json | python3 -c 'import json, sys
assert [g["labels"] for g in json.load(sys.stdin)] == [{"who": "me", "mine": ""}, {"who": "you"}]'
	try lodge ls --filter colour=red
	[ "$status" -eq 125 ]
	[[ $output == *label=* ]]
	try lodge create -l =x demo
	[ "$status" -ne 0 ]
	lodge rm one two
}

@test "who has SIGCHLD ignored is told of the end of its children all the same" {
	env --ignore-signal=CHLD "$LODGE" pull -q debian-small
}
