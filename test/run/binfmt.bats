#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# lodge binfmt: what it writes, by a folder that stands for binfmt_misc; and the kernel's own, in user
# namespaces, where this kernel has one for each (Linux 6.7).

bats_require_minimum_version 1.5.0 # run -CODE

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export LODGE=$PWD/build/lodge T=$BATS_FILE_TMPDIR
	chmod 755 "$T" "$BATS_RUN_TMPDIR" # for other users
	cp "$LODGE" "$LODGE-riscv64" "$T"
	riscv64-linux-gnu-gcc -std=gnu17 -D_GNU_SOURCE -O2 -Wall -static -pthread -o "$T/program" test/run/process/program.c
	mkdir -p "$T/root/bin"
	cp "$T/program" "$T/root/bin"
	export HOME=$T
	LODGE=$T/lodge
}

setup() {
	mkdir -p "$BATS_TEST_TMPDIR/misc" "$BATS_TEST_TMPDIR/conf"
	FAKE=(--folder "$BATS_TEST_TMPDIR/misc" --persist-folder "$BATS_TEST_TMPDIR/conf")
	: >"$BATS_TEST_TMPDIR/misc/register"
}

# lodge as an ordinary user: nobody, if we are root.
plainly() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
	else
		"$@"
	fi
}

own_or_skip() {
	plainly "$LODGE" binfmt run true 2>"$BATS_TEST_TMPDIR/why" || skip "$(cat "$BATS_TEST_TMPDIR/why")"
}

@test "install writes one registration that matches riscv64 programs and no others" {
	"$LODGE" binfmt install "${FAKE[@]}"
	line=$(cat "$BATS_TEST_TMPDIR/misc/register")
	[[ "$line" == ":lodge-riscv64:M::"*":$T/lodge-riscv64:POCF" ]]
	[ ! -e "$BATS_TEST_TMPDIR/conf/lodge-riscv64.conf" ]
	python3 - "$line" "$T/program" "$LODGE" <<-'END'
		import sys
		f = sys.argv[1].split(':')
		magic, mask = (bytes.fromhex(x.replace('\\x', '').replace('ELF', '454c46')) for x in f[4:6])
		def hit(path):
		    head = open(path, 'rb').read(20)
		    return len(magic) == len(mask) == 20 and all(h & m == g & m for h, g, m in zip(head, magic, mask))
		assert hit(sys.argv[2]) and not hit(sys.argv[3])
	END
}

@test "install --persist writes a file for systemd-binfmt, remove takes all back" {
	"$LODGE" binfmt install --persist "${FAKE[@]}"
	conf=$BATS_TEST_TMPDIR/conf/lodge-riscv64.conf
	[ "$(stat -c %a "$conf")" = 644 ]
	[ "$(grep -v '^#' "$conf")" = "$(cat "$BATS_TEST_TMPDIR/misc/register")" ]
	printf 'enabled\ninterpreter /x\nflags: POCF\n' >"$BATS_TEST_TMPDIR/misc/lodge-riscv64"
	run -0 "$LODGE" binfmt status "${FAKE[@]}"
	[[ "$output" == *"/x, flags POCF"*"next boot"* ]]
	run -0 "$LODGE" binfmt status --format json "${FAKE[@]}"
	[ "$(echo "$output" | python3 -c 'import json,sys; o=json.load(sys.stdin); print(o["registered"], o["persistent"], o["enabled"])')" = "True True True" ]
	"$LODGE" binfmt remove "${FAKE[@]}"
	[ "$(head -c 2 "$BATS_TEST_TMPDIR/misc/lodge-riscv64")" = -1 ]
	[ ! -e "$conf" ]
	rm "$BATS_TEST_TMPDIR/misc/lodge-riscv64"
	"$LODGE" binfmt remove "${FAKE[@]}"
	run -1 "$LODGE" binfmt status "${FAKE[@]}"
	[ "$output" = "lodge-riscv64 is not registered" ]
}

@test "what cannot be done says why" {
	rm "$BATS_TEST_TMPDIR/misc/register"
	run -125 "$LODGE" binfmt install "${FAKE[@]}"
	[[ "$output" == *"not mounted"* ]]
	run -127 "$LODGE" binfmt install --interpreter "$T/none" "${FAKE[@]}"
	[[ "$output" == *"$T/none"* ]]
	mkdir "$BATS_TEST_TMPDIR/alone" && cp "$LODGE" "$BATS_TEST_TMPDIR/alone"
	run -127 "$BATS_TEST_TMPDIR/alone/lodge" binfmt install "${FAKE[@]}"
	[[ "$output" == *"beside lodge"* ]]
	run -125 "$LODGE" binfmt mount
	[[ "$output" == *install*remove*status*run* ]]
	run -125 "$LODGE" binfmt run
	[[ "$output" == *command* ]]
	run -125 plainly "$LODGE" binfmt install
	[[ "$output" == *"lodge binfmt run"* || "$output" == *"no binfmt_misc"* ]]
}

@test "lodge-riscv64 by hand" {
	run -42 "$T/lodge-riscv64" "$T/program" args a b
	[[ "$output" == a$'\n'b* ]]
	run -125 "$T/lodge-riscv64"
	[[ "$output" == usage* ]]
	run -126 "$T/lodge-riscv64" "$LODGE"
	run -127 "$T/lodge-riscv64" "$T/none"
	# nothing of the host is needed: it has no interpreter of its own
	! readelf -l "$T/lodge-riscv64" | grep INTERP
}

@test "run: the kernel starts programs, with argv[0], in fork and exec" {
	own_or_skip
	run -42 plainly "$LODGE" binfmt run "$T/program" args a "b c"
	[[ "$output" == $'a\nb c\n'* ]]
	run -0 plainly "$LODGE" binfmt run bash -c 'exec -a other "$0" name' "$T/program"
	[ "$output" = other ]
	run -0 plainly "$LODGE" binfmt run "$T/program" fork
	[ "$output" = $'1225 6 from\nexec\nMARK=' ]
	run -0 plainly "$LODGE" binfmt run id -u
	[ "$output" = "$(plainly id -u)" ]
	run -0 plainly "$LODGE" binfmt --map-root run id -u
	[ "$output" = 0 ]
	run -127 plainly "$LODGE" binfmt run "$T/none"
}

@test "run: in a chroot that has nothing of the host, not even /proc" {
	own_or_skip
	run -42 plainly "$LODGE" binfmt --map-root run chroot "$T/root" /bin/program args in
	[[ "$output" == in* ]]
	run -0 plainly "$LODGE" binfmt --map-root run chroot "$T/root" /bin/program fork
	[ "$output" = $'1225 6 from\nexec\nMARK=' ]
}

@test "run: a setuid program gets its rights, also from a program of riscv64" {
	[ "$(id -u)" = 0 ] || skip "making one takes root"
	own_or_skip
	cp "$T/program" "$T/setuid" && chown 1:1 "$T/setuid" && chmod 6755 "$T/setuid"
	"$LODGE" binfmt run setpriv --reuid 2 --regid 2 --clear-groups "$T/setuid" ids >"$T/ids"
	[ "$(cat "$T/ids")" = "2 1 2 1 secure 1" ]
	"$LODGE" binfmt run setpriv --reuid 2 --regid 2 --clear-groups "$T/program" exec "$T/setuid" ids >"$T/ids"
	[ "$(cat "$T/ids")" = "2 1 2 1 secure 1" ]
	# without the kernel's help it has none to give
	setpriv --reuid 2 --regid 2 --clear-groups "$LODGE" run "$T/setuid" ids >"$T/ids"
	[ "$(cat "$T/ids")" = "2 2 2 2 secure 0" ]
}
