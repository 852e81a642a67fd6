#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# lodge cp: docker's rules, in both directions, of containers that run and that do not; and guests
# that change their files meanwhile. The image is that of container.bats.

source "$BATS_TEST_DIRNAME/container.sh"

setup() {
	home_begin
	shell_pull
	mkdir "$DIR/w"
	cd "$DIR/w" || return 1
}

teardown() { home_end; }

there() { # NAME: until it has made /ready
	for _ in $(seq 200); do ! lodge exec "$1" test -e /ready 2>/dev/null || return 0; sleep 0.05; done
	return 1
}
# What a folder has: type, mode, path, where links lead; and what files say.
listing() { (cd "$1" && find . -printf '%y %m %p %l\n' | sort && find . -type f -exec sh -c 'echo "$1: $(cat "$1")"' sh {} \; | sort); }
# where FILES go to, and what they say: of what is in the folder /d of c
tree_make() {
	mkdir -p src/sub/deep
	echo one >src/one
	echo two >src/sub/deep/two
	ln -s ../one src/sub/link
	ln -s nowhere src/dangling
	chmod 640 src/one
	chmod 700 src/sub
	chmod 2755 src/sub/deep
	touch -d '2001-02-03 04:05:06.789' src/one src/sub
}

rules() { # c NAME
	local c=$1
	tree_make
	echo file >f
	# a file: to a name, to a folder, over a file; not to a folder that is not there
	lodge cp f "$c:/d/new"
	lodge cp f "$c:/d"
	lodge cp f "$c:/d/"
	lodge cp "$c:/d/new" out
	[ "$(cat out)" = file ]
	echo other >f
	lodge cp f "$c:d/new"
	lodge cp "$c:/d/new" out
	[ "$(cat out)" = other ]
	mkdir -p o
	lodge cp "$c:/d/f" o
	[ "$(cat o/f)" = file ]
	try lodge cp f "$c:/d/none/"
	[ "$status" -eq 127 ]
	[[ $output == *"no folder"* ]]
	try lodge cp f "$c:/d/none/f"
	[ "$status" -eq 127 ]
	try lodge cp f "$c:/d/new/"
	[ "$status" -eq 125 ]
	try lodge cp nothing "$c:/d"
	[ "$status" -eq 127 ]
	[[ $output == *"nothing: No such file"* ]]
	try lodge cp "$c:/nothing" .
	[ "$status" -eq 127 ]
	try lodge cp "$c:/d/f" none/
	[ "$status" -eq 127 ]
	# a folder: becomes a new name, goes into one that is there, not over a file; /. is what is in it
	lodge cp src "$c:/d/copy"
	lodge cp src "$c:/d"
	lodge cp src/. "$c:/d/flat"
	lodge cp src/. "$c:/d/src"
	for d in copy src flat; do
		lodge cp "$c:/d/$d" "back-$d"
		[ "$(listing src | sed 's/^d 2755/d 755/' | sort)" = "$(listing "back-$d" | sort)" ]
	done
	[ "$(stat -c %y back-copy/one)" = "$(stat -c %y src/one)" ]
	[ "$(stat -c %y back-copy/sub)" = "$(stat -c %y src/sub)" ]
	try lodge cp src "$c:/d/f"
	[ "$status" -eq 125 ]
	[[ $output == *"no folder"* ]]
	mkdir into
	lodge cp "$c:/d/src/." into
	[ "$(cat into/sub/deep/two)" = two ]
	lodge cp "$c:/d/src" into
	[ "$(cat into/src/one)" = one ]
	# links: as links, or with -L what they lead to
	lodge cp "$c:/d/src/sub/link" o/link
	[ "$(readlink o/link)" = ../one ]
	lodge cp -L "$c:/d/src/sub/link" o/followed
	[ "$(cat o/followed)" = one ]
	[ ! -L o/followed ]
	ln -s src linked
	lodge cp -L linked "$c:/d"
	lodge cp "$c:/d/linked/one" o/one
	[ "$(cat o/one)" = one ]
	# a destination that is a link is where that leads, also to what is not there yet
	ln -s target o/to
	lodge cp "$c:/d/f" o/to
	[ -L o/to ]
	[ "$(cat o/target)" = file ]
	# tar streams
	lodge cp "$c:/d/src" - | tar tf - | grep -qx src/sub/deep/two
	mkdir un
	lodge cp "$c:/d/src/." - | tar xf - -C un
	[ "$(listing un)" = "$(listing src)" ]
	tar czf - src | lodge cp - "$c:/d/un" && return 1
	lodge cp un "$c:/d/un"
	tar czf - src | lodge cp - "$c:/d/un"
	lodge cp "$c:/d/un/src/one" o/un
	[ "$(cat o/un)" = one ]
	try lodge cp - "$c:/d/f" <<<"no tar"
	[ "$status" -ne 0 ]
}

@test "the rules of docker cp, of a container that runs" {
	start_sh c 'mkdir /d; touch /ready; exec sleep 1000'
	there c
	rules c
	[ "$(lodge exec c stat -c %u:%g:%a /d/src/one)" = 0:0:640 ]
	[ "$(lodge exec c stat -c %a /d/src/sub/deep)" = 2755 ]
}

@test "the same of one that does not, and what it gets is there when it runs" {
	lodge create --name c --net none -v /usr:/usr:ro shell -c 'cat /d/copy/one; exec sleep 1000' >/dev/null
	mkdir d
	lodge cp d c:/
	rules c
	lodge start c 3>&-
	for _ in $(seq 100); do [ "$(lodge logs c)" != one ] || break; sleep 0.05; done
	[ "$(lodge logs c)" = one ]
	lodge kill c
	lodge cp c:/d/copy/sub/deep/two after
	[ "$(cat after)" = two ]
	# nothing stays mounted
	! grep "$DIR" /proc/self/mountinfo
}

@test "volumes are seen as the container sees them, running or not; read-only ones stay so" {
	mkdir v r
	echo v >v/f
	start_sh c 'touch /ready; exec sleep 1000' -v "$PWD/v:/v" -v "$PWD/r:/r:ro"
	there c
	lodge exec c mkdir -p /v/sub
	for _ in running stopped; do
		lodge cp c:/v/f got
		[ "$(cat got)" = v ]
		rm got
		lodge cp got c:/v/got 2>/dev/null && return 1
		echo new >new
		lodge cp new c:/v/sub
		[ "$(cat v/sub/new)" = new ]
		rm v/sub/new
		[ "$(id -u)" != 0 ] || { try lodge cp new c:/r; [ "$status" -eq 125 ]; }
		[ -z "$(ls -A r)" ]
		lodge kill c 2>/dev/null || true
	done
	[ -z "$(find "$DIR/data/lodge/instances/c/container/upper" -path '*upper/v/*')" ]
}

@test "owners with -a, else root's and the caller's; set-id bits and devices stay in" {
	[ "$(id -u)" = 0 ] || skip "is not root"
	start_sh c 'touch /ready; exec sleep 1000'
	there c
	echo x >f
	chown 12:34 f
	chmod 4755 f
	lodge cp f c:/f
	lodge cp -a f c:/fa
	[ "$(lodge exec c stat -c %u:%g:%a /f)" = 0:0:4755 ]
	[ "$(lodge exec c stat -c %u:%g:%a /fa)" = 12:34:4755 ]
	lodge cp c:/fa out
	[ "$(stat -c %u:%g:%a out)" = 0:0:755 ]
	lodge cp -a c:/fa out
	[ "$(stat -c %u:%g:%a out)" = 12:34:755 ]
	mknod null c 1 3
	lodge cp null c:/null
	[ "$(lodge exec c stat -c %F:%t:%T /null)" = "character special file:1:3" ]
	try lodge cp c:/null back
	[ "$status" -eq 0 ]
	[[ $output == *"1 devices"* ]]
	[ ! -e back ]
	# a tar has its own owners
	tar cf - --owner=:7 --group=:8 f | lodge cp - c:/
	[ "$(lodge exec c stat -c %u:%g /f)" = 7:8 ]
	# what is mounted over a file is written, not replaced
	echo 127.0.0.1 me >hosts
	lodge cp hosts c:/etc/hosts
	[ "$(lodge exec c cat /etc/hosts)" = "127.0.0.1 me" ]
}

@test "no link of the guest leads out of it" {
	echo host >"$DIR/secret"
	mkdir "$DIR/target"
	start_sh c "mkdir -p '$DIR'; echo guest >'$DIR/secret'; ln -s '$DIR' /abs; ln -s ../../../../../../../..$DIR /up
		ln -s '$DIR/secret' /file; ln -s /proc/1/root/ /magic; mkdir /d; ln -s '$DIR/target' /d/target; touch /ready; exec sleep 1000"
	there c
	for _ in running stopped; do
		for p in /abs/secret /up/secret "../../..$DIR/secret"; do
			lodge cp "c:$p" got
			[ "$(cat got)" = guest ]
		done
		lodge cp -L c:/file got
		[ "$(cat got)" = guest ]
		rm -f got
		echo new >new
		try lodge cp new c:/d/target/new
		[ "$status" -ne 0 ]
		try lodge cp new c:/magic/new
		[ "$status" -ne 0 ]
		lodge cp new c:/abs/new
		[ ! -e "$DIR/new" ]
		[ -z "$(ls -A "$DIR/target")" ]
		[ "$(cat "$DIR/secret")" = host ]
		lodge kill c 2>/dev/null || true
	done
	# a tar of somebody's: names that would leave the folder
	python3 - <<'P'
import tarfile, io
for name, member in ("up", "../../up"), ("abs", "/abs-file"), ("link", "l/x"):
    with tarfile.open(name + ".tar", "w") as t:
        if name == "link":
            l = tarfile.TarInfo("l")
            l.type, l.linkname = tarfile.SYMTYPE, "/etc"
            t.addfile(l)
        i = tarfile.TarInfo(member)
        i.size = 1
        t.addfile(i, io.BytesIO(b"x"))
P
	try lodge cp - c:/d <up.tar
	[ "$status" -eq 125 ]
	[[ $output == *"would leave"* ]]
	try lodge cp - c:/d <link.tar
	[ "$status" -eq 125 ]
	[[ $output == *"leaves the folder"* ]]
	lodge cp - c:/d <abs.tar
	lodge cp c:/d/abs-file got
	[ "$(cat got)" = x ]
	[ ! -e /abs-file ]
}

@test "a guest that swaps folders and links while it is copied to and from" {
	mkdir "$DIR/target"
	echo host >"$DIR/target/f"
	start_sh c "mkdir -p /d/x '$DIR/target'; echo guest >/d/x/f; echo guest >'$DIR/target/f'; ln -s '$DIR/target' /d/y
		touch /ready; exec python3 -c '
import ctypes
c = ctypes.CDLL(None)
while True: c.renameat2(-100, b\"/d/x\", -100, b\"/d/y\", 2)'"
	there c
	for i in $(seq 40); do
		echo "$i" >n
		lodge cp n c:/d/x/new 2>/dev/null || true
		lodge cp n c:/d/x/f 2>/dev/null || true
		rm -rf got
		lodge cp c:/d/x got 2>/dev/null || mkdir got
		[ -z "$(find got -type f -exec grep -l host {} +)" ] # got may be a link of the guest's
		rm -rf got
		lodge cp c:/d got 2>/dev/null || mkdir -p got
		[ -z "$(find got -type f -exec grep -l host {} +)" ]
		[ "$(ls "$DIR/target")" = f ]
		[ "$(cat "$DIR/target/f")" = host ]
	done
}

@test "large, sparse, deep, odd: what is copied is whole, or refused and told" {
	start_sh c 'truncate -s 1T /holes; printf abc | dd of=/holes bs=1 seek=500G conv=notrunc status=none
		truncate -s 3G /empty; mkdir /o; printf l >/o/"$(printf "\\351t\\303\\251")"; touch /o/"a
b" /o/" " /o/-x; mkfifo /o/fifo
		mkdir -p /deep; cd /deep; for i in $(seq 250); do mkdir d; cd d; done; touch /ready; exec sleep 1000'
	there c
	lodge cp c:/holes holes
	[ "$(stat -c %s holes)" = $((1 << 40)) ]
	[ "$(stat -c %b holes)" -lt 100 ]
	[ "$(dd if=holes bs=1 skip=500G count=3 status=none)" = abc ]
	lodge cp c:/empty empty
	[ "$(stat -c %s empty)" = $((3 << 30)) ]
	[ "$(stat -c %b empty)" -lt 100 ]
	lodge cp c:/o o
	[ "$(ls -A o | wc -c)" = 19 ]
	[ "$(cat "o/$(printf '\351t\303\251')")" = l ]
	[ -p o/fifo ]
	try lodge cp c:/deep deep
	[ "$status" -eq 125 ]
	[[ $output == *"too many folders"* ]]
	head -c 20000000 /dev/urandom >big
	lodge cp big c:/big
	lodge cp c:/big again
	cmp big again
}

@test "a full disk, here or there: it is told, and no half file stays" {
	[ "$(id -u)" -eq 0 ] || skip "needs to mount"
	mkdir small
	mount -t tmpfs -o size=256k tmpfs small || skip "cannot mount"
	start_sh c 'head -c 1000000 /dev/zero | tr "\0" x >/big; touch /ready; exec sleep 1000' -v "$PWD/small:/small"
	there c
	try lodge cp c:/big small/big
	[ "$status" -eq 125 ]
	[[ $output == *"No space left"* ]]
	[ -z "$(ls -A small)" ]
	head -c 1000000 /dev/zero | tr '\0' x >big
	try lodge cp big c:/small
	[ "$status" -eq 125 ]
	[[ $output == *"No space left"* ]]
	[ -z "$(ls -A small)" ]
	lodge rm -f c
	umount small
}

@test "wrong use, and guests whose files are out of reach" {
	try lodge cp a b
	[ "$status" -eq 125 ]
	[[ $output == *"must be a guest's"* ]]
	try lodge cp c:a d:b
	[ "$status" -eq 125 ]
	try lodge cp none:/a b
	[ "$status" -eq 127 ]
	lodge create --name m demo >/dev/null
	try lodge cp m:/a b
	[ "$status" -eq 125 ]
	[[ $output == *"out of reach"* ]]
	echo x >a:b
	start_sh c 'touch /ready; exec sleep 1000'
	there c
	lodge cp ./a:b c:/
	[ "$(lodge exec c cat /a:b)" = x ]
}

@test "a user without rights copies, too" {
	[ "$(id -u)" = 0 ] || skip "is not root, and so cannot become another user"
	mkdir -p "$DIR/nobody/w"
	chown -R 65534:65534 "$DIR/nobody"
	chmod 755 "$DIR"
	as_nobody unshare -Urm true 2>/dev/null || skip "the kernel gives users no namespaces"
	as_nobody test -x "$LODGE" || skip "another user cannot run $LODGE from here"
	cd "$DIR/nobody/w"
	as_nobody "$LODGE" pull -q "$DIR/shell" --as shell
	as_nobody timeout 60 "$LODGE" run -d --name n --net none -v /usr:/usr:ro shell \
		-c 'mkdir -m 0 /shut; echo in >/f; chmod 600 /f; touch /ready; exec sleep 1000' 3>&-
	for _ in $(seq 100); do as_nobody "$LODGE" exec n test -e /ready 2>/dev/null && break; sleep 0.05; done
	echo out >"$DIR/f"
	for _ in running stopped; do
		as_nobody "$LODGE" cp n:/f got
		[ "$(cat got)" = in ]
		[ "$(stat -c %u got)" = 65534 ]
		as_nobody "$LODGE" cp "$DIR/f" n:/shut/f
		as_nobody "$LODGE" cp n:/shut/f back
		[ "$(cat back)" = out ]
		rm got back
		as_nobody "$LODGE" kill n 2>/dev/null || true
	done
	as_nobody "$LODGE" rm -f n
}
