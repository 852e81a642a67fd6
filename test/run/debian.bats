#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The full Debian guest: packages, a compiler, a disk over a reboot, the network both ways, a shared
# folder, both ends. LODGE_TEST_LONG=1 also installs gcc, which takes minutes under interpretation
# (Debian 13 has no smaller C compiler for riscv64).
# Everything is thrown away but the image in the user's cache, of which each guest has an overlay.

source "$BATS_TEST_DIRNAME/guests.sh"

setup_file() {
	home_make
	export SHARE=$BATS_FILE_TMPDIR/share
	mkdir -p "$SHARE" "$BATS_FILE_TMPDIR/www"
	image_pull debian
	export PORT=$((20000 + $$ % 10000))
	export SERVED=$((PORT + 1))
	echo "served by the host" >"$BATS_FILE_TMPDIR/www/file"
	python3 -m http.server --bind 127.0.0.1 --directory "$BATS_FILE_TMPDIR/www" "$SERVED" >/dev/null 2>&1 3>&- &
	echo $! >"$BATS_FILE_TMPDIR/server.pid"
	"$LODGE" run -d --name deb -m 1G --cpus 2 -p "$PORT:80" -v "$SHARE:/mnt" debian
	"$LODGE" exec --wait 10m deb true
}

teardown_file() {
	kill "$(cat "$BATS_FILE_TMPDIR/server.pid")" || true
	"$LODGE" rm -f deb >/dev/null || true
}

guest() { "$LODGE" exec deb sh -c "$1"; }

# within SECONDS COMMAND...: until it succeeds
within() {
	end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 1
	done
}

# The guest has ended, and lodge says with which code.
ended() { "$LODGE" ls -a | grep '^deb ' | grep -q "exit code $1"; }

@test "multi-user.target and name resolution" {
	within 300 guest 'systemctl is-active --quiet multi-user.target'
	within 120 guest 'getent hosts "$(sed -n "s|^deb .*//\([^/]*\)/.*|\1|p" /etc/apt/sources.list | head -n 1)"'
}

@test "ping and HTTP to the host through the user network" {
	guest 'ping -c 2 -W 5 10.0.2.2'
	[ "$(guest "curl -sS --max-time 60 http://10.0.2.2:$SERVED/file")" = "served by the host" ]
}

@test "a shared folder is read and written" {
	head -c 300000 /dev/urandom >"$SHARE/host"
	[ "$(guest 'sha256sum </mnt/host')" = "$(sha256sum <"$SHARE/host")" ]
	guest 'head -c 300000 /dev/urandom >/mnt/guest; sync'
	[ "$(guest 'sha256sum </mnt/guest')" = "$(sha256sum <"$SHARE/guest")" ]
}

@test "an HTTP server in the guest is reached through -p" {
	guest 'mkdir -p /srv/www; echo served by the guest >/srv/www/index.html'
	cat >"$SHARE/serve.pl" <<-'END'
	use IO::Socket::INET;
	my $s = IO::Socket::INET->new(LocalPort => 80, Listen => 5, ReuseAddr => 1) or die "$!";
	while (my $c = $s->accept) {
		while (defined(my $l = <$c>)) { last if $l =~ /^\r?$/ }
		open my $f, '<', '/srv/www/index.html' or die "$!";
		print $c "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n", <$f>;
		close $c;
	}
	END
	guest 'systemd-run --quiet --unit=serve perl /mnt/serve.pl'
	reached() { [ "$(curl -s --max-time 30 "http://127.0.0.1:$PORT/")" = "served by the guest" ]; }
	within 60 reached
}

@test "apt-get update, and install of a package with a dependency" {
	guest 'apt-get -q update'
	# Nobody asks for libreadline by name; bc's package does.
	readline() { guest 'dpkg-query -W -f "\${Package} \${db:Status-Status}\n" "libreadline*"' | grep -q ' installed$'; }
	! readline || return 1
	guest 'DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends bc'
	readline
	[ "$(guest 'echo 6*7 | bc')" = 42 ]
}

@test "a C program compiled by the guest's gcc (only with LODGE_TEST_LONG=1)" {
	[ -n "${LODGE_TEST_LONG:-}" ] || skip "installing gcc takes minutes: LODGE_TEST_LONG=1"
	guest 'apt-get -q update'
	guest 'DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends gcc libc6-dev'
	printf '%s\n' '#include <stdio.h>' '#include <math.h>' \
		'int main(void) { double s = 0; for (int i = 1; i < 100000; i++) s += 1.0 / i / i;' \
		'printf("%.9f\n", s); return 42; }' >"$SHARE/t.c"
	run guest 'gcc -O2 -o /root/t /mnt/t.c && /root/t'
	echo "$output"
	[ "$status" -eq 42 ]
	[ "$output" = 1.644924067 ]
}

@test "written, synced, rebooted and read back equal" {
	guest 'dd if=/dev/urandom of=/root/data bs=1M count=32 2>/dev/null; sync'
	sum=$(guest 'sha256sum </root/data')
	boot=$(guest 'cat /proc/sys/kernel/random/boot_id')
	guest reboot || true
	again() { id=$("$LODGE" exec deb cat /proc/sys/kernel/random/boot_id) && [ -n "$id" ] && [ "$id" != "$boot" ]; }
	within 400 again
	[ "$(guest 'sha256sum </root/data')" = "$sum" ]
	[ "$(guest 'sha256sum </mnt/host')" = "$(sha256sum <"$SHARE/host")" ]
}

@test "poweroff ends with code 0" {
	guest poweroff || true
	within 200 ended 0
}

@test "a kernel panic ends with code 123" {
	"$LODGE" start deb
	"$LODGE" exec --wait 10m deb true
	timeout 60 "$LODGE" exec deb sh -c 'echo c >/proc/sysrq-trigger' || true
	within 100 ended 123
}
