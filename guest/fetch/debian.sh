#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Debian 13 (trixie) for riscv64, as Debian packages it, made ready for Lodge.
#
#   debian.sh kernel [options]   kernel, small initramfs and kernel modules
#   debian.sh image  [options]   a root file system with systemd in a raw ext4 disk (makes kernel too)
#   debian.sh root   [options]   packages and what they depend on, unpacked in a folder, not configured
#   debian.sh host-packages      the host packages that the two need, one a line
#
# Options:  --cache DIR   where results are kept (default ${XDG_CACHE_HOME:-~/.cache}/lodge)
#           --agent FILE  lodge-agent for riscv64, put into initramfs and image
#           --out FILE    image: where the disk goes (default CACHE/debian-13-riscv64/disk.raw)
#                         root: the folder, which must be new, or made so before
#           --size SIZE   image: its size (default 4G; sparse)
#           --add WORDS   image: packages beyond those of lodge's image; root: the packages
#           --refresh     fetch again even if the cache has it
# Environment: LODGE_CACHE, LODGE_AGENT, LODGE_DISK_SIZE: defaults of the options;
#           LODGE_DEBIAN_MIRROR, LODGE_DEBIAN_SECURITY: mirrors (default: those of the host's apt);
#           LODGE_CONFIGURE: auto, host or guest: where packages are configured (see configure()).
#
# Results are in CACHE/debian-13-riscv64: kernel, initrd-small, initrd-root, modules/, kernel.info, disk.raw.
# Progress goes to file descriptor 3 when it is open: "step N/M TEXT" and "bytes DONE TOTAL".
# Exit: 0 done, 1 failed (stderr says what, why and what to do), 2 wrong usage.
# Packages come through apt with a private root; apt checks every signature. Nothing outside CACHE
# and --out is written. A kill leaves nothing half-made: results are renamed into place.
set -eu
umask 022
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"

FORMAT=1 # of the results; a change makes them be built again
ARCH=riscv64
CODENAME=trixie
RELEASE=debian-13-riscv64
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# What a useful, small Debian is, beyond "required": init, network, name service, apt's needs.
IMAGE_PACKAGES="systemd-sysv udev dbus systemd-resolved libnss-resolve kmod iproute2 iputils-ping \
 ca-certificates apt less nano procps netbase e2fsprogs curl"

host_packages() {
	cat <<-'END'
	binutils-riscv64-linux-gnu
	cpio
	debian-archive-keyring
	e2fsprogs
	fakeroot
	kmod
	perl-base
	util-linux
	xz-utils
	END
}

# ---- talking -------------------------------------------------------------------------------------

SAY=2 # the descriptor for people; another one inside a box
say() { printf '%s\n' "$*" >&$SAY; }
die() {
	say "error: $1"
	shift
	for line in "$@"; do say "  $line"; done
	exit 1
}
usage() {
	say "usage: debian.sh kernel|image|root|host-packages [--cache DIR] [--agent FILE] [--out FILE]" \
		"[--size SIZE] [--add PACKAGES] [--refresh]"
	exit 2
}

step() { # NUMBER TEXT
	note "step $1/$STEPS $2"
	say "[$1/$STEPS] $2"
}
note() { if [ "$HAVE_FD3" = 1 ]; then printf '%s\n' "$*" >&3; fi; }

# One line of reason for the things that go wrong outside, from the log that a tool left.
explain() { # WHAT LOG
	if grep -qiE 'no space left|write error|not enough.*space|quota' "$2"; then
		die "$1: the disk is full" "free some space under $CACHE, or choose another folder" \
			"with --cache, and start again; what was fetched so far is kept"
	elif grep -qiE 'NO_PUBKEY|BADSIG|EXPKEYSIG|not signed|invalid signature|is not.*(verified|trusted)' "$2"; then
		die "$1: the mirror's signature is not good" "$(grep -iE 'NO_PUBKEY|SIG|sign' "$2" | head -n 1)" \
			"install the current debian-archive-keyring and check the machine's clock;" \
			"if both are right, do not trust this mirror"
	elif grep -qiE 'unexpected size|hash sum mismatch|sync in progress' "$2"; then
		die "$1: the mirror's files do not fit its signed index" \
			"$(grep -iE 'unexpected size|mismatch' "$2" | head -n 1)" \
			"the mirror is being updated or a proxy holds old files: try again later," \
			"or name another mirror in LODGE_DEBIAN_MIRROR"
	elif grep -qiE 'could not resolve|temporary failure|connect|unreachable|timed out|timeout' "$2"; then
		die "$1: the mirror cannot be reached" \
			"$(grep -iE 'could not|failure|connect|unreach|tim' "$2" | head -n 1)" \
			"check the network and the proxy settings of apt, or name another mirror" \
			"in LODGE_DEBIAN_MIRROR"
	fi
	die "$1" "$(tail -n 5 "$2")" "the whole log: $2"
}

need() {
	for tool in apt-get apt-cache dpkg-deb cpio depmod xz flock; do
		command -v "$tool" >/dev/null || die "the program '$tool' is missing" \
			"install the host packages: apt-get install $(host_packages | tr '\n' ' ')"
	done
	[ -r "$KEYRING" ] || die "Debian's signing keys are missing ($KEYRING)" \
		"install them: apt-get install debian-archive-keyring"
}

# ---- the private apt -----------------------------------------------------------------------------

# The host's mirror for Debian or Debian-Security: what its apt uses, told by the signed Label,
# or by the path where the host has never run apt-get update.
host_mirror() { # LABEL PATH_END
	# shellcheck disable=SC2016 # apt expands these
	apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 2>/dev/null |
		awk -F'|' -v label="$1" -v end="$2" '
			{ uri = $2; sub(/\/+$/, "", uri) }
			$1 == label { print uri; found = 1; exit }
			uri ~ ("/" end "$") && !guess { guess = uri }
			END { if (!found && guess) print guess }'
}

apt_setup() {
	APT=$CACHE/apt-$ARCH
	mkdir -p "$APT/lists/partial" "$APT/archives/partial" "$APT/etc/empty.d"
	: >"$APT/status"
	# Values of the host's own configuration (proxies, credentials) stay; hooks and oddities go.
	cat >"$APT/apt.conf" <<-END
	#clear APT::Update::Pre-Invoke;
	#clear APT::Update::Post-Invoke;
	#clear APT::Update::Post-Invoke-Success;
	#clear DPkg::Pre-Install-Pkgs;
	#clear DPkg::Pre-Invoke;
	#clear DPkg::Post-Invoke;
	#clear APT::Architectures;
	#clear APT::Default-Release;
	APT::Architecture "$ARCH";
	APT::Architectures { "$ARCH"; };
	APT::Get::AllowUnauthenticated "false";
	APT::Install-Recommends "false";
	APT::Sandbox::User "root";
	APT::Update::Error-Mode "any";
	Acquire::AllowInsecureRepositories "false";
	Acquire::Languages "none";
	Acquire::Retries "2";
	Dir::State "$APT";
	Dir::State::lists "$APT/lists/";
	Dir::State::status "$APT/status";
	Dir::State::extended_states "$APT/extended_states";
	Dir::Cache "$APT";
	Dir::Cache::archives "$APT/archives/";
	Dir::Etc::sourcelist "$APT/sources.list";
	Dir::Etc::sourceparts "$APT/etc/empty.d";
	Dir::Etc::preferences "$APT/etc/preferences";
	Dir::Etc::preferencesparts "$APT/etc/empty.d";
	Dir::Log "$APT";
	END
	MIRROR=${LODGE_DEBIAN_MIRROR:-$(host_mirror Debian debian)}
	SECURITY=${LODGE_DEBIAN_SECURITY:-$(host_mirror Debian-Security debian-security)}
	[ -n "$MIRROR" ] || die "no Debian mirror is known: this machine's apt names none" \
		"name one: LODGE_DEBIAN_MIRROR=http://HOST/debian"
}

# Fetch and verify the package lists. The release has two names on every mirror, its code name and
# "stable"; where a proxy holds an index that does not fit the one, the other is tried.
apt_update() {
	log=$CACHE/apt-update.log
	for suite in $CODENAME stable; do
		{
			echo "deb [signed-by=$KEYRING] $MIRROR $suite main"
			if [ -n "$SECURITY" ]; then
				echo "deb [signed-by=$KEYRING] $SECURITY $suite-security main"
			fi
		} >"$APT/sources.list"
		if apt-get -c "$APT/apt.conf" -q update >"$log" 2>&1; then
			# shellcheck disable=SC2016 # apt expands these
			if apt-get -c "$APT/apt.conf" indextargets --format '$(CODENAME)' |
				grep -qvE "^$CODENAME(-security)?\$"; then
				echo "E: the mirror's '$suite' is not $CODENAME" >>"$log"
				continue
			fi
			SUITE=$suite
			rm -f "$log"
			return
		fi
	done
	if [ -n "$SECURITY" ] && grep -qiE 'expired|unexpected size|mismatch|404 |no longer has' "$log" &&
		! grep -qE 'NO_PUBKEY|BADSIG|EXPKEYSIG' "$log"; then
		say "warning: $SECURITY gives no usable security updates; going on without them"
		say "  $(grep '^E:' "$log" | head -n 1)"
		SECURITY=
		apt_update
		return
	fi
	explain "cannot fetch Debian's package lists" "$log"
}

# Run an apt-get that downloads, and report how much of TOTAL bytes is there, once a second.
apt_download() { # TOTAL_BYTES APT-GET-ARGUMENTS...
	total=$1
	shift
	log=$CACHE/apt-download.log
	space=$(df -Pk "$APT" | awk 'NR == 2 { printf "%.0f", $4 * 1024 }')
	if [ "${space:-0}" -lt "$((total * 4))" ]; then
		die "$APT has too little free space" "$((total * 4 / 1000000)) MB are needed" \
			"free some, or choose another folder with --cache"
	fi
	(cd "$APT/archives" && exec apt-get -c "$APT/apt.conf" -q "$@") >"$log" 2>&1 9>&- &
	child=$!
	while kill -0 "$child" 2>/dev/null; do
		have=$(find "$APT/archives" -type f -exec stat -c %s {} + 2>/dev/null |
			awk '{ n += $1 } END { printf "%.0f", n }') || have=0
		note "bytes $have $total"
		sleep 1
	done
	wait "$child" || explain "cannot fetch Debian's packages" "$log"
	note "bytes $total $total"
	child=
	rm -f "$log"
}

# ---- kernel, modules, initramfs ------------------------------------------------------------------

# Modules for the initramfs, with what they depend on: disks, network, the guest agent's path, and what
# systemd loads first of all. What is built into the kernel is silently not in the list.
INITRD_MODULES="virtio_mmio virtio_pci virtio_blk virtio_net virtio-rng virtio_balloon virtio_console \
 vmw_vsock_virtio_transport virtiofs ext4 crc32c_generic autofs4 ip_tables nfnetlink"

# What a machine needs whose root is a folder of the host: always, for the network, and what may come
# when its program runs already.
ROOT_MODULES_1="virtio_mmio vmw_vsock_virtio_transport"
ROOT_MODULES_2="virtio_net"
ROOT_MODULES_3="virtio_balloon virtio-rng"

BUSYBOX_COMMANDS="[ ash awk base64 basename bunzip2 bzcat cat chgrp chmod chown chroot clear cmp cp cpio \
 cttyhack cut date dd devmem df diff dirname dmesg du echo egrep env expr factor false fdisk fgrep find \
 findfs free fuser getty grep gunzip gzip halt head hexdump hostname httpd hwclock id ifconfig insmod ip \
 kill killall less ln ls lsmod md5sum mkdir mkdosfs mke2fs mkfifo mknod mktemp modprobe more mount mv nc \
 netstat nproc nslookup od pgrep pidof ping pivot_root pkill poweroff printf ps pwd readlink realpath \
 reboot renice reset rm rmdir rmmod route sed seq setsid sh sha256sum sha512sum sleep sort stat strings \
 stty switch_root sync sysctl tail tar taskset tee telnet test time timeout top touch tr true tty udhcpc \
 umount uname uniq unshare unxz uptime usleep vi watch wc wget which xargs xxd xzcat yes zcat"

# The first program of the guest: brings up devices; then root= is mounted and its init started,
# or lodge.run= is run, or a shell.
write_init() {
	cat <<'INIT'
#!/bin/sh
# Lodge's initramfs. Kernel arguments:
#   root=DEV|LABEL=L|UUID=U [rw] [rootfstype=T] [rootflags=F] [init=PROGRAM]   go on with that system
#   lodge.run=WORD or lodge.run="COMMAND", lodge.run64=BASE64   run it with sh, then power off;
#                                   its exit code becomes the guest's
#   lodge.env=NAME=VALUE            set for the command and the shell
#   lodge.net=off                   do not ask for an address
#   lodge.mount=TAG:DIR[:ro]        mount a shared folder; may be given several times
PATH=/bin HOME=/root TERM=${TERM:-linux} TZ=UTC0
export PATH HOME TERM TZ
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
ln -sf /proc/self/fd /dev/fd
read -r cmdline </proc/cmdline

root= rw=ro fstype=ext4 flags= init=/sbin/init run= net=on mounts=
words() {
	while [ -n "$cmdline" ]; do
		word=${cmdline%% *}
		case $word in
		*=\"*) # a quoted value: up to the closing quote
			word=${cmdline#*\"}
			word="${cmdline%%\"*}${word%%\"*}"
			cmdline=${cmdline#*\"}
			cmdline=${cmdline#*\"} ;;
		\"*) # the kernel moves the quote in front of the name
			word=${cmdline#\"}
			cmdline=${word#*\"}
			word=${word%%\"*} ;;
		*)
			cmdline=${cmdline#"$word"} ;;
		esac
		cmdline=${cmdline# }
		case $word in
		root=*) root=${word#root=} ;;
		rw | ro) rw=$word ;;
		rootfstype=*) fstype=${word#*=} ;;
		rootflags=*) flags=,${word#*=} ;;
		init=*) init=${word#*=} ;;
		lodge.run=*) run=${word#*=} ;;
		lodge.run64=*) run=$(printf %s "${word#*=}" | base64 -d) ;;
		lodge.env=*) export "${word#*=}" ;;
		lodge.net=*) net=${word#*=} ;;
		lodge.mount=*) mounts="$mounts ${word#*=}" ;;
		esac
	done
}
words

# Ends the guest. A code other than 0 goes to the test finisher, which the kernel cannot do itself.
down() { # CODE
	sync
	# What was printed is still in the terminal's buffer, and power-off does not wait for it:
	# changing a setting does.
	busybox stty opost <&1 2>/dev/null
	at=
	for reg in /sys/firmware/devicetree/base/soc/test@*/reg; do
		if [ "$1" -ne 0 ] && [ -e "$reg" ]; then at=0x$(xxd -p -l 8 "$reg"); fi
	done
	umount -a -r 2>/dev/null
	if [ -n "$at" ]; then
		usleep 100000 # the console's last words
		devmem "$at" 32 $((($1 << 16) | 0x3333)) 2>/dev/null
	fi
	poweroff -f
}
# Shared folders of the host, below $1.
shares() { # ROOT
	[ -z "$mounts" ] || modprobe -q virtiofs
	for word in $mounts; do
		dir=${word#*:}
		mkdir -p "$1${dir%:ro}"
		case $dir in
		*:ro) mount -t virtiofs -o ro "${word%%:*}" "$1${dir%:ro}" ;;
		*) mount -t virtiofs "${word%%:*}" "$1$dir" ;;
		esac || echo "lodge: the shared folder ${dir%:ro} cannot be mounted" >&2
	done
}
trap 'down 0' USR1 USR2
trap 'sync; umount -a -r 2>/dev/null; reboot -f' TERM

modprobe -q virtio_mmio
agent=
for dev in /sys/bus/virtio/devices/*; do
	[ -e "$dev/device" ] || continue
	read -r id <"$dev/device"
	case $id in
	0x0001) modprobe -q virtio_net ;;
	0x0002) modprobe -q virtio_blk ;;
	0x0003) agent=yes ;;
	0x0004) modprobe -q virtio-rng ;;
	0x0005) modprobe -q virtio_balloon ;;
	0x0013) modprobe -q vmw_vsock_virtio_transport; agent=yes ;;
	esac
done

if [ -n "$root" ]; then
	why="is not there"
	for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		case $root in
		*=*) dev=$(findfs "$root" 2>/dev/null) ;;
		*) dev=$root ;;
		esac
		[ -b "$dev" ] && break
		usleep 250000
	done
	if [ -b "$dev" ]; then
		mkdir -p /newroot
		for name in "$fstype" crc32c_generic autofs4 ip_tables nfnetlink; do modprobe -q $name; done
		if mount -t "$fstype" -o "$rw$flags" "$dev" /newroot; then
			if [ -e /newroot/etc/lodge-configure ]; then
				mount -o remount,rw /newroot
				for dir in proc sys dev; do mount -o bind /$dir /newroot/$dir; done
				chroot /newroot /usr/lib/lodge/configure
				for dir in proc sys dev; do umount /newroot/$dir; done
				mount -o "remount,$rw" /newroot
			fi
			shares /newroot
			umount /tmp /dev/shm /dev/pts
			for dir in proc sys dev run; do mount --move /$dir /newroot/$dir; done
			exec switch_root /newroot "$init"
			why="has no $init"
		else
			why="cannot be mounted as $fstype"
		fi
	fi
	echo "lodge: root=$root $why; this is a shell of the initramfs" >&2
fi

shares ""
hostname lodge
ip link set lo up 2>/dev/null
if [ "$net" = on ] && [ -e /sys/class/net/eth0 ]; then
	ip link set eth0 up
	if [ -n "$run" ]; then # the command may need the network: wait, but not for long
		udhcpc -i eth0 -q -n -t 5 -T 1 -s /etc/udhcpc >/dev/null 2>&1
	else
		udhcpc -i eth0 -S -b -t 5 -T 1 -s /etc/udhcpc >/dev/null 2>&1 &
	fi
fi
if [ -n "$agent" ] && [ -x /bin/lodge-agent ]; then
	lodge-agent </dev/null >/dev/null 2>&1 &
fi

if [ -n "$run" ]; then
	setsid cttyhack sh -c "$run" </dev/console >/dev/console 2>&1 &
	wait $!
	down $?
fi
read -r _ _ version _ </proc/version
echo
echo "Debian 13 kernel $version on $(uname -m), $(nproc) hart(s). The shell is busybox; 'exit' ends the guest."
echo
export ENV=/etc/shrc
setsid cttyhack sh -i </dev/console >/dev/console 2>&1 &
wait $!
down $?
INIT
}

write_udhcpc() {
	cat <<'END'
#!/bin/sh
case $1 in
bound | renew)
	ip addr flush dev "$interface"
	ip addr add "$ip/${mask:-24}" dev "$interface"
	for r in $router; do ip route add default via "$r" && break; done
	: >/etc/resolv.conf
	for d in $dns; do echo "nameserver $d" >>/etc/resolv.conf; done ;;
esac
END
}

# modules.dep of a module tree names, for each module, those it needs; print the closure.
module_closure() { # TREE NAMES...
	tree=$1
	shift
	for name in "$@"; do
		awk -v want="$name" -F: '
			BEGIN { gsub("-", "_", want) }
			{ file = $1; sub(/.*\//, "", file); sub(/\.ko.*/, "", file); gsub("-", "_", file) }
			file == want { print $1; n = split($2, dep, " "); for (i = 1; i <= n; i++) print dep[i] }
		' "$tree/modules.dep"
	done | sort -u
}

# One module of the tree of VERSION below ROOT, unpacked, as TO. Most of a module is symbols of the
# compiler's. Without them ext4 and jbd2 load with 0.1 instead of 1.8 thousand million instructions
# (their signature goes with them).
module_copy() { # ROOT VERSION FILE TO
	mkdir -p "${4%/*}"
	case $3 in
	*.xz) xz -dc "$1/usr/lib/modules/$2/$3" >"$4" ;;
	*) cp "$1/usr/lib/modules/$2/$3" "$4" ;;
	esac
	if command -v $ARCH-linux-gnu-strip >/dev/null; then
		$ARCH-linux-gnu-strip --strip-unneeded "$4"
	fi
}

archive() { # DIR OUT
	(cd "$1" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0 --reproducible) >"$2"
	rm -rf "$1"
}

# Modules alone, named so that their order is the one to load them in; the rest of that initramfs Lodge
# makes at each boot (guest/agent/boot.c).
build_initrd_root() { # ROOT_WITH_MODULES VERSION OUT
	dir=$WORK/initrd
	rm -rf "$dir"
	mkdir -p "$dir/lodge.modules"
	number=10
	for class in 1 2 3; do
		case $class in
		1) names=$ROOT_MODULES_1 ;;
		2) names=$ROOT_MODULES_2 ;;
		3) names=$ROOT_MODULES_3 ;;
		esac
		for name in $names; do
			# A line has a module and what it depends on, the last one first to be loaded.
			awk -v want="$name" -F: '
				BEGIN { gsub("-", "_", want) }
				{ file = $1; sub(/.*\//, "", file); sub(/\.ko.*/, "", file); gsub("-", "_", file) }
				file == want { n = split($2, dep, " "); for (i = n; i; i--) print dep[i]; print $1 }
			' "$1/usr/lib/modules/$2/modules.dep" >"$WORK/order"
			while read -r file; do
				base=${file##*/}
				base=${base%%.ko*}
				[ -z "$(find "$dir/lodge.modules" -name "*-$base.ko")" ] || continue
				module_copy "$1" "$2" "$file" "$dir/lodge.modules/$class$number-$base.ko"
				number=$((number + 1))
			done <"$WORK/order"
		done
	done
	archive "$dir" "$3"
}

build_initrd() { # ROOT_WITH_MODULES VERSION BUSYBOX OUT
	dir=$WORK/initrd
	rm -rf "$dir"
	mkdir -p "$dir/bin" "$dir/etc" "$dir/root" "$dir/proc" "$dir/sys" "$dir/dev" "$dir/run" \
		"$dir/tmp" "$dir/newroot" "$dir/lib/modules/$2"
	ln -s bin "$dir/sbin"
	mkdir -p "$dir/usr"
	ln -s ../bin "$dir/usr/bin"
	ln -s ../bin "$dir/usr/sbin"
	cp "$3" "$dir/bin/busybox"
	chmod 755 "$dir/bin/busybox"
	for name in $BUSYBOX_COMMANDS; do ln -s busybox "$dir/bin/$name"; done
	if [ -n "$AGENT" ]; then
		cp "$AGENT" "$dir/bin/lodge-agent"
		chmod 755 "$dir/bin/lodge-agent"
	fi
	# shellcheck disable=SC2086 # the list is words
	module_closure "$1/usr/lib/modules/$2" $INITRD_MODULES | while read -r file; do
		module_copy "$1" "$2" "$file" "$dir/lib/modules/$2/${file%.xz}"
	done
	for file in modules.order modules.builtin modules.builtin.modinfo; do
		cp "$1/usr/lib/modules/$2/$file" "$dir/lib/modules/$2/" 2>/dev/null || :
	done
	depmod -b "$dir" "$2"
	# busybox reads the text files only.
	rm -f "$dir/lib/modules/$2"/modules.*.bin "$dir/lib/modules/$2"/modules.builtin.modinfo \
		"$dir/lib/modules/$2"/modules.order "$dir/lib/modules/$2"/modules.alias.bin
	write_init >"$dir/init"
	write_udhcpc >"$dir/etc/udhcpc"
	chmod 755 "$dir/init" "$dir/etc/udhcpc"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$dir/etc/passwd"
	echo 'root:x:0:' >"$dir/etc/group"
	echo "PS1='lodge:\\w\\\$ '" >"$dir/etc/shrc"
	archive "$dir" "$4"
}

# What the initramfs depends on besides the packages.
initrd_stamp() {
	if [ -n "$AGENT" ]; then cksum <"$AGENT"; else echo none; fi
	{ write_init; write_udhcpc; echo "$INITRD_MODULES $BUSYBOX_COMMANDS"; } | cksum
	echo "$ROOT_MODULES_1 $ROOT_MODULES_2 $ROOT_MODULES_3"
}

# A Debian kernel is an Image, or an EFI program with a compressed Image inside.
unpack_kernel() { # VMLINUX OUT
	if [ "$(dd if="$1" bs=1 skip=4 count=4 2>/dev/null)" = zimg ]; then
		word() { od -An -tu4 -j"$2" -N4 "$1" | tr -d ' '; }
		offset=$(word "$1" 8)
		size=$(word "$1" 12)
		kind=$(dd if="$1" bs=1 skip=24 count=5 2>/dev/null | tr -d '\0')
		case $kind in
		gzip | xz | zstd | lzma) ;;
		*) die "the kernel is compressed in a way that is not known here ($kind)" ;;
		esac
		tail -c "+$((offset + 1))" "$1" | head -c "$size" | "$kind" -dc >"$2"
	elif [ "$(od -An -tx1 -N2 "$1" | tr -d ' ')" = 1f8b ]; then
		gzip -dc "$1" >"$2"
	else
		cp "$1" "$2"
	fi
	[ "$(dd if="$2" bs=1 skip=48 count=5 2>/dev/null)" = RISCV ] ||
		die "Debian's kernel package holds no RISC-V Image" "please report this: $(ls -l "$1")"
}

kernel_ready() {
	[ "$REFRESH" = 0 ] && [ "$(sed -n 's/^format=//p' "$OUT/kernel.info" 2>/dev/null)" = $FORMAT ]
}

initrd_ready() {
	[ -s "$OUT/initrd-small" ] && [ -s "$OUT/initrd-root" ] && [ "$(cat "$OUT/initrd.stamp" 2>/dev/null)" = "$(initrd_stamp)" ]
}

make_kernel() {
	if kernel_ready; then
		step 1 "the kernel is in the cache"
	else
		step 1 "package lists of Debian 13 ($ARCH)"
		apt_setup
		apt_update
		kernel=$(apt-cache -c "$APT/apt.conf" show --no-all-versions linux-image-$ARCH |
			sed -n 's/^Depends:.*\(linux-image-[^ ,]*\).*/\1/p' | head -n 1)
		[ -n "$kernel" ] || die "Debian's list has no linux-image-$ARCH" "mirror: $MIRROR"
		total=$(apt-cache -c "$APT/apt.conf" show --no-all-versions "$kernel" busybox-static |
			awk '/^Size:/ { n += $2 } END { print n }')
		step 2 "download $kernel and busybox-static"
		rm -f "$APT"/archives/linux-image-*.deb "$APT"/archives/busybox-static*.deb
		apt_download "$total" download "$kernel" busybox-static
		step 3 "unpack the kernel"
		rm -rf "$WORK/k" "$WORK/b"
		dpkg-deb -x "$(echo "$APT"/archives/linux-image-*.deb)" "$WORK/k"
		dpkg-deb -x "$(echo "$APT"/archives/busybox-static*.deb)" "$WORK/b"
		image=$(echo "$WORK"/k/boot/vmlinu*)
		version=${image##*/vmlinu?-}
		if [ ! -d "$WORK/k/usr/lib/modules" ]; then
			mkdir -p "$WORK/k/usr/lib"
			mv "$WORK/k/lib/modules" "$WORK/k/usr/lib/modules"
		fi
		depmod -b "$WORK/k/usr" "$version" 2>/dev/null || {
			ln -s usr/lib "$WORK/k/lib"
			depmod -b "$WORK/k" "$version"
		}
		unpack_kernel "$image" "$WORK/kernel"
		cp "$WORK"/b/usr/bin/busybox "$WORK/busybox" 2>/dev/null ||
			cp "$WORK"/b/bin/busybox "$WORK/busybox"
		rm -f "$OUT/kernel.info"
		rm -rf "$OUT/modules"
		mkdir -p "$WORK/modules/usr/lib"
		mv "$WORK/k/usr/lib/modules" "$WORK/modules/usr/lib/modules"
		mv "$WORK/modules" "$OUT/modules"
		mv "$WORK/busybox" "$OUT/busybox"
		mv "$WORK/kernel" "$OUT/kernel"
		rm -f "$OUT/initrd.stamp"
		printf 'package=%s\nversion=%s\nmirror=%s\nsecurity=%s\nsuite=%s\nformat=%s\n' \
			"$kernel" "$version" "$MIRROR" "$SECURITY" "$SUITE" $FORMAT >"$WORK/info"
		mv "$WORK/info" "$OUT/kernel.info"
		rm -f "$APT"/archives/*.deb
	fi
	if initrd_ready; then
		step 4 "the initramfs is in the cache"
	else
		step 4 "build the initramfs"
		version=$(sed -n 's/^version=//p' "$OUT/kernel.info")
		build_initrd "$OUT/modules" "$version" "$OUT/busybox" "$WORK/initrd-small"
		build_initrd_root "$OUT/modules" "$version" "$WORK/initrd-root"
		rm -f "$OUT/initrd.stamp"
		mv "$WORK/initrd-small" "$OUT/initrd-small"
		mv "$WORK/initrd-root" "$OUT/initrd-root"
		initrd_stamp >"$WORK/stamp"
		mv "$WORK/stamp" "$OUT/initrd.stamp"
	fi
}

# ---- the image -----------------------------------------------------------------------------------

# What stands in for programs of the host while the guest's packages are configured on it: the
# scripts must not depend on what the host has installed, and things that happen at boot anyway, or
# need the guest's processor, are left out.
write_stand_ins() { # DIR
	mkdir -p "$1"
	for name in systemctl systemd-tmpfiles systemd-machine-id-setup systemd-hwdb udevadm journalctl \
		ldconfig invoke-rc.d deb-systemd-invoke service update-initramfs initctl; do
		printf '#!/bin/sh\nexit 0\n' >"$1/$name"
	done
	# chown and chgrp by the guest's names, which are not the host's.
	cat >"$1/chown" <<-'END'
	#!/bin/sh
	done=
	n() { awk -F: -v n="$1" '$1 == n { print $3; f = 1 } END { if (!f) print n }' "$DPKG_ROOT/etc/$2"; }
	for arg; do
		shift
		case $arg in
		-* | /*) ;;
		*:*) if [ -z "${done:-}" ]; then arg=$(n "${arg%%:*}" passwd):$(n "${arg#*:}" group); done=1; fi ;;
		*) if [ -z "${done:-}" ]; then arg=$(n "$arg" "${names:-passwd}"); done=1; fi ;;
		esac
		set -- "$@" "$arg"
	done
	exec "/bin/${tool:-chown}" "$@"
	END
	printf '#!/bin/sh\nnames=group tool=chgrp exec "%s/chown" "$@"\n' "$1" >"$1/chgrp"
	printf '#!/bin/sh\nexit 1\n' >"$1/setcap" # then the script falls back to set-user-ID
	# Python marks what is installed below / whatever folder it is unpacked into.
	cat >"$1/touch" <<-'END'
	#!/bin/sh
	for arg; do
		shift
		case $arg in
		/var/lib/python/*) arg=$DPKG_ROOT$arg; mkdir -p "${arg%/*}" ;;
		esac
		set -- "$@" "$arg"
	done
	exec /bin/touch "$@"
	END
	# systemd-sysusers [--root=DIR] [FILE...]: the lines u, g and m of sysusers.d(5).
	cat >"$1/systemd-sysusers" <<-'END'
	#!/bin/sh
	set -eu
	cd "${DPKG_ROOT:?}"
	for f in passwd group shadow gshadow; do [ -e etc/$f ] || : >etc/$f; done
	cat usr/lib/sysusers.d/*.conf | awk '
		function known(file, name,   line) {
			while ((getline line < file) > 0)
				if (index(line, name ":") == 1) { close(file); split(line, f, ":"); return f[3] }
			close(file)
			return ""
		}
		function taken(id,   line, file, n) {
			for (n = 1; n <= 2; n++) {
				file = n == 1 ? "etc/passwd" : "etc/group"
				while ((getline line < file) > 0) {
					split(line, f, ":")
					if (f[3] == id) { close(file); return 1 }
				}
				close(file)
			}
			return 0
		}
		function choose(want,   id) {
			if (want ~ /^[0-9]+$/ && !taken(want)) return want
			for (id = 999; id > 100; id--) if (!taken(id)) return id
		}
		function group(name, id) {
			if (known("etc/group", name) != "") return known("etc/group", name)
			id = choose(id)
			print name ":x:" id ":" >> "etc/group"; close("etc/group")
			print name ":!*::" >> "etc/gshadow"; close("etc/gshadow")
			return id
		}
		function member(user, name,   line, out) {
			while ((getline line < "etc/group") > 0) {
				if (index(line, name ":") == 1 && line !~ ("[:,]" user "(,|$)"))
					line = line (line ~ /:$/ ? "" : ",") user
				out = out line "\n"
			}
			close("etc/group")
			printf "%s", out > "etc/group"; close("etc/group")
		}
		/^[ \t]*(#|$)/ { next }
		{ # fields; a quoted one is one
			n = 0; rest = $0; delete w
			while (match(rest, /"[^"]*"|[^ \t]+/)) {
				v = substr(rest, RSTART, RLENGTH); gsub(/"/, "", v); w[++n] = v
				rest = substr(rest, RSTART + RLENGTH)
			}
			sub(/!.*/, "", w[1])
			for (i = 3; i <= 6; i++) if (w[i] == "" || w[i] == "-") w[i] = ""
		}
		w[1] == "g" { group(w[2], w[3]) }
		w[1] == "m" { group(w[3], ""); member(w[2], w[3]) }
		w[1] == "u" && known("etc/passwd", w[2]) == "" {
			split(w[3], id, ":")
			if (id[2] != "" && id[2] !~ /^[0-9]+$/) id[2] = known("etc/group", id[2])
			uid = choose(id[1])
			if (id[2] == "") id[2] = group(w[2], uid)
			print w[2] ":x:" uid ":" id[2] ":" w[4] ":" (w[5] == "" ? "/" : w[5]) ":" \
				(w[6] == "" ? "/usr/sbin/nologin" : w[6]) >> "etc/passwd"; close("etc/passwd")
			print w[2] ":!*:20000::::::" >> "etc/shadow"; close("etc/shadow")
		}'
	END
	chmod 755 "$1"/*
}

# Runs in the initramfs, in the image, before its init: what could not be configured on the host.
write_configure() {
	cat <<-'END'
	#!/bin/sh
	# Configure the packages that the making of this image left to the guest; once.
	export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true LC_ALL=C
	export PATH=/usr/sbin:/usr/bin:/sbin:/bin
	echo "Configuring the packages of this image. This happens once." >&2
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod 755 /usr/sbin/policy-rc.d
	dpkg --configure -a --force-unsafe-io >/var/log/lodge-configure.log 2>&1 || tail /var/log/lodge-configure.log >&2
	rm -f /usr/sbin/policy-rc.d /etc/lodge-configure
	sync
	END
}

# Passwords go to shadow and gshadow, as pwconv(8) and grpconv(8) do it.
shadow() { # ROOT
	: >>"$1/etc/shadow"
	: >>"$1/etc/gshadow"
	awk -F: '$2 != "x" { print $1 ":" $2 ":20000:0:99999:7:::" }' "$1/etc/passwd" >>"$1/etc/shadow"
	awk -F: '$2 != "x" { print $1 ":" $2 "::" $4 }' "$1/etc/group" >>"$1/etc/gshadow"
	sed -i 's/^\([^:]*\):[^:]*:/\1:x:/' "$1/etc/passwd" "$1/etc/group"
	chown 0:42 "$1/etc/shadow" "$1/etc/gshadow"
	chmod 640 "$1/etc/shadow" "$1/etc/gshadow"
}

# Owners that packages name, by the guest's numbers: dpkg-statoverride(1) asked the host.
owners() { # ROOT
	[ -e "$1/var/lib/dpkg/statoverride" ] || return 0
	while read -r user group mode path; do
		user=$(awk -F: -v n="$user" '$1 == n { print $3 }' "$1/etc/passwd")
		group=$(awk -F: -v n="$group" '$1 == n { print $3 }' "$1/etc/group")
		if [ -n "$user" ] && [ -n "$group" ] && [ -e "$1$path" ]; then
			chown "$user:$group" "$1$path"
			chmod "$mode" "$1$path"
		fi
	done <"$1/var/lib/dpkg/statoverride"
}

# Settings of this image: everything that is not Debian's default is here.
settings() { # ROOT
	echo lodge >"$1/etc/hostname"
	printf '127.0.0.1\tlocalhost\n127.0.1.1\tlodge\n::1\tlocalhost ip6-localhost ip6-loopback\n' >"$1/etc/hosts"
	printf 'LABEL=lodge-root / ext4 defaults,noatime,errors=remount-ro 0 1\n' >"$1/etc/fstab"
	: >"$1/etc/machine-id" # each guest makes its own
	rm -f "$1/var/lib/dbus/machine-id"
	shadow "$1"
	# No password for root: the console is the owner's.
	sed -i 's/^root:[^:]*:/root::/' "$1/etc/shadow"
	mkdir -p "$1/etc/systemd/network" "$1/etc/systemd/system/multi-user.target.wants" \
		"$1/etc/systemd/system/sockets.target.wants" "$1/etc/systemd/system/sysinit.target.wants"
	printf '[Match]\nName=en* eth*\n\n[Network]\nDHCP=yes\n\n[DHCPv4]\nUseDomains=yes\nUseHostname=no\n' \
		>"$1/etc/systemd/network/80-lodge.network"
	for unit in systemd-networkd.service systemd-resolved.service; do
		ln -sf "/usr/lib/systemd/system/$unit" "$1/etc/systemd/system/multi-user.target.wants/$unit"
	done
	ln -sf /usr/lib/systemd/system/systemd-networkd.socket \
		"$1/etc/systemd/system/sockets.target.wants/systemd-networkd.socket"
	ln -sf ../run/systemd/resolve/stub-resolv.conf "$1/etc/resolv.conf"
	# The names of the interfaces are the kernel's: eth0.
	ln -sf /dev/null "$1/etc/systemd/network/99-default.link"
	rm -f "$1"/etc/apt/sources.list.d/*
	{
		echo "deb [signed-by=$KEYRING] $MIRROR $SUITE main"
		if [ -n "$SECURITY" ]; then echo "deb [signed-by=$KEYRING] $SECURITY $SUITE-security main"; fi
	} >"$1/etc/apt/sources.list"
	# The lists are read where they are; languages cost more than they give here.
	printf 'Acquire::Languages "none";\n' >"$1/etc/apt/apt.conf.d/90lodge"
	# What the host's owner has decided about old mirrors is true for the guest as well.
	printf '%s\n' "$OLD_MIRROR" >>"$1/etc/apt/apt.conf.d/90lodge"
	if [ -n "$AGENT_COPY" ]; then
		cp "$AGENT_COPY" "$1/usr/sbin/lodge-agent"
		chmod 755 "$1/usr/sbin/lodge-agent"
		cat >"$1/etc/systemd/system/lodge-agent.service" <<-'END'
		[Unit]
		Description=Lodge guest agent
		DefaultDependencies=no
		After=systemd-tmpfiles-setup-dev-early.service local-fs.target
		Conflicts=shutdown.target
		Before=shutdown.target

		[Service]
		ExecStart=/usr/sbin/lodge-agent
		KillMode=process
		Restart=on-failure

		[Install]
		WantedBy=sysinit.target
		END
		ln -sf /etc/systemd/system/lodge-agent.service \
			"$1/etc/systemd/system/sysinit.target.wants/lodge-agent.service"
	fi
	mkdir -p "$1/usr/lib/lodge"
	write_configure >"$1/usr/lib/lodge/configure"
	chmod 755 "$1/usr/lib/lodge/configure"
	if grep -qE '^Status: .* (unpacked|half-configured|half-installed|triggers-[a-z]*)$' "$1/var/lib/dpkg/status"; then
		: >"$1/etc/lodge-configure"
	fi
	rm -f "$1"/var/lib/dpkg/arch "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/dpkg/*-old
	rm -f "$1"/var/log/dpkg.log
	# Nothing needs an update at the first boot: see ConditionNeedsUpdate in systemd.unit(5).
	touch -r "$1/usr" "$1/etc/.updated" "$1/var/.updated"
}

# What update-ca-certificates makes, but for the links by hash.
certificates() { # ROOT
	(
		cd "$1/usr/share/ca-certificates"
		mkdir -p "$1/etc/ssl/certs"
		: >"$1/etc/ssl/certs/ca-certificates.crt"
		echo "# Certificates that update-ca-certificates uses; see its manual page." >"$1/etc/ca-certificates.conf"
		find . -name '*.crt' | sort | while read -r file; do
			echo "${file#./}" >>"$1/etc/ca-certificates.conf"
			cat "$file" >>"$1/etc/ssl/certs/ca-certificates.crt"
			name=${file##*/}
			ln -sf "/usr/share/ca-certificates/${file#./}" "$1/etc/ssl/certs/${name%.crt}.pem"
		done
	)
}

# A guest's processor may be a hundred times slower than the host's, and most of a boot is starting
# programs. What serves no virtual machine is switched off here, by the means of systemd.unit(5)
# and modprobe.d(5); "systemctl unmask NAME" brings one back.
lighten() { # ROOT
	units=$1/etc/systemd/system
	# Periodic work that should not begin by itself on such a processor.
	for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
		e2scrub_reap.service fstrim.timer systemd-networkd-wait-online.service; do
		rm -f "$units"/*.wants/"$unit"
	done
	# Hardware, firmware and seats that are not there; file systems that are mounted when needed.
	for unit in systemd-networkd-persistent-storage.service \
		systemd-udev-load-credentials.service modprobe@drm.service modprobe@configfs.service \
		modprobe@fuse.service sys-fs-fuse-connections.mount sys-kernel-config.mount \
		sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount \
		proc-sys-fs-binfmt_misc.automount systemd-pstore.service; do
		ln -sf /dev/null "$units/$unit"
	done
	mkdir -p "$1/etc/systemd/system-generators" "$units/systemd-udev-trigger.service.d"
	for name in bless-boot cryptsetup factory-reset gpt-auto hibernate-resume import integritysetup \
		rc-local ssh system-update sysv tpm2 veritysetup; do
		ln -sf /dev/null "$1/etc/systemd/system-generators/systemd-$name-generator"
	done
	# Devices that were there before udev: only those that somebody waits for or that need a module.
	cat >"$units/systemd-udev-trigger.service.d/lodge.conf" <<-'END'
	[Service]
	ExecStart=
	ExecStart=-udevadm trigger --action=add --subsystem-match=virtio --subsystem-match=pci --subsystem-match=block --subsystem-match=net --subsystem-match=virtio-ports --subsystem-match=input --subsystem-match=rtc
	ExecStart=-udevadm trigger --action=add --subsystem-match=tty --sysname-match=ttyS* --sysname-match=hvc*
	END
	# networkd asks for Wi-Fi, and that would load 9 MB of modules.
	printf 'alias net-pf-16-proto-16-family-nl80211 off\n' >"$1/etc/modprobe.d/lodge.conf"
	# An empty cache of libraries: they are all where the linker looks anyway. The first apt-get
	# that installs a library makes a real one. Layout: glibc, elf/dl-cache.h (cache_file_new).
	if [ ! -s "$1/etc/ld.so.cache" ]; then
		printf 'glibc-ld.so.cache1.1\0\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' >"$1/etc/ld.so.cache"
	fi
}

# The part that runs as an ordinary user who believes to be root (fakeroot): unpack, configure,
# settings, file system. The packages' own scripts run here, on the host and for the guest's folder
# (DPKG_ROOT, dpkg's --force-script-chrootless); as an ordinary user they cannot harm the host. What
# does not work so is left unconfigured, and the guest does it when it first boots.
inside() { # BOX
	box=$1
	root=$box/root
	SAY=4
	STEPS=10
	# shellcheck disable=SC1091 # written by make_image
	. "$box/settings"
	mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/triggers" "$root/etc" \
		"$root/var/log"
	: >"$root/var/lib/dpkg/status"
	: >"$root/var/lib/dpkg/available"
	echo $ARCH >"$root/var/lib/dpkg/arch"
	export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true DEBCONF_NOWARNINGS=yes
	export PATH="$box/bin:$PATH"
	dpkg_root() {
		dpkg --root="$root" --log="$box/dpkg.log" --abort-after=99999 --force-unsafe-io \
			--force-depends --force-script-chrootless --force-bad-path --force-architecture \
			--force-confnew --no-triggers "$@"
	}
	step 7 unpack
	dpkg_root --unpack "$box"/debs/base-files_*.deb "$box"/debs/base-passwd_*.deb "$box"/debs/debconf_*.deb || :
	find "$box/debs" -name '*.deb' | sort | xargs dpkg --root="$root" --log="$box/dpkg.log" --abort-after=99999 \
		--force-unsafe-io --force-depends --force-script-chrootless --force-bad-path --force-architecture \
		--force-confnew --no-triggers --skip-same-version --unpack || :
	step 8 configure
	if [ "$CONFIGURE" != guest ]; then
		for file in passwd group; do
			if [ ! -s "$root/etc/$file" ] && [ -e "$root/usr/share/base-passwd/$file.master" ]; then
				cp "$root/usr/share/base-passwd/$file.master" "$root/etc/$file"
			fi
		done
		# Two scripts know no folder but /; what they would do is done here.
		mkdir -p "$box/scripts"
		for name in kmod ca-certificates; do
			mv "$root/var/lib/dpkg/info/$name.postinst" "$box/scripts/"
			printf '#!/bin/sh\nexit 0\n' >"$root/var/lib/dpkg/info/$name.postinst"
			chmod 755 "$root/var/lib/dpkg/info/$name.postinst"
		done
		certificates "$root"
		dpkg_root --configure -a || :
		dpkg_root --triggers-only -a || :
		cp -p "$box"/scripts/*.postinst "$root/var/lib/dpkg/info/"
	fi
	mkdir -p "$root/etc/modprobe.d"
	lighten "$root"
	settings "$root"
	owners "$root"
	cp -a "$box/modules/." "$root/"
	step 9 "make the file system"
	rm -f "$box/disk"
	mke2fs -q -t ext4 -L lodge-root -m 1 -d "$root" "$box/disk" "$SIZE"
}

image_ready() {
	[ "$REFRESH" = 0 ] && [ -s "$DISK" ] && [ "$(cat "$DISK.stamp" 2>/dev/null)" = "$(image_stamp)" ]
}

# An image is the user's once it is made: only a new format or size makes a new one.
image_stamp() { echo "$FORMAT $SIZE${ADD:+ $ADD}"; }

make_image() {
	for tool in dpkg fakeroot mke2fs perl; do
		command -v "$tool" >/dev/null || die "the program '$tool' is missing" \
			"install the host packages: apt-get install $(host_packages | tr '\n' ' ')"
	done
	if image_ready; then
		step 5 "the disk is in the cache"
		return
	fi
	step 5 "choose packages"
	if [ -z "${APT:-}" ]; then
		apt_setup
		apt_update
	fi
	# shellcheck disable=SC2086 # the list is words
	apt-get -c "$APT/apt.conf" -q -y --print-uris install '?essential' '?priority(required)' \
		$IMAGE_PACKAGES $ADD >"$WORK/uris" 2>"$WORK/log" || explain "cannot choose Debian's packages" "$WORK/log"
	count=$(grep -c "^'" "$WORK/uris")
	total=$(awk "/^'/ { n += \$3 } END { printf \"%.0f\", n }" "$WORK/uris")
	step 6 "download $count packages, $((total / 1000000)) MB"
	rm -f "$APT"/archives/linux-image-*.deb "$APT"/archives/busybox-static*.deb
	# shellcheck disable=SC2086 # the list is words
	apt_download "$total" -y --download-only install '?essential' '?priority(required)' $IMAGE_PACKAGES \
		$ADD
	# Root's own folder may be closed to others: the ordinary user works in a folder for temporary files.
	BOX=$WORK/box
	run=
	if [ "$(id -u)" = 0 ]; then
		BOX=$(mktemp -d "${TMPDIR:-/var/tmp}/lodge-image.XXXXXX")
		run="setpriv --reuid=65534 --regid=65534 --clear-groups"
	fi
	mkdir -p "$BOX/debs"
	space=$(df -Pk "$BOX" | awk 'NR == 2 { printf "%.0f", $4 / 1024 }')
	[ "${space:-0}" -ge 1200 ] || die "$BOX has too little free space" \
		"1200 MB are needed for a while; choose another folder with TMPDIR"
	sed -n "s/^'[^']*' \([^ ]*\) .*/\1/p" "$WORK/uris" | while read -r file; do
		mv "$APT/archives/$file" "$BOX/debs/$(echo "$file" | tr '%' '_')"
	done
	cp -a "$OUT/modules" "$BOX/modules"
	if [ -n "$AGENT" ]; then cp "$AGENT" "$BOX/agent"; fi
	cp "$0" "$BOX/debian.sh"
	write_stand_ins "$BOX/bin"
	cat >"$BOX/settings" <<-END
	MIRROR='$MIRROR' SECURITY='$SECURITY' SUITE='$SUITE' SIZE='$SIZE'
	OLD_MIRROR='$(apt-config dump Acquire::Check-Valid-Until) $(apt-config dump Acquire::Check-Date)'
	CONFIGURE='${LODGE_CONFIGURE:-auto}' AGENT_COPY='${AGENT:+$BOX/agent}'
	END
	if [ -n "$run" ]; then chown -R 65534:65534 "$BOX"; fi
	# shellcheck disable=SC2086 # words
	(cd "$BOX" && exec env HOME="$BOX" TMPDIR="$BOX" $run fakeroot sh "$BOX/debian.sh" inside "$BOX") \
		4>&2 >"$CACHE/image.log" 2>&1 9>&- || {
		tail -n 20 "$CACHE/image.log" >"$WORK/log"
		if grep -qiE 'no space left|quota' "$WORK/log"; then explain "the image cannot be made" "$WORK/log"; fi
		die "the image cannot be made" "$(tail -n 5 "$WORK/log")" "the whole log: $CACHE/image.log"
	}
	step 10 "store the disk"
	rm -f "$DISK.stamp"
	cp --sparse=always "$BOX/disk" "$DISK.tmp.$$" 2>"$WORK/log" || {
		rm -f "$DISK.tmp.$$"
		explain "the disk cannot be stored as $DISK" "$WORK/log"
	}
	mv "$DISK.tmp.$$" "$DISK"
	image_stamp >"$DISK.stamp"
	left=$(grep -cE '^Status: .* (unpacked|half-configured|half-installed)$' "$BOX/root/var/lib/dpkg/status") || :
	rm -rf "$BOX"
	say "the disk is ready: $DISK (packages left to the first boot: $left)"
}

# ---- a folder ------------------------------------------------------------------------------------

# For programs that need no more than the files of their packages. Scripts of packages do not run.
make_root() {
	stamp="$FORMAT $ADD"
	if [ "$REFRESH" = 0 ] && [ "$(cat "$DISK.stamp" 2>/dev/null)" = "$stamp" ] && [ -d "$DISK" ]; then
		step 1 "the folder is in the cache"
		return
	fi
	[ -n "$ADD" ] || usage
	[ ! -e "$DISK" ] || [ -e "$DISK.stamp" ] || die "$DISK is there already" \
		"remove it, or name another folder with --out"
	step 1 "package lists of Debian 13 ($ARCH)"
	apt_setup
	apt_update
	# shellcheck disable=SC2086 # the list is words
	apt-get -c "$APT/apt.conf" -q -y --print-uris install base-files $ADD >"$WORK/uris" 2>"$WORK/log" ||
		explain "cannot choose Debian's packages" "$WORK/log"
	total=$(awk "/^'/ { n += \$3 } END { printf \"%.0f\", n }" "$WORK/uris")
	step 2 "download $(grep -c "^'" "$WORK/uris") packages, $((total / 1000000)) MB"
	# shellcheck disable=SC2086 # the list is words
	apt_download "$total" -y --download-only install base-files $ADD
	step 3 "unpack them"
	mkdir "$WORK/root"
	# the links of the root folder first: others have files behind them
	{
		grep '/base-files_' "$WORK/uris"
		grep -v '/base-files_' "$WORK/uris"
	} | sed -n "s/^'[^']*' \([^ ]*\) .*/\1/p" >"$WORK/debs"
	while read -r file; do
		dpkg-deb -x "$APT/archives/$file" "$WORK/root" 2>"$WORK/log" ||
			explain "cannot unpack $file" "$WORK/log"
		rm "$APT/archives/$file"
	done <"$WORK/debs"
	rm -rf "$DISK.stamp" "$DISK"
	mkdir -p "${DISK%/*}"
	mv "$WORK/root" "$DISK"
	echo "$stamp" >"$DISK.stamp"
}

# ---- start ---------------------------------------------------------------------------------------

cleanup() {
	code=$?
	trap - EXIT
	if [ -n "${child:-}" ]; then kill "$child" 2>/dev/null || :; fi
	if [ -n "${WORK:-}" ]; then rm -rf "$WORK"; fi
	case ${BOX:-} in
	*/lodge-image.*) rm -rf "$BOX" ;;
	esac
	exit "$code"
}

main() {
	HAVE_FD3=0
	if (: >&3) 2>/dev/null; then HAVE_FD3=1; fi
	CACHE=${LODGE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/lodge}
	AGENT=${LODGE_AGENT:-}
	SIZE=${LODGE_DISK_SIZE:-4G}
	ADD=
	DISK=
	REFRESH=0
	[ $# -gt 0 ] || usage
	verb=$1
	shift
	if [ "$verb" = inside ] && [ $# -eq 1 ]; then # the script calls itself: see make_image
		inside "$1"
		exit 0
	fi
	while [ $# -gt 0 ]; do
		case $1 in
		--cache | --agent | --out | --size | --add) [ $# -ge 2 ] || usage ;;
		esac
		case $1 in
		--cache) CACHE=$2; shift ;;
		--agent) AGENT=$2; shift ;;
		--out) DISK=$2; shift ;;
		--size) SIZE=$2; shift ;;
		--add) ADD=$2; shift ;;
		--refresh) REFRESH=1 ;;
		*) usage ;;
		esac
		shift
	done
	case $verb in
	host-packages) host_packages; exit 0 ;;
	kernel) STEPS=4 ;;
	image) STEPS=10 ;;
	root) STEPS=3 ;;
	*) usage ;;
	esac
	if [ -n "$AGENT" ] && [ ! -r "$AGENT" ]; then die "the agent $AGENT cannot be read"; fi
	case $CACHE in
	/*) ;;
	*) CACHE=$PWD/$CACHE ;;
	esac
	OUT=$CACHE/$RELEASE
	[ "$verb" != root ] || : "${DISK:=$OUT/root}"
	: "${DISK:=$OUT/disk.raw}"
	case $DISK in
	/*) ;;
	*) DISK=$PWD/$DISK ;;
	esac
	case $CACHE in
	*[\"\'\ \\]*) die "the cache folder's name has a space or a quote in it: $CACHE" \
		"apt cannot use such a folder; choose another with --cache" ;;
	esac
	need
	mkdir -p "$OUT" || die "the cache folder $OUT cannot be made" "choose another with --cache"
	exec 9>"$CACHE/$RELEASE.lock"
	if ! flock -n 9; then
		say "another fetch is running in $CACHE; waiting for it"
		flock 9
	fi
	rm -rf "$CACHE/$RELEASE".tmp.*
	WORK=$CACHE/$RELEASE.tmp.$$
	trap cleanup EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	mkdir "$WORK"
	if [ "$verb" = root ]; then
		make_root
	else
		make_kernel
		[ "$verb" = kernel ] || make_image
	fi
}

main "$@"
