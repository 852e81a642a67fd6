#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Debian's user land as plain programs: `lodge run --root`, no kernel of its own and no binfmt. The root
# is a copy of what is in the disk of `lodge pull debian`.

bats_require_minimum_version 1.5.0 # run -CODE

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export LODGE=$PWD/build/lodge ROOT=$BATS_FILE_TMPDIR/root
	export XDG_CACHE_HOME=${XDG_CACHE_HOME:-$HOME/.cache}
	disk=$XDG_CACHE_HOME/lodge/debian-13-riscv64/disk.raw
	"$LODGE" pull debian >"$BATS_FILE_TMPDIR/pull.log" 2>&1 ||
		skip "no Debian disk: $(grep -m 1 error "$BATS_FILE_TMPDIR/pull.log")"
	mkdir "$ROOT"
	debugfs -R "rdump / $ROOT" "$disk" >"$BATS_FILE_TMPDIR/rdump.log" 2>&1
	[ -x "$ROOT/usr/bin/dash" ] || {
		cat "$BATS_FILE_TMPDIR/rdump.log"
		return 1
	}
}

# in_root COMMAND...: as root of it, where the machine's environment means nothing
in_root() {
	run env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root TERM=dumb \
		timeout 300 "$LODGE" run --root "$ROOT" "$@"
}

@test "a shell with pipes, globs and here documents" {
	in_root /bin/sh -c 'uname -m; cd /etc; ls d*_version | sort | head -1; cat <<-END
		$((6 * 7))
	END
	seq 1000 | grep 7 | wc -l; (exit 3)'
	[ "$status" -eq 3 ]
	[ "$output" = $'riscv64\ndebian_version\n42\n271' ]
}

@test "perl: numbers, patterns, sorting, files" {
	in_root /usr/bin/perl -e '
		my %n; $n{length $_}++ for map { "x" x ($_ % 17) } 1 .. 5000;
		print join(",", map { "$_=$n{$_}" } sort { $a <=> $b } keys %n), "\n";
		printf "%.6f %s\n", atan2(1, 1) * 4, join "", reverse split //, "egdol";
		open my $f, "<", "/etc/passwd" or die; print scalar(grep { /^root:/ } <$f>), "\n"'
	[ "$status" -eq 0 ]
	[[ "$output" == *,16=294$'\n3.141593 lodge\n1' ]]
}

@test "archives, sums and text tools agree with each other" {
	in_root /bin/sh -ec 'cd /tmp; tar -C /usr/share -cf a.tar base-files
		gzip -k a.tar; tar -xzf a.tar.gz; diff -r base-files /usr/share/base-files
		gzip -dc a.tar.gz | cmp - a.tar; sha256sum a.tar >sum; sha256sum -c --quiet sum
		awk "{ print length(\$1) }" sum; rm -r base-files a.tar* sum'
	[ "$status" -eq 0 ]
	[ "$output" = 64 ]
}

@test "dpkg builds, installs and removes a package with its scripts" {
	[ "$(id -u)" = 0 ] || skip "dpkg wants root"
	in_root /bin/sh -ec 'mkdir -p /tmp/p/DEBIAN /tmp/p/usr/share/lodged; cd /tmp/p
		echo hello >usr/share/lodged/file
		printf "Package: lodged\nVersion: 1\nArchitecture: riscv64\nMaintainer: x <x@x>\nDescription: x\n" >DEBIAN/control
		printf "#!/bin/sh\nset -e\n[ \$1 = configure ]\nchown daemon:mail /usr/share/lodged/file\nln -s file /usr/share/lodged/link\nmkdir /run/lodged\nmknod /run/lodged/zero c 1 5\n" >DEBIAN/postinst
		printf "#!/usr/bin/perl\nunlink \"/usr/share/lodged/link\"; print \"away: \$ARGV[0]\\\\n\"\n" >DEBIAN/prerm
		chmod 755 DEBIAN/p*
		dpkg-deb --build /tmp/p /tmp/p.deb >/dev/null
		dpkg -i /tmp/p.deb >/dev/null
		dpkg-query -W -f "\${Status}\n" lodged
		stat -c "%U:%G %F" /usr/share/lodged/file /usr/share/lodged/link
		head -c 3 /run/lodged/zero | od -An -tx1
		dpkg -r lodged | grep away
		! [ -e /usr/share/lodged ]; rm -r /run/lodged'
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$output" = $'install ok installed\ndaemon:mail regular file\nroot:root symbolic link\n 00 00 00\naway: remove' ]
}

@test "a root in the root, and the machine's /proc stays where it is" {
	[ "$(id -u)" = 0 ] || skip "chroot wants root"
	in_root /bin/sh -ec 'mkdir -p /tmp/in/bin; cp -a /usr /lib /tmp/in/; cp /bin/busybox /bin/dash /tmp/in/bin/ 2>/dev/null || :
		chroot /tmp/in /usr/bin/dash -c "cd /; echo *; cd ..; pwd"
		rm -r /tmp/in
		umount /proc 2>/dev/null || echo stays; mount -t proc proc /proc 2>/dev/null || echo stays'
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$output" = $'bin lib usr\n/\nstays\nstays' ]
	[ -e /proc/self/status ]
}
