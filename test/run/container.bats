#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Containers that a keeper has: the verbs of every guest, with docker's meanings. The image is a few
# links and files (test/run/image/images.py shell); its programs are the host's, by -v /usr:/usr:ro.

source "$BATS_TEST_DIRNAME/container.sh"

setup() {
	home_begin
	shell_pull
}

teardown() {
	[ -z "${SERVER:-}" ] || { kill "$SERVER"; wait "$SERVER" 2>/dev/null || true; }
	home_end
}

@test "run -d, ls, logs, stop, wait, start, rm: its life, and what it wrote to its root stays until rm" {
	[ "$(start_sh web 'trap "echo bye; exit 3" TERM; n=$(cat /n 2>/dev/null); echo $((n+1)) | tee /n; echo err >&2; while :; do sleep 0.1; done')" = web ]
	said web err
	[ "$(state web)" = running ]
	[ "$(lodge ls | awk '$1 == "web" { print $3, $4 }')" = "container shell" ]
	lodge wait web >"$DIR/code" 3>&- &
	try lodge stop web
	[ "$status" -eq 0 ]
	wait $!
	[ "$(cat "$DIR/code")" = 3 ]
	[ "$(lodge logs web)" = "1
err
bye" ]
	[ "$(state web)" = stopped ]
	lodge start web 3>&-
	said web 2
	lodge restart -t 5 web 3>&-
	said web 3
	try lodge rm web
	[ "$status" -ne 0 ]
	[[ $output == *running* ]]
	lodge rm -f web
	try lodge inspect web
	[ "$status" -eq 127 ]
	start_sh web 'cat /n 2>&1'
	said web "No such file"
	lodge wait web # who has spoken has not ended yet
	lodge rm web
}

@test "exit codes: its own, signals, what cannot be run; create makes, and says what is wrong at start" {
	start_sh a 'exit 42'
	[ "$(lodge wait a)" = 42 ]
	[ "$(lodge wait a)" = 42 ] # of one that has ended
	start_sh k 'sleep 60'
	lodge kill k
	[ "$(lodge wait k)" = 137 ]
	start_sh q 'sleep 60'
	lodge stop -t 1 q # sleep as first process takes no SIGTERM
	[ "$(lodge wait q)" = 137 ]
	try lodge run -d --name none --net none shell
	[ "$status" -eq 127 ]
	[[ $output == */bin/sh* ]]
	try lodge run -d --name cannot --net none -v /usr:/usr:ro --entrypoint /etc/passwd shell
	[ "$status" -eq 126 ]
	[[ $output == *passwd* ]]
	try start_sh nobody true -u nobody-here
	[ "$status" -eq 127 ]
	[[ $output == *"no user 'nobody-here'"* ]]
	try start_sh bad true -o nonsense=1
	[ "$status" -eq 125 ]
	[[ $output == *nonsense* ]]
	echo volume >"$DIR/f"
	start_sh v 'cat /etc/f; touch /etc/f' -v "$DIR/f:/etc/f:ro"
	said v volume
	said v "Read-only"
	lodge create --name c --net none -v /usr:/usr:ro shell -c 'cat /top'
	[ "$(state c)" = created ]
	lodge rmi shell # what it was made of stays
	lodge start c 3>&-
	[ "$(lodge wait c)" = 0 ]
	[ "$(lodge logs c)" = t ]
}

@test "kill -s, the image's stop signal, --timeout, --rm" {
	start_sh s 'trap "echo usr1" USR1; trap "exit 0" TERM; echo up; while :; do sleep 0.1; done'
	said s up
	lodge kill -s USR1 s
	said s usr1
	try lodge kill -s NONSENSE s
	[ "$status" -eq 125 ]
	[[ $output == *NONSENSE* ]]
	[ "$(state s)" = running ]
	lodge kill -s SIGTERM s
	[ "$(lodge wait s)" = 0 ]
	python3 - "$DIR/shell" <<-'PY'
		import hashlib, json, os, sys
		top = sys.argv[1]
		def blob(d): return os.path.join(top, "blobs", *d.split(":"))
		def put(doc):
		    text = json.dumps(doc).encode()
		    d = "sha256:" + hashlib.sha256(text).hexdigest()
		    open(blob(d), "wb").write(text)
		    return d, len(text)
		index = json.load(open(top + "/index.json"))
		m = json.load(open(blob(index["manifests"][0]["digest"])))
		c = json.load(open(blob(m["config"]["digest"])))
		c["config"]["StopSignal"] = "SIGUSR2"
		m["config"]["digest"], m["config"]["size"] = put(c)
		index["manifests"][0]["digest"], index["manifests"][0]["size"] = put(m)
		json.dump(index, open(top + "/index.json", "w"))
	PY
	lodge pull -q "$DIR/shell" --as usr2
	lodge run -d --name u --net none -v /usr:/usr:ro usr2 -c 'trap "exit 12" USR2; echo up; while :; do sleep 0.1; done' 3>&-
	said u up
	lodge stop u
	[ "$(lodge wait u)" = 12 ]
	start_sh t 'sleep 60' --timeout 1s
	[ "$(lodge wait t)" = 124 ]
	start_sh gone 'sleep 0.2' --rm
	for _ in $(seq 100); do [ -n "$(state gone)" ] || break; sleep 0.1; done
	[ -z "$(state gone)" ]
}

@test "exec: its streams, code, user, folder, environment; top; in none that is paused or stopped" {
	start_sh e 'echo $$ >/pid; exec sleep 100'
	lodge exec e sh -c 'echo out; echo err >&2; exit 5' >"$DIR/out" 2>"$DIR/err" && r=0 || r=$?
	[ "$r" -eq 5 ]
	[ "$(cat "$DIR/out")" = out ]
	[ "$(cat "$DIR/err")" = err ]
	[ "$(lodge exec e hostname)" = e ]
	[ "$(lodge exec -u ann -w /etc -e X=y e sh -c 'id -u; id -g; pwd; echo $X$A')" = "1000
1001
/etc
yb" ]
	[ "$(head -c 3000000 /dev/zero | lodge exec -i e wc -c)" = 3000000 ]
	[ "$(lodge exec e head -c 3000000 /dev/zero | wc -c)" = 3000000 ]
	try lodge exec e nosuch
	[ "$status" -eq 127 ]
	try lodge exec e /etc/passwd
	[ "$status" -eq 126 ]
	try lodge exec -u nobody-here e true
	[ "$status" -eq 127 ]
	[[ $output == *nobody-here* ]]
	try lodge exec e sh -c 'kill -9 $$'
	[ "$status" -eq 137 ]
	[[ "$(lodge top e)" == *"sleep 100"* ]]
	lodge pause e
	try lodge exec e true
	[ "$status" -eq 125 ]
	[[ $output == *paused* ]]
	lodge kill e
	try lodge exec e true
	[ "$status" -eq 125 ]
	[[ $output == *stopped* ]]
}

@test "pause and resume, stats, events; no suspend, snapshot, clone, move: with the reason" {
	start_sh p 'while :; do echo >>/t; done' -m 64M
	lodge events --no-stream p >"$DIR/events"
	grep -q started "$DIR/events"
	root=$(field p container.root)
	for _ in $(seq 100); do [ ! -s "$root/t" ] || break; sleep 0.05; done
	lodge pause p
	[ "$(state p)" = paused ]
	a=$(stat -c %s "$root/t")
	sleep 0.3
	[ "$(stat -c %s "$root/t")" -eq "$a" ]
	lodge resume p
	for _ in $(seq 100); do [ "$(stat -c %s "$root/t")" -eq "$a" ] || break; sleep 0.05; done
	[ "$(stat -c %s "$root/t")" -gt "$a" ]
	lodge stats --format json p >"$DIR/stats"
	python3 - "$DIR/stats" <<-'PY'
		import json, sys
		o = json.load(open(sys.argv[1]))
		o = o[0] if isinstance(o, list) else o
		assert o["cpu_ns"] > 0 and o["memory_resident"] > 0, o
		assert o["memory_allowed"] == 64 << 20 and o["processes"] >= 1, o
	PY
	for verb in "suspend p" "snapshot create p s" "clone p p2" "migrate p unix:$DIR/x"; do
		# shellcheck disable=SC2086
		try lodge $verb
		[ "$status" -eq 125 ] && [[ $output == *"pause it"* ]] || { echo "$verb: $output"; false; }
	done
	lodge pause p
	lodge stop -t 1 p # goes on to be stopped
	[ "$(lodge wait p)" = 137 ]
}

@test "limits: at run, changed while it runs, kept for the next start" {
	start_sh l 'exec sleep 100' -m 64M --cpus 0.5
	groups='cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || { cat /sys/fs/cgroup/memory.max; cut -d" " -f1 /sys/fs/cgroup/cpu.max; }'
	[ "$(lodge exec l sh -c "$groups")" = "67108864
50000" ]
	lodge update l --memory 128M --cpus 2
	[ "$(lodge exec l sh -c "$groups")" = "134217728
200000" ]
	lodge kill l
	lodge start l 3>&-
	[ "$(lodge exec l sh -c "$groups")" = "134217728
200000" ]
	try lodge exec l sh -c 'x=$(head -c 300000000 /dev/zero | tr "\0" x); echo ${#x}'
	[ "$status" -ne 0 ]
}

@test "processes, swap and reservation: at run, and changed while it runs" {
	start_sh l 'exec sleep 100' -m 64M --pids-limit 77 --memory-reservation 32M
	pids='cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max'
	low='cat /sys/fs/cgroup/memory/memory.soft_limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.low'
	[ "$(lodge exec l sh -c "$pids")" = 77 ]
	[ "$(lodge exec l sh -c "$low")" = 33554432 ]
	lodge update l --pids-limit 55 --memory-reservation 16M
	[ "$(lodge exec l sh -c "$pids")" = 55 ]
	[ "$(lodge exec l sh -c "$low")" = 16777216 ]
	lodge kill l
	lodge start l 3>&-
	[ "$(lodge exec l sh -c "$pids")" = 55 ]
	lodge update l --pids-limit none
	[ "$(lodge exec l sh -c "$pids")" = 2048 ]
	try lodge update l --memory-swap 1M
	[ "$status" -eq 125 ]
	[[ $output == *"at least --memory"* ]]
	try lodge update l --log-max 1K
	[ "$status" -eq 125 ]
	[[ $output == *"64 KiB"* ]]
}

@test "logs: times, since, until, a number of lines, all together and followed" {
	start_sh l 'echo a; sleep 0.5; echo b; sleep 0.5; echo c; sleep 0.5; printf d; sleep 0.5; echo e; exec sleep 1000'
	said l de
	[ "$(lodge logs l)" = "a
b
c
de" ]
	lodge logs -t l >"$DIR/times"
	[ "$(grep -cE '^20[0-9-]+T[0-9:]+[.][0-9]{9}Z ([abc]|de)$' "$DIR/times")" = 4 ]
	sort -c "$DIR/times"
	b=$(awk '$2 == "b" { print $1 }' "$DIR/times")
	c=$(awk '$2 == "c" { print $1 }' "$DIR/times")
	[ "$(lodge logs --since "$b" l)" = "b
c
de" ]
	[ "$(lodge logs --until "$c" l)" = "a
b
c" ]
	[ "$(lodge logs --since "$b" --until "$b" l)" = b ]
	[ "$(lodge logs --until "$c" -n 1 l)" = c ]
	[ "$(lodge logs --since "$b" -n 2 l)" = "c
de" ]
	[ "$(lodge logs --since 1h l | wc -l)" = 4 ]
	[ -z "$(lodge logs --until 1h l)" ]
	[ -z "$(lodge logs --since 2100-01-01 l)" ]
	[ "$(lodge logs --since "$(date +%s -d '1 hour ago')" -n 1 l)" = de ]
	try lodge logs --since yesterday l
	[ "$status" -eq 125 ]
	# followed until a time that comes
	until=$(date -u +%Y-%m-%dT%H:%M:%S.%NZ -d '+1 second')
	[ "$(lodge logs -f -t -n 1 --until "$until" l | cut -d' ' -f2)" = de ]
	# a log of a version that kept no times
	lodge kill l
	rm "$XDG_DATA_HOME/lodge/instances/l/console.times"
	[ "$(lodge logs -t -n 1 l)" = "- de" ]
	[ -z "$(lodge logs --since 1h l)" ]
	lodge start l 3>&-
	for _ in $(seq 100); do [ -z "$(lodge logs --since 1h l)" ] || break; sleep 0.1; done
	[ "$(lodge logs --since 1h l | head -n 1)" = a ]
}

@test "a log takes no more of the disk than it may; what is dropped is told" {
	start_sh l 'i=0; while [ $i -lt 40000 ]; do echo "line $i"; i=$((i + 1)); done; echo end; exec sleep 1000' --log-max 128K
	said l '^end$'
	d=$XDG_DATA_HOME/lodge/instances/l
	[ "$(cat "$d"/console.* | wc -c)" -le $((128 * 1024 + 10000)) ]
	lodge logs l >"$DIR/out" 2>"$DIR/err"
	[ "$(tail -n 1 "$DIR/out")" = end ]
	dropped=$(sed -n 's/^lodge: \([0-9]*\) bytes of older output were dropped.*/\1/p' "$DIR/err")
	all=$(seq 0 39999 | sed 's/^/line /' | cat - <(echo end) | wc -c)
	[ $((dropped + $(wc -c <"$DIR/out"))) = "$all" ]
	# what is there is whole, and has times
	[ "$(tail -n +2 "$DIR/out" | head -n -1 | awk 'NR > 1 && $2 != n + 1 { print "gap" } { n = $2 }')" = "" ]
	[ "$(lodge logs -t -n 3000 l 2>/dev/null | grep -c '^20')" = 3000 ]
	lodge update l --log-max 1M
	lodge inspect l | grep -q '"log_max": *1048576'
}

@test "restart policies: on-failure counts, always until it is stopped; it begins with its own root" {
	start_sh f 'n=$(cat /n 2>/dev/null); echo $((n+1)) >/n; echo run $((n+1)); exit 7' --restart on-failure:2
	said f 'run 3'
	for _ in $(seq 100); do [ "$(state f)" != stopped ] || break; sleep 0.1; done
	sleep 1
	[ "$(lodge logs f | wc -l)" = 3 ]
	[ "$(lodge wait f)" = 7 ]
	start_sh g 'echo again; sleep 0.2' --restart always
	for _ in $(seq 100); do [ "$(lodge logs g | wc -l)" -lt 2 ] || break; sleep 0.1; done
	lodge stop -t 2 g
	n=$(lodge logs g | wc -l)
	[ "$n" -ge 2 ]
	sleep 1
	[ "$(lodge logs g | wc -l)" = "$n" ]
	[ "$(state g)" = stopped ]
}

@test "a killed keeper leaves no process and no mount, also when its warden is killed with it" {
	start_sh k 'echo $$; exec sleep 100'
	inner=$(field k container.pid) keeper=$(field k pid) id=$(field k container.id)
	[ -e "/proc/$inner" ]
	kill -9 "$keeper"
	for _ in $(seq 200); do [ -e "/proc/$inner" ] || break; sleep 0.05; done
	[ ! -e "/proc/$inner" ]
	[ "$(state k)" = failed ]
	for _ in $(seq 100); do
		[ -n "$(find /sys/fs/cgroup -maxdepth 3 -name "$id" 2>/dev/null)" ] || break
		sleep 0.1
	done
	[ -z "$(find /sys/fs/cgroup -maxdepth 3 -name "$id" 2>/dev/null)" ]
	lodge start k 3>&-
	inner=$(field k container.pid) keeper=$(field k pid) id=$(field k container.id)
	# whoever holds the lock of its folder is the warden; both at once
	wardens=$(for p in $(pgrep -x lodge-warden); do
		ls -l "/proc/$p/fd" 2>/dev/null | grep -q "$id" && echo "$p"; done)
	[ -n "$wardens" ]
	# shellcheck disable=SC2086
	kill -9 $wardens "$keeper"
	sleep 0.3
	[ "$(state k)" = failed ]
	lodge rm k
	for _ in $(seq 100); do [ -e "/proc/$inner" ] || break; sleep 0.05; done
	[ ! -e "/proc/$inner" ]
}

@test "published ports and the user network, over a restart; a port in use is told" {
	[ -w /dev/net/tun ] || skip "no /dev/net/tun"
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	lodge run -d --name n -p "$port:80" -v /usr:/usr:ro shell \
		-c 'cd /tmp; echo inside >f; exec python3 -m http.server 80' 3>&-
	got() { for _ in $(seq 100); do
		[ "$(curl -s -m 5 "http://127.0.0.1:$port/f")" != inside ] || return 0
		sleep 0.2
	done; return 1; }
	got
	try lodge run -d --name n2 -p "$port:80" -v /usr:/usr:ro shell -c true
	[ "$status" -eq 125 ]
	[[ $output == *"$port"* ]]
	lodge restart -t 1 n 3>&-
	got
}

@test "terminals: run -dit, attach, exec -it, sizes" {
	lodge run -dit --name t --net none -v /usr:/usr:ro shell -i 3>&-
	cat >"$DIR/term.py" <<-'PY'
		import fcntl, os, pty, select, struct, sys, termios, time
		pid, fd = pty.fork()
		if pid == 0:
		    os.execvp(sys.argv[2], sys.argv[2:])
		fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
		feeds, out, end = [f.encode().decode("unicode_escape").encode() for f in sys.argv[1].split("|")], b"", time.time() + 30
		while time.time() < end:
		    if select.select([fd], [], [], 1)[0]:
		        try: data = os.read(fd, 4096)
		        except OSError: break
		        if not data: break
		        out += data
		    elif feeds:
		        os.write(fd, feeds.pop(0))
		sys.stdout.buffer.write(out.replace(b"\r", b""))
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	PY
	try python3 "$DIR/term.py" 'stty size; tty\n|exit 7\n' "$LODGE" exec -it t sh
	echo "$output"
	[ "$status" -eq 7 ]
	[[ $output == *"33 99"* && $output == */dev/pts/* ]]
	try python3 "$DIR/term.py" 'stty size; echo hi$((1+1))\n|\x1d' "$LODGE" attach t
	[ "$status" -eq 0 ]
	[[ $output == *"33 99"*hi2* ]]
	[ "$(state t)" = running ]
	try python3 "$DIR/term.py" 'exit 8\n' "$LODGE" attach t
	[ "$status" -eq 8 ]
	try python3 "$DIR/term.py" 'exit 9\n' "$LODGE" run --name fg --rm --net none -v /usr:/usr:ro shell -i
	[ "$status" -eq 9 ]
	[ -z "$(state fg)" ]
}

@test "root folders and bundles are kept too; the folder is written to in place" {
	mkdir -p "$DIR/root/usr/bin" "$DIR/root/etc" "$DIR/bundle"
	for d in bin sbin lib lib64; do ln -s "usr/$d" "$DIR/root/$d"; done
	(cd "$DIR" && lodge run -d --name r --net none -v /usr:/usr:ro ./root /bin/sh -c 'echo x >/new; sleep 60' 3>&-)
	for _ in $(seq 100); do [ ! -e "$DIR/root/new" ] || break; sleep 0.05; done
	[ "$(cat "$DIR/root/new")" = x ]
	lodge kill r
	(cd "$DIR/bundle" && "${LODGE}-oci" spec)
	python3 - "$DIR" <<-'PY'
		import json, sys
		path = sys.argv[1] + "/bundle/config.json"
		c = json.load(open(path))
		c["process"].update(terminal=False, args=["/bin/sh", "-c", "echo from a bundle; exit 3"])
		c["root"] = {"path": sys.argv[1] + "/root"}
		c["mounts"].append({"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]})
		json.dump(c, open(path, "w"))
	PY
	lodge run -d --name b "$DIR/bundle" 3>&-
	[ "$(lodge wait b)" = 3 ]
	[ "$(lodge logs b)" = "from a bundle" ]
}

@test "a user without rights keeps containers too" {
	[ "$(id -u)" = 0 ] || skip "is not root, and so cannot become another user"
	mkdir -p "$DIR/nobody"
	chown 65534:65534 "$DIR/nobody"
	chmod 755 "$DIR"
	as_nobody unshare -Urm true 2>/dev/null || skip "the kernel gives users no namespaces"
	as_nobody test -x "$LODGE" || skip "another user cannot run $LODGE from here"
	as_nobody "$LODGE" pull -q "$DIR/shell" --as shell
	as_nobody timeout 60 "$LODGE" run -d --name n --net none -v /usr:/usr:ro shell \
		-c 'mkdir -m 0 /shut; echo $(( $(cat /n 2>/dev/null) + 1 )) >/n; cat /n; trap "exit 4" TERM; while :; do sleep 0.1; done' 3>&-
	for _ in $(seq 100); do [ "$(as_nobody "$LODGE" logs n)" != 1 ] || break; sleep 0.05; done
	[ "$(as_nobody "$LODGE" exec n sh -c 'id -u; cat /n')" = "0
1" ]
	as_nobody "$LODGE" stop n
	[ "$(as_nobody "$LODGE" wait n)" = 4 ]
	as_nobody "$LODGE" start n 3>&-
	for _ in $(seq 100); do [ "$(as_nobody "$LODGE" exec n cat /n)" != 2 ] || break; sleep 0.05; done
	[ "$(as_nobody "$LODGE" exec n cat /n)" = 2 ]
	as_nobody "$LODGE" rm -f n
	try as_nobody "$LODGE" run -d --rm --name m -m 64M --net none -v /usr:/usr:ro shell -c true 3>&-
	[ "$status" -eq 125 ]
	[[ $output == *"no control group"* ]]
	left() { ls -A "$DIR/nobody/data/lodge/instances" "$DIR/nobody/data/lodge/containers" | grep -v : || true; }
	for _ in $(seq 100); do
		as_nobody "$LODGE" ls -a >"$DIR/all" # which sweeps what two removals at once have left
		[ -n "$(left)" ] || break
		sleep 0.1
	done
	left
	[ -z "$(left)" ]
}
