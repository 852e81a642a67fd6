#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Container images without another tool: made by test/run/image/images.py, served by a registry of
# its own (registry.py), got by lodge pull. As root and, where namespaces are to be had, as nobody.

setup_file() {
	export TOP="$BATS_TEST_DIRNAME/../.."
	export MAKE="$BATS_TEST_DIRNAME/image/images.py" SERVE="$BATS_TEST_DIRNAME/image/registry.py"
}

setup() {
	DIR=$(mktemp -d /tmp/lodge-bats-XXXXXX)
	mkdir -m 700 "$DIR/run"
	export XDG_DATA_HOME=$DIR/data XDG_RUNTIME_DIR=$DIR/run XDG_CACHE_HOME=$DIR/cache
	export XDG_CONFIG_HOME=$DIR/config HOME=$DIR/home
	unset "${!LODGE_@}" REGISTRY_AUTH_FILE DOCKER_CONFIG http_proxy https_proxy 2>/dev/null || true
	export LODGE="$BATS_TEST_DIRNAME/../../build/lodge"
	STORE=$XDG_DATA_HOME/lodge/images
	mkdir "$DIR/serve"
}

teardown() {
	[ -z "${SERVER:-}" ] || { kill "$SERVER"; wait "$SERVER" 2>/dev/null || true; }
	! grep -q "$DIR" /proc/self/mountinfo
	rm -rf "$DIR"
}

lodge() { "$LODGE" "$@"; }
try() { output=$("$@" 2>&1) && status=0 || status=$?; }
make_image() { python3 "$MAKE" "$@"; }

# Serve the layouts of $DIR/serve; PORT says where.
serve() {
	rm -f "$DIR/serve/port" "$DIR/serve/log"
	python3 "$SERVE" "$DIR/serve" "$@" >/dev/null 2>&1 3>&- &
	SERVER=$!
	for _ in $(seq 200); do
		[ ! -e "$DIR/serve/port" ] || break
		sleep 0.05
	done
	PORT=$(cat "$DIR/serve/port")
}

unserve() {
	kill "$SERVER"
	wait "$SERVER" 2>/dev/null || true
	SERVER=
}

# The folders of the only image there is, seen as one, to the command after.
seen() {
	local lower
	lower=$(python3 - "$STORE" <<-'PY'
		import glob, json, sys
		with open(glob.glob(sys.argv[1] + "/names/*")[0]) as f:
		    layers = json.load(f)["layers"]
		print(":".join("%s/layers/%s/fs" % (sys.argv[1], l) for l in reversed(layers)))
	PY
	)
	mkdir -p "$DIR/seen"
	case $lower in
	*:*) unshare -m sh -c 'mount -t overlay o -o ro,lowerdir="$1" "$2" && cd "$2" && shift 2 && "$@"' \
		sh "$lower" "$DIR/seen" "$@" ;;
	*) (cd "$lower" && "$@") ;;
	esac
}

# As a user without rights: a folder of his own, in which the tests' files can be read.
as_nobody() {
	if [ ! -e "$DIR/nobody" ]; then
		chmod 755 "$DIR"
		mkdir -p "$DIR/nobody/run"
		chown -R 65534:65534 "$DIR/nobody"
		chmod 700 "$DIR/nobody" "$DIR/nobody/run"
	fi
	setpriv --reuid=65534 --regid=65534 --clear-groups env XDG_DATA_HOME="$DIR/nobody/data" \
		XDG_RUNTIME_DIR="$DIR/nobody/run" XDG_CACHE_HOME="$DIR/nobody/cache" \
		HOME="$DIR/nobody" "$@"
}
need_nobody() {
	[ "$(id -u)" = 0 ] || skip "is not root, and so cannot become another user"
	setpriv --reuid=65534 --regid=65534 --clear-groups unshare -Urm true 2>/dev/null ||
		skip "the kernel gives users no namespaces"
	setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$LODGE" ||
		skip "another user cannot run $LODGE from here"
}

plain_is_right() {
	seen sh -euc '
		[ "$(cat etc/name)" = upper ]
		[ ! -e etc/gone ]
		[ ! -e nothing ]
		[ "$(ls -A old)" = new ]
		[ ! -e old/deep ]
		[ "$(cat kept)" = "a file now" ]
		[ "$(cat usr/lib/more)" = 2 ]
		[ "$(cat usr/lib/so)" = 1 ]
		[ -L lib ]
		[ "$(stat -c %a su)" = 4755 ]
		[ "$(stat -c %a closed)" = 555 ]
		[ "$(stat -c %a.%Y owned)" = 644.1234567890 ]
		[ "$(cat third)" = twin ]
		[ "$(stat -c %h third)" = 2 ]
		[ "$(stat -c %a implied)" = 700 ]
		[ "$(cat implied/in)" = in ]
		[ "$(cat näme)" = utf8 ]
		[ "$(cat d*/f*)" = long ]
		! ls -A | grep -q "^\.wh\."'
}

@test "a folder with an OCI layout: pulled, listed, removed, and all of its space is free again" {
	make_image plain "$DIR/plain" tag=v1
	try lodge pull "oci:$DIR/plain:v1"
	[ "$status" -eq 0 ]
	[ "${output##*$'\n'}" = localhost/plain:v1 ]
	plain_is_right
	seen sh -euc '[ "$(stat -c %u:%g owned)" = 1234:4321 ] && [ "$(stat -c %u:%g implied)" = 7:8 ]'
	seen python3 -c 'import os; assert os.listxattr("attr") == ["user.colour"], os.listxattr("attr")'
	lodge images | grep -E '^localhost/plain:v1 +plain:v1 +[0-9a-f]{12} +[0-9]+ +(now|[0-9]+ second)'
	digest=$(lodge images --format json | python3 -c '
import json, sys
one, = [i for i in json.load(sys.stdin) if "digest" in i]
assert one["platform"] == "linux/amd64" and one["size"] > 0
print(one["digest"][7:19])')
	[ "$(lodge rmi "$digest")" = "$digest" ]
	[ -z "$(find "$STORE" -type f ! -name lock)" ]
	[ -z "$(ls -A "$STORE/layers")" ]
	try lodge rmi localhost/plain:v1
	[ "$status" -eq 127 ]
	[[ $output == *"there is no image"* ]]
}

@test "every compression, both archives, and docker's own form give the same files" {
	for how in none gzip zstd; do
		make_image plain "$DIR/$how" compress=$how tag=x
		lodge pull -q --as "$how:1" "$DIR/$how"
		plain_is_right
		lodge rmi "$how:1"
	done
	tar -C "$DIR/gzip" -cf "$DIR/one.tar" .
	tar -C "$DIR/gzip" -czf "$DIR/two.tar.gz" oci-layout blobs index.json
	[ "$(lodge pull -q "$DIR/one.tar")" = localhost/one:x ]
	plain_is_right
	lodge rmi localhost/one:x
	lodge pull -q "oci-archive:$DIR/two.tar.gz:x" --as two
	plain_is_right
	lodge rmi two
	python3 "$MAKE" save "$DIR/gzip" "$DIR/saved.tar"
	[ "$(lodge pull -q "$DIR/saved.tar")" = localhost/saved/image:v1 ]
	plain_is_right
	[ -z "$(ls -A "$STORE/partial")" ]
}

@test "an index chooses by platform, and says what there is" {
	make_image plain "$DIR/two" arch=riscv64,s390x
	try lodge pull "$DIR/two" --platform linux/arm64
	[ "$status" -eq 127 ]
	[[ $output == *"nothing for linux/arm64/v8; it has linux/riscv64, linux/s390x"* ]]
	lodge pull -q "$DIR/two" --platform riscv64
	[ "$(seen cat arch)" = riscv64 ]
	make_image plain "$DIR/one" arch=s390x
	try lodge pull "$DIR/one" --platform riscv64
	[ "$status" -eq 127 ]
	[[ $output == *"for linux/s390x only"* ]]
}

@test "a registry: by tag and digest, with parallel layers, once only" {
	digest=$(make_image big "$DIR/serve/app" tag=v1)
	serve
	[ "$(lodge pull -q "localhost:$PORT/app:v1")" = "localhost:$PORT/app:v1" ]
	[ "$(seen ls | grep -c ^big)" = 5 ]
	n=$(grep -c blobs/ "$DIR/serve/log")
	[ "$n" = 7 ]
	lodge pull -q "127.0.0.1:$PORT/app@$digest"
	[ "$(grep -c blobs/ "$DIR/serve/log")" = 7 ]
	lodge rmi "localhost:$PORT/app:v1"
	[ "$(seen ls | grep -c ^big)" = 5 ] # the other name has it still
	for name in app:nothing nothing:v1; do
		try lodge pull "localhost:$PORT/$name"
		[ "$status" -eq 127 ]
		[[ $output == *"$name is not there"* ]]
	done
	# a name without a host: of a registry by the setting, of what is here by its end
	try lodge pull app:v1
	[ "$status" -eq 127 ]
	[[ $output == *"registry=HOST"* ]]
	[ "$(LODGE_REGISTRY=localhost:$PORT lodge pull -q app:v1)" = "localhost:$PORT/app:v1" ]
	lodge rmi app:v1
	try lodge rmi app:v1
	[ "$status" -eq 127 ]
	unserve
	try lodge pull "localhost:$PORT/app:v1"
	[ "$status" -eq 125 ]
	[[ $output == *"localhost:$PORT"* ]]
}

@test "a broken connection goes on from where it was, within one pull and the next" {
	make_image big "$DIR/serve/app" big=300000
	serve cut=100000
	lodge pull -q "localhost:$PORT/app"
	[ "$(grep -c 'bytes=100000-' "$DIR/serve/log")" = 5 ]
	lodge rmi "localhost:$PORT/app"
	unserve
	# a server without ranges begins anew
	serve cut=100000 noranges=1
	lodge pull -q "localhost:$PORT/app"
	lodge rmi "localhost:$PORT/app"
	unserve
	# what an earlier pull has left
	serve slow=30
	"$LODGE" pull -q "localhost:$PORT/app" 3>&- &
	pid=$!
	for _ in $(seq 400); do
		[ "$(find "$STORE/partial" -size +100k 2>/dev/null | wc -l)" -lt 3 ] || break
		sleep 0.05
	done
	kill -9 "$pid"
	wait "$pid" 2>/dev/null || true
	unserve
	serve
	lodge pull -q "localhost:$PORT/app"
	[ "$(grep -c 'bytes=[1-9]' "$DIR/serve/log")" = 3 ]
	[ "$(seen sh -c 'cat big*' | wc -c)" = 1500000 ]
}

@test "a layer that is deeper than there are descriptors can be removed again" {
	make_image deeper "$DIR/deeper"
	lodge pull -q "$DIR/deeper" --as deeper
	lodge rmi deeper
	[ -z "$(ls "$STORE/layers")" ]
	[ -z "$(ls "$STORE/names")" ]
}

@test "a wrong digest and a wrong size are refused, and nothing of them stays" {
	make_image big "$DIR/serve/app" big=100000
	blob=$(ls -S "$DIR/serve/app/blobs/sha256" | sed -n 2p)
	serve flip="$blob"
	try lodge pull "localhost:$PORT/app"
	[ "$status" -eq 125 ]
	[[ $output == *"what came is not sha256:$blob"*"changed on the way"* ]]
	[ ! -e "$STORE/partial/sha256-$blob" ]
	[ ! -e "$STORE/blobs/sha256/$blob" ]
	[ -z "$(ls -A "$STORE/names")" ]
	unserve
	cp -r "$DIR/serve/app" "$DIR/longer"
	chmod -R u+w "$DIR/longer"
	echo x >>"$DIR/longer/blobs/sha256/$blob"
	try lodge pull "$DIR/longer"
	[ "$status" -eq 125 ]
	[[ $output == *"$blob: more comes than the"* ]]
	truncate -s 1000 "$DIR/longer/blobs/sha256/$blob"
	rm -f "$STORE/partial"/*
	try lodge pull "$DIR/longer"
	[ "$status" -eq 125 ]
	[[ $output == *"$blob: 1000 bytes came, not the"* ]]
	# the document by which all else is found, too
	manifest=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1] + "/index.json"))["manifests"][0]["digest"][7:])' "$DIR/serve/app")
	cp -r "$DIR/serve/app" "$DIR/other"
	chmod -R u+w "$DIR/other"
	sed -i 's/"schemaVersion": 2/"schemaVersion":2 /' "$DIR/other/blobs/sha256/$manifest"
	[ "$(stat -c %s "$DIR/other/blobs/sha256/$manifest")" = "$(stat -c %s "$DIR/serve/app/blobs/sha256/$manifest")" ]
	try lodge pull "$DIR/other"
	[ "$status" -eq 125 ]
	[[ $output == *"what came is not sha256:$manifest"* ]]
	tar -C "$DIR/other" -cf "$DIR/other.tar" .
	try lodge pull "oci-archive:$DIR/other.tar"
	[ "$status" -eq 125 ]
	[[ $output == *"what came is not sha256:$manifest"* ]]
	[ -z "$(ls -A "$STORE/names")" ]
	try lodge pull --max-unpacked 50k "$DIR/serve/app"
	[ "$status" -eq 125 ]
	[[ $output == *"layer 2 of "*"more than it may unpack to"* ]]
	[ ! -e "$STORE/blobs/sha256/$blob" ]
	for file in index.json oci-layout; do
		cp -r "$DIR/serve/app" "$DIR/bad-$file"
		echo '{"schemaVersion": "two"' >"$DIR/bad-$file/$file"
		try lodge pull "$DIR/bad-$file"
		[ "$status" -eq 125 ]
		[[ $output == *"bad-$file/$file: damaged JSON"* ]]
	done
}

@test "a registry that is busy, wants tokens or passwords, or sends elsewhere" {
	make_image plain "$DIR/serve/app"
	mkdir -p "$HOME/.docker" "$XDG_CONFIG_HOME/containers"
	serve busy=2
	lodge pull -q "localhost:$PORT/app"
	lodge rmi "localhost:$PORT/app"
	unserve
	for kind in token basic; do
		serve $kind=user:pass:word moved=1
		try lodge pull "127.0.0.1:$PORT/app"
		[ "$status" -eq 126 ] && [[ $output == *"podman login"* || $output == *"no token"* ]]
		auth=$(printf %s user:pass:word | base64)
		echo "{\"auths\": {\"127.0.0.1:$PORT\": {\"auth\": \"$auth\"}}}" >"$HOME/.docker/config.json"
		lodge pull -q "127.0.0.1:$PORT/app"
		lodge rmi "127.0.0.1:$PORT/app"
		echo "{\"auths\": {\"127.0.0.1:$PORT\": {\"auth\": \"dTp3cm9uZw==\"}}}" \
			>"$XDG_CONFIG_HOME/containers/auth.json"
		try lodge pull "127.0.0.1:$PORT/app"
		[ "$status" -eq 126 ]
		[[ $output != *pass:word* ]]
		REGISTRY_AUTH_FILE=$HOME/.docker/config.json lodge pull -q "127.0.0.1:$PORT/app"
		lodge rmi "127.0.0.1:$PORT/app"
		rm -f "$XDG_CONFIG_HOME/containers/auth.json" "$HOME/.docker/config.json"
		unserve
	done
}

# Debian's registry with the folder $DIR/registry, on a free port; what it is asked for in $DIR/asked.
serve_debian() {
	PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	cat >"$DIR/registry.yml" <<-END
		version: 0.1
		storage: {filesystem: {rootdirectory: $DIR/registry}}
		http: {addr: "127.0.0.1:$PORT"}
	END
	docker-registry serve "$DIR/registry.yml" >>"$DIR/asked" 2>&1 3>&- &
	SERVER=$!
	for _ in $(seq 200); do
		! curl -sf "http://127.0.0.1:$PORT/v2/" >/dev/null || return 0
		sleep 0.05
	done
	cat "$DIR/asked"
	return 1
}

# push LAYOUT NAME TAG: what a registry is filled with, by OCI-Dist 1.1 "Push".
push() {
	local at="http://127.0.0.1:$PORT/v2/$2" blob to
	for blob in "$1"/blobs/sha256/*; do
		to=$(curl -sfi -X POST "$at/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
		curl -sf -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$blob" \
			"$to&digest=sha256:$(basename "$blob")" || { echo "push of $blob"; return 1; }
	done
	blob=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1] + "/index.json"))["manifests"][0]["digest"][7:])' "$1")
	curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' \
		--data-binary "@$1/blobs/sha256/$blob" "$at/manifests/$3"
}

@test "Debian's docker-registry: by tag and digest, resumed, and not believed" {
	command -v docker-registry >/dev/null || skip "no docker-registry is installed"
	digest=$(make_image big "$DIR/app" tag=v1)
	serve_debian
	push "$DIR/app" lodge/app v1
	[ "$(lodge pull -q "localhost:$PORT/lodge/app:v1")" = "localhost:$PORT/lodge/app:v1" ]
	[ "$(seen ls | grep -c ^big)" = 5 ]
	lodge images --format json | grep -q "\"digest\": *\"$digest\""
	lodge pull -q "127.0.0.1:$PORT/lodge/app@$digest"
	for name in lodge/app:nothing lodge/nothing:v1; do
		try lodge pull "localhost:$PORT/$name"
		[ "$status" -eq 127 ]
		[[ $output == *"$name is not there"* ]]
	done
	lodge rmi "localhost:$PORT/lodge/app:v1" "127.0.0.1:$PORT/lodge/app@$digest"
	[ -z "$(find "$STORE" -type f ! -name lock ! -name .lock)" ]
	# the first part of a layer is here from a pull that was ended
	blob=$(ls -S "$DIR/app/blobs/sha256" | sed -n 2p)
	head -c 300000 "$DIR/app/blobs/sha256/$blob" >"$STORE/partial/sha256-$blob"
	: >"$DIR/asked"
	lodge pull -q "localhost:$PORT/lodge/app:v1"
	[ "$(seen sh -c 'cat big*' | wc -c)" = $((5 << 20)) ]
	[ "$(grep -c "GET /v2/lodge/app/blobs/sha256:$blob HTTP/1.1\" 206 " "$DIR/asked")" = 1 ]
	[ "$(grep -c 'HTTP/1.1" 206 ' "$DIR/asked")" = 1 ]
	lodge rmi "localhost:$PORT/lodge/app:v1"
	# one byte of it is another
	printf '\x55' | dd of="$DIR/registry/docker/registry/v2/blobs/sha256/${blob:0:2}/$blob/data" \
		bs=1 seek=5000 conv=notrunc status=none
	try lodge pull "localhost:$PORT/lodge/app:v1"
	[ "$status" -eq 125 ]
	[[ $output == *"what came is not sha256:$blob"* ]]
	[ ! -e "$STORE/blobs/sha256/$blob" ]
	[ -z "$(ls -A "$STORE/names")" ]
}

# The layers of case $1 are refused with $2, and outside is as it was.
refused() {
	local out="$DIR/victim"
	mkdir -p "$out"
	echo untouched >"$out/victim"
	chmod 750 "$out"
	make_image "$1" "$DIR/$1" to="$out"
	try lodge pull "$DIR/$1"
	[ "$status" -eq 125 ] || { echo "$1: $status $output"; return 1; }
	[[ $output == *"$2"* ]] || { echo "$1: $output"; return 1; }
	[ "$(cat "$out/victim")" = untouched ]
	[ "$(ls -A "$out")" = victim ]
	[ "$(stat -c %a.%h "$out" "$out/victim" | tr '\n' ' ')" = "750.2 644.1 " ]
	[ -z "$(find / -xdev -maxdepth 1 -name 'escaped')" ]
	[ -z "$(ls -A "$STORE/names")" ]
	[ "$(ls -A "$STORE/layers")" = .lock ]
}

@test "layers that reach out are refused: by .., by links of every kind, by whiteouts" {
	refused dotdot "would leave the layer"
	refused dotdot-in "would leave the layer"
	refused link-out "goes by a link that leaves the layer"
	refused link-up "goes by a link that leaves the layer"
	refused hard-out "would leave the layer"
	refused hard-link "goes by a link that leaves the layer"
	for two in link-out-lower white-out opaque-link; do # the first layer of these is innocent
		make_image "$two" "$DIR/$two" to="$DIR/victim"
		try lodge pull "$DIR/$two"
		[ "$status" -eq 125 ]
		[[ $output == *"layer 2 of 2"*"leaves the layer"* ]]
		[ "$(cat "$DIR/victim/victim")" = untouched ]
	done
	rm -rf "$STORE/layers"
	refused root-file "the root of the layer is no folder"
	refused deep "too long or too deep"
	refused whiteout-device "which is a whiteout"
	refused truncated "layer 1 of 1"
}

@test "what is only odd stays inside: absolute names, a file or folder in the place of a link" {
	mkdir -p "$DIR/victim"
	echo untouched >"$DIR/victim/victim"
	for one in absolute link-file chmod-link white-dots empty; do
		make_image "$one" "$DIR/$one" to="$DIR/victim"
		lodge pull -q --as "$one" "$DIR/$one"
		case $one in
		absolute) [ "$(seen cat plain)" = x ] ;;
		link-file) seen sh -c '[ ! -L file ] && [ "$(cat file)" = x ]' ;;
		chmod-link) seen sh -c '[ ! -L d ] && [ "$(stat -c %a d)" = 777 ]' ;;
		white-dots) [ "$(seen cat a/f)" = x ] ;;
		esac
		lodge rmi "$one"
	done
	[ "$(cat "$DIR/victim/victim")" = untouched ]
	[ "$(stat -c %a "$DIR/victim")" != 777 ]
}

@test "a layer that unpacks to far more than it is, is a bomb unless it is allowed" {
	for how in gzip zstd; do
		make_image bomb "$DIR/$how" compress=$how
		try lodge pull "$DIR/$how"
		[ "$status" -eq 125 ]
		[[ $output == *"decompression bomb"*"--max-unpacked"* ]]
		[ "$(ls -A "$STORE/layers")" = .lock ]
	done
	try lodge pull --max-unpacked 100M "$DIR/gzip"
	[ "$status" -eq 125 ]
	[[ $output == *"more than the 100 MiB that are allowed"* ]]
	lodge pull -q --max-unpacked 200M "$DIR/gzip"
	[ "$(seen stat -c %s zeros)" = 134217728 ]
}

@test "device nodes: made by root, left out for others with a warning" {
	make_image devices "$DIR/devices"
	lodge pull -q "$DIR/devices"
	[ "$(seen stat -c '%F %t:%T %a' dev/null)" = "character special file 1:3 666" ]
	[ "$(seen stat -c '%F %t:%T' dev/disk)" = "block special file 8:0" ]
	need_nobody
	try as_nobody "$LODGE" pull -q "$DIR/devices"
	[ "$status" -eq 0 ]
	[[ $output == *"2 device nodes were left out"* ]]
	[ -z "$(find "$DIR/nobody/data" -type c -o -type b)" ]
	[ -n "$(find "$DIR/nobody/data" -type p)" ]
}

@test "a user without rights: the same files, all his own" {
	need_nobody
	make_image plain "$DIR/plain"
	try as_nobody "$LODGE" pull -q "$DIR/plain"
	[ "$status" -eq 0 ]
	[[ $output == *"files of other owners belong to you"* ]]
	STORE=$DIR/nobody/data/lodge/images
	[ -z "$(find "$STORE" ! -user 65534 -print -quit)" ]
	lower=$(python3 -c 'import glob, json, sys
print(":".join("%s/layers/%s/fs" % (sys.argv[1], l) for l in reversed(json.load(open(glob.glob(sys.argv[1] + "/names/*")[0]))["layers"])))' "$STORE")
	mkdir "$DIR/nobody/m"
	chown 65534:65534 "$DIR/nobody/m"
	as_nobody unshare -Urm sh -euc 'mount -t overlay o -o ro,userxattr,lowerdir="$1" "$2"; cd "$2"
		[ "$(cat etc/name)" = upper ]
		[ ! -e etc/gone ]
		[ "$(ls -A old)" = new ]
		[ "$(cat usr/lib/more)" = 2 ]
		[ "$(stat -c %a su)" = 4755 ]
		[ "$(cat third)" = twin ]
		' sh "$lower" "$DIR/nobody/m"
	as_nobody "$LODGE" rmi localhost/plain
	[ -z "$(ls -A "$STORE/layers")" ]
}

@test "kill -9 at any moment of a pull leaves nothing half-made" {
	make_image big "$DIR/serve/app" big=2000000
	python3 "$MAKE" plain "$DIR/serve/plain"
	serve
	for i in $(seq "${LODGE_KILLS:-12}"); do
		"$LODGE" pull -q "localhost:$PORT/app" >/dev/null 2>&1 3>&- &
		pid=$!
		sleep "0.$(printf %03d $((i * 17 % 211)))"
		kill -9 "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
		# every blob is what its name says
		(cd "$STORE/blobs/sha256" 2>/dev/null || exit 0; for f in *; do
			[ "$f" = '*' ] || [ "$(sha256sum <"$f")" = "$f  -" ] || exit 1; done)
		for l in "$STORE"/layers/[0-9a-f]*; do
			[ ! -e "$l" ] || { [ -s "$l/size" ] && [ -e "$l/fs" ]; }
		done
		lodge images >/dev/null
		[ $((i % 4)) -ne 0 ] || lodge rmi "localhost:$PORT/app" 2>/dev/null || true
	done
	lodge pull -q "localhost:$PORT/app"
	[ "$(seen sh -c 'cat big*' | wc -c)" = 10000000 ]
	[ -z "$(find "$STORE/layers" -maxdepth 1 -name '.new-*')" ]
	lodge rmi "localhost:$PORT/app"
	[ -z "$(ls -A "$STORE/layers" "$STORE/blobs/sha256" | grep -E '[0-9a-f]{32}')" ]
}

@test "a full disk is said, and nothing half-made stays" {
	[ "$(id -u)" = 0 ] || skip "only root mounts a small file system"
	make_image big "$DIR/big" big=3000000 compress=none
	mkdir -p "$XDG_DATA_HOME"
	unshare -m sh -c 'mount -t tmpfs -o size=8m none "$1" && shift && "$@"; r=$?
		find "$XDG_DATA_HOME" -name ".new-*" -o -path "*/names/*" | grep . && exit 1; exit $r' \
		sh "$XDG_DATA_HOME" "$LODGE" pull -q "$DIR/big" >"$DIR/said" 2>&1 && r=0 || r=$?
	cat "$DIR/said"
	[ "$r" -eq 125 ] && grep -q "No space left on device" "$DIR/said"
}

@test "pulls at the same time share what they get" {
	make_image big "$DIR/serve/app"
	serve
	for i in 1 2 3 4; do
		"$LODGE" pull -q --as "copy:$i" "localhost:$PORT/app" >"$DIR/out$i" 2>&1 3>&- &
		pids[$i]=$!
	done
	for i in 1 2 3 4; do wait "${pids[$i]}"; done
	[ "$(grep -c blobs/ "$DIR/serve/log")" = 7 ]
	[ "$(lodge images -q | grep -c ^copy:)" = 4 ]
	# and what is removed meanwhile waits
	lodge rmi copy:1 copy:2 copy:3
	[ "$(seen ls | grep -c ^big)" = 5 ]
}

@test "names that are none, sources that are none" {
	for bad in 'UPPER' 'a:b:c' 'x@sha256:12' '-x/y'; do
		try lodge pull -- "$bad"
		[ "$status" -ne 0 ] && [[ $output == *"image name '$bad'"* ]] || { echo "$bad: $output"; false; }
	done
	try lodge pull "$DIR"
	[ "$status" -ne 0 ]
	echo text >"$DIR/text"
	try lodge pull "$DIR/text"
	[ "$status" -eq 125 ]
	[[ $output == *"$DIR/text"* ]]
	try lodge pull --platform a/b/c/d x
	[ "$status" -eq 125 ]
	[[ $output == *"is no platform"* ]]
	try lodge pull --tls-verify perhaps x
	[ "$status" -eq 125 ]
	[[ $output == *"--tls-verify is true or false"* ]]
}
