#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Options of run that docker and podman have, with their meanings. The programs of the image are the
# host's, by -v /usr:/usr:ro.

source "$BATS_TEST_DIRNAME/container.sh"

setup() {
	home_begin
	python3 "$MAKE" people "$DIR/people"
	[ "$(id -u)" != 0 ] || lodge pull -q "$DIR/people" --as people
}

teardown() { home_end; }

image_sh() { lodge run --net none -v /usr:/usr:ro --user 0 "${@:2}" people -c "$1"; }
need_root() { [ "$(id -u)" = 0 ] || skip "is not root"; }

@test "tmpfs, shm-size, mount: what is mounted, and how" {
	need_root
	mkdir "$DIR/given"
	echo text >"$DIR/given/file"
	image_sh 'grep -E " /(t|m|dev/shm|given|vol) " /proc/mounts; cat /given/file; stat -c %a /t' \
		--tmpfs /t:size=1m,mode=700 --shm-size 2M --mount type=tmpfs,dst=/m,tmpfs-size=4k,readonly \
		--mount "type=bind,src=$DIR/given,target=/given,ro" --mount source=vol,target=/vol >"$DIR/out"
	cat "$DIR/out"
	grep -q '^tmpfs /t tmpfs rw,nosuid,nodev,noexec,.*size=1024k,mode=700' "$DIR/out"
	grep -q '^tmpfs /m tmpfs ro,.*size=4k' "$DIR/out"
	grep -q '^shm /dev/shm tmpfs .*size=2048k' "$DIR/out"
	grep -q ' /given .* ro,' "$DIR/out"
	grep -q ' /vol .* rw,' "$DIR/out"
	[ "$(tail -n 2 "$DIR/out")" = "text
700" ]
	[ "$(lodge volume ls -q)" = vol ]
}

@test "limits, parameters of the kernel, groups" {
	need_root
	[ "$(image_sh 'ulimit -Sn; ulimit -Hn; ulimit -Sc; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; id -G' \
		--ulimit nofile=100:200 --ulimit core=0 --sysctl net.ipv4.ip_unprivileged_port_start=99 \
		--group-add 77 --group-add 78)" = "100
200
0
99
0 77 78" ]
}

@test "devices: those that are given, as they are given, and no others" {
	need_root
	[ -c /dev/fuse ] || skip "the host has no /dev/fuse"
	try image_sh 'ls -1 /dev/fuse /dev/x; cat /dev/fuse; python3 -c "open(\"/dev/x\", \"w\")"' \
		--device /dev/fuse:/dev/x:r
	[[ $output == *"/dev/x"*"'/dev/fuse': No such"*  || $output == *"'/dev/fuse': No such"*"/dev/x"* ]]
	[[ $output == *PermissionError* ]]
	[ "$(image_sh 'test -c /dev/fuse && echo yes' --device /dev/fuse --userns auto)" = yes ]
}

@test "names: hosts and resolvers, also in a network with a bridge" {
	need_root
	[ "$(image_sh 'grep -F 'a.b' /etc/hosts; cat /etc/resolv.conf' --add-host a.b:1.2.3.4 --dns 9.9.9.9 --dns ::1)" = "1.2.3.4	a.b
nameserver 9.9.9.9
nameserver ::1" ]
	try lodge run --net bridge -v /usr:/usr:ro --user 0 --add-host a.b:1.2.3.4 --dns 9.9.9.9 people \
		-c 'grep -F 'a.b' /etc/hosts; cat /etc/resolv.conf'
	echo "$output"
	[[ $output != *nf_tables* ]] || skip "$output"
	[ "$output" = "1.2.3.4	a.b
nameserver 9.9.9.9" ]
}

@test "rights: no new privileges, profiles of system calls, everything" {
	need_root
	status='grep -E "NoNew|Seccomp:" /proc/self/status | tr -d "\t\n"'
	[ "$(image_sh "$status" --security-opt no-new-privileges)" = NoNewPrivs:1Seccomp:2 ]
	[ "$(image_sh "$status" --security-opt seccomp=unconfined)" = NoNewPrivs:0Seccomp:0 ]
	cat >"$DIR/profile" <<'END'
{"defaultAction": "SCMP_ACT_ALLOW", "archMap": [{"architecture": "SCMP_ARCH_X86_64"}], "syscalls": [
 {"names": ["chmod", "fchmodat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95},
 {"name": "mkdir", "action": "SCMP_ACT_ERRNO", "errnoRet": 95, "includes": {"caps": ["CAP_CHOWN"]}},
 {"names": ["symlink", "symlinkat"], "action": "SCMP_ACT_ERRNO", "excludes": {"caps": ["CAP_CHOWN"]}},
 {"names": ["unlink", "unlinkat"], "action": "SCMP_ACT_ERRNO", "includes": {"arches": ["arm64"]}},
 {"names": ["rmdir"], "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": "99.0"}}]}
END
	try image_sh 'touch /f; chmod 1 /f; mkdir /d; ln -s x /l && rm /l; rmdir /home/x' \
		--security-opt seccomp="$DIR/profile" -v keep:/home/x
	[[ $output == *"chmod: "*"Operation not supported"* ]]
	[[ $output == *"mkdir: "*"Operation not supported"* ]]
	[[ $output != *symlink* && $output != *"rm:"* ]]
	[[ $output == *"rmdir: "*busy* ]]
	mkdir "$DIR/at"
	cp "$DIR/profile" "$DIR/at"
	(cd "$DIR/at" && lodge run -d --name p --net none -v /usr:/usr:ro --user 0 --security-opt seccomp=profile people \
		-c 'touch /f; chmod 1 /f' 3>&-) # found from anywhere
	said p "Operation not supported"
	[ "$(image_sh 'mkdir /m; mount -t tmpfs x /m && echo mounted; test -c /dev/loop-control && echo devices; grep -c . /proc/kallsyms >/dev/null && grep Seccomp: /proc/self/status | tr -d "\t"' \
		--privileged)" = "mounted
devices
Seccomp:0" ]
}

@test "the signal of stop" {
	need_root
	lodge run -d --name s --net none -v /usr:/usr:ro --stop-signal USR1 --user 0 people \
		-c 'trap "echo usr1; exit 4" USR1; echo up; while :; do sleep 0.1; done' 3>&-
	said s up
	lodge stop s
	[ "$(lodge wait s)" = 4 ]
}

@test "the environment: from here, from files; the last one counts" {
	need_root
	printf '# a comment\n A=1\nHERE\n\nB=x y\r\nPRE*\n' >"$DIR/env"
	[ "$(HERE=zz PRE1=p FOO=bar image_sh 'echo $A $HERE $B $PRE1 $FOO ${NOT-none}' --env-file "$DIR/env" -e FOO \
		-e NOT -e A=2)" = "2 zz x y p bar none" ]
}

@test "what is wrong is told before anything runs; other levels say that it is not theirs" {
	need_root
	for o in "--tmpfs x" "--shm-size x" "--device /etc/passwd" "--device /dev/null:q" "--ulimit x" "--ulimit foo=1" \
		"--ulimit nofile=2:1" "--sysctl x" "--sysctl kernel.panic=1" "--add-host x" "--dns x" "--security-opt x" \
		"--security-opt seccomp=/etc/passwd" "--stop-signal FOO" "--userns auto --privileged" "--mount x" \
		"--mount type=bind,target=/x" "--mount type=bind,source=rel,target=/x" "--mount type=volume,source=/a,target=/x" \
		"--mount source=a" "--env-file /none"; do
		# shellcheck disable=SC2086 # words
		try image_sh 'echo ran' $o
		echo "$o: $status $output"
		[ "$status" -eq 125 ]
		[[ $output != *ran* ]]
	done
	try image_sh true --group-add nobodyx
	[ "$status" -eq 127 ]
	printf '\0asm\1\0\0\0' >"$DIR/m.wasm"
	try lodge run --tmpfs /x "$DIR/m.wasm"
	[ "$status" -eq 125 ]
	[[ $output == *"--tmpfs is for guests of the level container"* ]]
}
