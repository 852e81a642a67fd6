#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# lodge run of container images, root folders and bundles. The image is a few links and files
# (test/run/image/images.py shell); its programs are the host's, by -v /usr:/usr:ro.

source "$BATS_TEST_DIRNAME/container.sh"

setup() {
	home_begin
	SERVE="$BATS_TEST_DIRNAME/image/registry.py"
	shell_pull
}

teardown() {
	[ -z "${SERVER:-}" ] || { kill "$SERVER"; wait "$SERVER" 2>/dev/null || true; }
	home_end
}

@test "an image runs as it says: entrypoint, arguments, environment, folder; its exit code is ours" {
	[ "$(lodge run --net none -v /usr:/usr:ro shell)" = "hello from /bin/sh" ]
	[ "$(run_sh 'echo $A$C; pwd; hostname' -e C=new --hostname there)" = "bnew
/kept
there" ]
	[ "$(lodge run --net none -v /usr:/usr:ro --entrypoint /usr/bin/printf shell '%s.' a b)" = a.b. ]
	[ "$(run_sh pwd -w /etc)" = /etc ]
	try run_sh 'exit 42'
	[ "$status" -eq 42 ]
	try run_sh 'sh -c "kill -9 \$\$"; exit $?'
	[ "$status" -eq 137 ]
	try lodge run --net none shell
	[ "$status" -eq 127 ]
	[[ $output == */bin/sh* ]]
	try lodge run --net none -v /usr:/usr:ro --entrypoint /etc/passwd shell
	[ "$status" -eq 126 ]
	[ "$(echo piped | run_sh 'cat')" = piped ]
	run_sh 'echo out; echo err >&2' >"$DIR/out" 2>"$DIR/err"
	[ "$(cat "$DIR/out")" = out ]
	[ "$(cat "$DIR/err")" = err ]
}

@test "users, capabilities, system calls, a root that is only to be read" {
	[ "$(run_sh 'id -u; id -g' -u ann)" = "1000
1001" ]
	[ "$(run_sh 'id -u; id -g' -u 7:staff)" = "7
50" ]
	try run_sh true -u nobody-here
	[ "$status" -eq 127 ]
	[[ $output == *"no user 'nobody-here'"* ]]
	[ "$(run_sh 'sed -n s/CapBnd:.//p /proc/self/status')" = 00000000800405fb ]
	[ "$(run_sh 'sed -n s/CapEff:.//p /proc/self/status' --cap-drop all)" = 0000000000000000 ]
	[ "$(run_sh 'sed -n s/CapEff:.//p /proc/self/status' --cap-drop all --cap-add net_raw)" = 0000000000002000 ]
	try run_sh true --cap-add nonsense
	[ "$status" -eq 125 ]
	[ "$(run_sh 'sed -n s/Seccomp:.//p /proc/self/status')" = 2 ]
	try run_sh 'unshare -m true'
	[ "$status" -ne 0 ]
	try run_sh 'touch /new' --read-only
	[ "$status" -ne 0 ]
	[[ $output == *"Read-only"* ]]
	try run_sh 'touch /usr/new'
	[ "$status" -ne 0 ]
	run_sh 'echo x >/new && [ "$(cat /new)" = x ] && [ -c /dev/null ] && [ ! -e /dev/sda ]'
	run_sh '[ ! -e /new ]' # of the one before
	[ "$(run_sh 'set -- /proc/[0-9]*; echo $#')" -le 3 ]
	mkdir "$DIR/shared"
	run_sh 'echo there >/data/f' -v "$DIR/shared:/data"
	[ "$(cat "$DIR/shared/f")" = there ]
	try run_sh 'echo x >/data/g' -v "$DIR/shared:/data:ro"
	[ "$status" -ne 0 ]
}

@test "signals reach it, and kill -9 of lodge leaves nothing" {
	"$LODGE" run --net none -v /usr:/usr:ro shell \
		-c 'trap "exit 9" TERM; echo up; while :; do sleep 0.1; done' >"$DIR/out" 3>&- &
	pid=$!
	for _ in $(seq 200); do ! grep -q up "$DIR/out" || break; sleep 0.05; done
	kill -TERM "$pid"
	wait "$pid" && r=0 || r=$?
	[ "$r" -eq 9 ]
	"$LODGE" run --net none -v /usr:/usr:ro -v "$DIR:/dir" shell -c 'sleep 7777' >/dev/null 2>&1 3>&- &
	pid=$!
	for _ in $(seq 200); do
		inner=$(pgrep -f '^sleep 7777$' | head -1) || true
		[ -z "$inner" ] || break
		sleep 0.05
	done
	[ -n "$inner" ]
	kill -9 "$pid"
	wait "$pid" 2>/dev/null || true
	for _ in $(seq 200); do [ -e "/proc/$inner" ] || break; sleep 0.05; done
	[ ! -e "/proc/$inner" ]
}

@test "the user network: out, names, published ports; none and host" {
	[ -w /dev/net/tun ] || skip "no /dev/net/tun"
	mkdir "$DIR/www"
	echo outside >"$DIR/www/f"
	(cd "$DIR/www" && exec python3 -u -m http.server --bind 127.0.0.1 0 >"$DIR/port" 2>&1 3>&-) &
	SERVER=$!
	for _ in $(seq 200); do ! grep -q port "$DIR/port" || break; sleep 0.05; done
	port=$(sed -n 's/.*port \([0-9]*\).*/\1/p' "$DIR/port")
	get='python3 -c "import urllib.request as u; print(u.urlopen(\"http://HOST/f\", timeout=20).read().decode().strip())"'
	[ "$(timeout 60 "$LODGE" run -v /usr:/usr:ro shell -c "${get/HOST/10.0.2.2:$port}")" = outside ]
	[ "$(run_sh "${get/HOST/127.0.0.1:$port}" --net host)" = outside ]
	try run_sh "${get/HOST/10.0.2.2:$port}"
	[ "$status" -ne 0 ]
	published=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	"$LODGE" run -p "$published:80" -v /usr:/usr:ro shell \
		-c 'cd /tmp; echo inside >f; exec timeout 50 python3 -m http.server 80' >/dev/null 2>&1 3>&- &
	pid=$!
	for _ in $(seq 100); do
		[ "$(curl -s -m 5 "http://127.0.0.1:$published/f")" != inside ] || break
		sleep 0.2
	done
	[ "$(curl -s -m 5 "http://127.0.0.1:$published/f")" = inside ]
	kill -TERM "$pid"
	wait "$pid" || true
	try lodge run -p "$port:80" -v /usr:/usr:ro shell # in use
	[ "$status" -eq 125 ]
	[[ $output == *"$port"* ]]
	try lodge run --net none -p 0:80 shell
	[ "$status" -eq 125 ]
	[[ $output == *"--net user"* ]]
}

@test "a user without rights runs images too" {
	[ "$(id -u)" = 0 ] || skip "is not root, and so cannot become another user"
	mkdir -p "$DIR/nobody"
	chown 65534:65534 "$DIR/nobody"
	chmod 755 "$DIR"
	as_nobody unshare -Urm true 2>/dev/null || skip "the kernel gives users no namespaces"
	as_nobody test -x "$LODGE" || skip "another user cannot run $LODGE from here"
	as_nobody "$LODGE" pull -q "$DIR/shell" --as shell
	try as_nobody "$LODGE" run --net none -v /usr:/usr:ro shell -c 'id -u; echo x >/new && cat /new; exit 6'
	[ "$status" -eq 6 ] && [[ $output == "0
x" ]]
	try as_nobody "$LODGE" run --net none -u ann -v /usr:/usr:ro shell
	[ "$status" -ne 0 ]
	[[ $output == *"--user 0"* ]]
	[ -z "$(ls -A "$DIR/nobody/data/lodge/containers")" ]
}

@test "root folders and bundles" {
	mkdir -p "$DIR/root/usr/bin" "$DIR/root/etc" "$DIR/root/bundle"
	for d in bin sbin lib lib64; do ln -s "usr/$d" "$DIR/root/$d"; done
	[ "$(timeout 60 "$LODGE" run --net none -v /usr:/usr:ro "$DIR/root" /bin/echo from a folder)" = "from a folder" ]
	mkdir "$DIR/bundle"
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
	try lodge run "$DIR/bundle"
	[ "$status" -eq 3 ]
	[ "$output" = "from a bundle" ]
	try lodge run "$DIR/bundle" with arguments
	[ "$status" -eq 125 ]
	[[ $output == *config.json* ]]
}

@test "an image of a registry is got by run; what is in use is not freed" {
	mkdir "$DIR/serve"
	cp -r "$DIR/shell" "$DIR/serve/app"
	python3 "$SERVE" "$DIR/serve" >/dev/null 2>&1 3>&- &
	SERVER=$!
	for _ in $(seq 200); do [ ! -e "$DIR/serve/port" ] || break; sleep 0.05; done
	name=localhost:$(cat "$DIR/serve/port")/app
	[ "$(timeout 60 "$LODGE" run --net none -v /usr:/usr:ro "$name" -c 'cat /top' 2>/dev/null)" = t ]
	lodge rmi shell
	mkfifo "$DIR/go"
	run_image() { timeout 60 "$LODGE" run --net none -v /usr:/usr:ro -v "$DIR:/dir" "$name" -c "$1"; }
	run_image 'echo up; cat /dir/go; cat /top' >"$DIR/out" 2>/dev/null 3>&- &
	pid=$!
	for _ in $(seq 200); do ! grep -q up "$DIR/out" || break; sleep 0.05; done
	lodge rmi "$name"
	[ -n "$(ls -A "$XDG_DATA_HOME/lodge/images/layers" | grep -v lock)" ]
	echo on >"$DIR/go"
	wait "$pid"
	[ "$(cat "$DIR/out")" = "up
on
t" ]
}

# A kept filter that allows all, at $1: good but for what "key=value" after it says.
allow_all() {
	python3 - "$@" <<-'END'
		import hashlib, os, struct, sys
		path = sys.argv[1]
		how = dict(a.split("=") for a in sys.argv[2:])
		name = how.get("name", os.path.basename(path))
		program = struct.pack("<HBBI", 6, 0, 0, 0x7fff0000)
		sha = hashlib.sha256(program + how.get("more", "").encode()).digest()
		with open(path + ".new", "wb") as f:
		    f.write(struct.pack("<II72s32s", 0x1062c0de, 1, name.encode(), sha) + program)
		os.chmod(path + ".new", int(how.get("mode", "600"), 8))
		os.chown(path + ".new", int(how.get("uid", os.geteuid())), -1)
		os.rename(path + ".new", path)
	END
}

@test "filters of system calls are made once for a user; what is not his, or not that, is not loaded" {
	cache=$XDG_CACHE_HOME/lodge/seccomp
	[ "$(run_sh 'unshare -U echo may' -o seccomp=off)" = may ] || skip "the kernel gives no user namespaces"
	[ ! -e "$cache" ]
	run_sh true
	[ "$(stat -c %a "$cache")" = 700 ]
	[ "$(ls "$cache" | wc -l)" = 1 ]
	file=$cache/$(ls "$cache") inode=$(stat -c %i "$cache"/*) sum=$(sha256sum <"$cache/$(ls "$cache")")
	run_sh true
	[ "$(stat -c %i "$file")" = "$inode" ]
	# as good as ours: loaded, so that what follows shows something
	allow_all "$file"
	[ "$(run_sh 'unshare -U echo may')" = may ]
	for bad in name=other mode=660 mode=606 more=x link fifo short folder; do
		rm -f "$file"
		case $bad in
		link) allow_all "$DIR/elsewhere" name="$(basename "$file")" && ln -s "$DIR/elsewhere" "$file" ;;
		fifo) mkfifo -m 600 "$file" ;;
		short) allow_all "$file" && truncate -s -1 "$file" ;;
		folder) allow_all "$file" && chmod 770 "$cache" ;;
		*) allow_all "$file" "$bad" ;;
		esac
		try run_sh 'unshare -U echo may'
		[ "$status" -ne 0 ] && [[ $output != *may* ]] || { echo "$bad: $status $output"; false; }
		# and it has been made anew
		[ "$bad" = folder ] || [ "$(sha256sum <"$file")" = "$sum" ] || { echo "$bad stays"; false; }
	done
	chmod 700 "$cache"
	if [ "$(id -u)" = 0 ]; then
		allow_all "$file" uid=65534
		try run_sh 'unshare -U echo may'
		[ "$status" -ne 0 ]
		[ "$(sha256sum <"$file")" = "$sum" ]
		chown 65534 "$cache"
		allow_all "$file"
		try run_sh 'unshare -U echo may'
		[ "$status" -ne 0 ]
	fi
}
