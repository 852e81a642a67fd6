#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The machine level with real guests: Debian 13's kernel for riscv64, directly, through OpenSBI and
# U-Boot; harts, page-table modes, memory sizes, buses and disk formats; bad input.
# The images come into the user's cache once; everything else is thrown away.

bats_require_minimum_version 1.5.0 # run -CODE
source "$BATS_TEST_DIRNAME/guests.sh"

setup_file() {
	home_make
	image_pull debian-small
	export IMAGE=$XDG_CACHE_HOME/lodge/debian-13-riscv64
	make_root
}

# A root file system of one program: busybox as /sbin/init runs a script.
make_root() {
	r=$BATS_FILE_TMPDIR/root
	mkdir -p "$r"/{bin,sbin,proc,dev,boot/extlinux}
	cp "$IMAGE/busybox" "$r/bin/busybox"
	printf '#!/bin/busybox sh\n/bin/busybox mount -t proc proc /proc\n/bin/busybox echo root-is "$(/bin/busybox grep " / " /proc/mounts)"\n/bin/busybox echo written >/mark; /bin/busybox sync; /bin/busybox sleep 1\n/bin/busybox poweroff -f\n' >"$r/sbin/init"
	chmod 755 "$r/sbin/init"
	cp "$IMAGE/kernel" "$IMAGE/initrd-small" "$r/boot/"
	printf 'default l\ntimeout 1\nlabel l\n  kernel /boot/kernel\n  initrd /boot/initrd-small\n  append console=ttyS0 lodge.run=uname\n' >"$r/boot/extlinux/extlinux.conf"
	export ROOT=$BATS_FILE_TMPDIR/root.raw
	/sbin/mke2fs -q -t ext4 -d "$r" "$ROOT" 160M
	# The same behind a partition table, as firmware wants it: one Linux partition from 1 MiB on.
	export PARTED=$BATS_FILE_TMPDIR/parted.raw
	truncate -s 161M "$PARTED"
	dd if="$ROOT" of="$PARTED" bs=1M seek=1 conv=notrunc,sparse status=none
	printf '\200\0\0\0\203\0\0\0\0\010\0\0\0\0\005\0' | dd of="$PARTED" bs=1 seek=446 conv=notrunc status=none
	printf '\125\252' | dd of="$PARTED" bs=1 seek=510 conv=notrunc status=none
}

lodge() { "$LODGE" "$@"; }
# small COMMAND OPTIONS...: run a command in Debian's kernel with the small initramfs. Power-off does
# not wait for what a terminal still buffers, so the guest waits a second.
small() {
	command=$1
	shift
	run lodge run --rm --timeout 120 --kernel "$IMAGE/kernel" --initrd "$IMAGE/initrd-small" \
		--append "console=ttyS0 quiet lodge.run=\"( $command ); c=\$?; sleep 1; exit \$c\"" "$@"
	printf '%s\n' "$output" | tail -20
}

@test "kernel direct, 1 hart, its command's exit code" {
	small "uname -m; exit 7"
	[ "$status" -eq 7 ]
	[[ "$output" == *riscv64* ]]
}

@test "vector registers: as long as asked for, or none" {
	small "grep -m 1 ^isa /proc/cpuinfo" -o vlen=256
	[[ "$output" == *rv64imafdcv_*zve64d* ]]
	small "grep -m 1 ^isa /proc/cpuinfo" -o vlen=off
	[[ "$output" == *rv64imafdc_* ]]
	small "true" -o vlen=100
	[ "$status" -eq 125 ]
	[[ "$output" == *"option vlen=100: 128, 256, 512 or off"* ]]
}

@test "kernel direct, 2 harts" {
	small "echo harts=\$(grep -c ^processor /proc/cpuinfo)" --cpus 2
	[ "$status" -eq 0 ]
	[[ "$output" == *harts=2* ]]
}

@test "kernel direct, 4 harts" {
	small "echo harts=\$(grep -c ^processor /proc/cpuinfo)" --cpus 4
	[ "$status" -eq 0 ]
	[[ "$output" == *harts=4* ]]
}

@test "page tables sv39, sv48 and sv57" {
	for mmu in sv39 sv48 sv57; do
		small "grep -m1 mmu /proc/cpuinfo" --mmu $mmu
		[ "$status" -eq 0 ]
		[[ "$output" == *"$mmu"* ]]
	done
}

@test "memory of 128 MiB and of 8 GiB" {
	small "grep MemTotal /proc/meminfo" -m 128M
	[ "$status" -eq 0 ]
	[[ "$output" =~ MemTotal:\ +([0-9]+) ]]
	[ "${BASH_REMATCH[1]}" -lt 131072 ]
	small "grep MemTotal /proc/meminfo" -m 8G
	[ "$status" -eq 0 ]
	[[ "$output" =~ MemTotal:\ +([0-9]+) ]]
	[ "${BASH_REMATCH[1]}" -gt 7500000 ]
}

@test "through OpenSBI (fw_jump and fw_dynamic)" {
	for fw in fw_jump.elf fw_dynamic.bin; do
		run lodge run --rm --timeout 120 --kernel "$IMAGE/kernel" --initrd "$IMAGE/initrd-small" \
			--firmware /usr/lib/riscv64-linux-gnu/opensbi/generic/$fw --cpus 2 \
			--append 'console=ttyS0 lodge.run="echo harts=$(grep -c ^processor /proc/cpuinfo); sleep 1"'
		[ "$status" -eq 0 ]
		[[ "$output" == *OpenSBI* ]]
		[[ "$output" == *harts=2* ]]
	done
}

@test "through OpenSBI and U-Boot from a disk" {
	run lodge run --rm --timeout 180 --disk "$PARTED,ro" --kernel /usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin \
		--firmware /usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.elf
	printf '%s\n' "$output" | tail -30
	[ "$status" -eq 0 ]
	[[ "$output" == *"U-Boot 2023"* ]]
	[[ "$output" == *"reboot: Power down"* ]]
}

# root DISKSPEC OPTIONS...: boot with the disk as root
root() {
	disk=$1
	shift
	run lodge run --rm --timeout 120 --kernel "$IMAGE/kernel" --initrd "$IMAGE/initrd-small" \
		--disk "$disk" --append "console=ttyS0 quiet root=/dev/vda rw" "$@"
	printf '%s\n' "$output" | tail -20
	[ "$status" -eq 0 ]
	[[ "$output" == *"root-is /dev/vda / ext4 rw"* ]]
}

@test "root on a raw disk over MMIO and over PCI" {
	cp --sparse=always "$ROOT" "$BATS_TEST_TMPDIR/d.raw"
	root "$BATS_TEST_TMPDIR/d.raw,format=raw"
	/sbin/debugfs -R "cat /mark" "$BATS_TEST_TMPDIR/d.raw" 2>/dev/null | grep -q written
	root "$BATS_TEST_TMPDIR/d.raw,format=raw,bus=pci"
	root "$BATS_TEST_TMPDIR/d.raw,format=raw" --bus pci
}

@test "root on qcow2: the image stays, the overlay has the writes" {
	qemu-img convert -O qcow2 "$ROOT" "$BATS_TEST_TMPDIR/d.qcow2"
	sum=$(sha256sum <"$BATS_TEST_TMPDIR/d.qcow2")
	root "$BATS_TEST_TMPDIR/d.qcow2,overlay=$BATS_TEST_TMPDIR/d.over"
	root "$BATS_TEST_TMPDIR/d.qcow2,overlay=$BATS_TEST_TMPDIR/d.over,bus=pci"
	[ "$(sha256sum <"$BATS_TEST_TMPDIR/d.qcow2")" = "$sum" ]
}

@test "console on virtio" {
	run lodge run --rm --timeout 120 --kernel "$IMAGE/kernel" --initrd "$IMAGE/initrd-small" \
		-o console=virtio --append 'console=hvc0 lodge.run="echo over-$(cat /sys/class/tty/console/active); sleep 1"'
	printf '%s\n' "$output" | tail
	[ "$status" -eq 0 ]
	[[ "$output" == *over-hvc0* ]]
}

@test "a kernel panic ends with 123" {
	small "echo c >/proc/sysrq-trigger"
	[ "$status" -eq 123 ]
}

@test "damaged kernels and initrds: an error that says what, or a guest's own death" {
	head -c 1000000 "$IMAGE/kernel" >"$BATS_TEST_TMPDIR/short"
	run lodge run --rm --timeout 5 --kernel "$BATS_TEST_TMPDIR/short"
	[ "$status" -ge 123 ]
	[ "$status" -le 126 ]
	printf '\177ELF\2\1\1' >"$BATS_TEST_TMPDIR/elf"
	run lodge run --rm --kernel "$BATS_TEST_TMPDIR/elf"
	[ "$status" -eq 125 ] || [ "$status" -eq 126 ]
	[[ "$output" == *elf*truncated* ]]
	cp /bin/true "$BATS_TEST_TMPDIR/x86"
	run lodge run --rm --kernel "$BATS_TEST_TMPDIR/x86"
	[ "$status" -eq 125 ] || [ "$status" -eq 126 ]
	[[ "$output" == *RISC-V* ]]
	run -127 lodge run --rm --kernel "$BATS_TEST_TMPDIR/none"
	[[ "$output" == *"No such file"* ]]
	run lodge run --rm -m 17M --kernel "$IMAGE/kernel"
	[[ "$output" == *"-m"* ]]
	for at in 40 60 4096 2000000 20000000; do
		cp "$IMAGE/kernel" "$BATS_TEST_TMPDIR/flip"
		printf '\377' | dd of="$BATS_TEST_TMPDIR/flip" bs=1 seek=$at conv=notrunc status=none
		run lodge run --rm --timeout 3 --kernel "$BATS_TEST_TMPDIR/flip" --append "console=ttyS0 panic=0"
		[ "$status" -ge 123 ] && [ "$status" -le 126 ] || [ "$status" -eq 0 ]
	done
}

@test "a full host disk is an I/O error for the guest" {
	[ "$(id -u)" = 0 ] || skip "mounting needs root"
	mkdir "$BATS_TEST_TMPDIR/small"
	mount -t tmpfs -o size=8M none "$BATS_TEST_TMPDIR/small" || skip "no tmpfs here"
	truncate -s 64M "$BATS_TEST_TMPDIR/small/d.raw"
	small "dd if=/dev/zero of=/dev/vda bs=1M count=32 2>&1; sync; echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/vda of=/dev/null bs=4k count=16 2>&1 && echo still-reads" \
		--disk "$BATS_TEST_TMPDIR/small/d.raw,format=raw"
	size=$(stat -c %s "$BATS_TEST_TMPDIR/small/d.raw")
	umount "$BATS_TEST_TMPDIR/small"
	[ "$status" -eq 0 ]
	[[ "$output" == *still-reads* ]]
	[ "$size" -eq $((64 << 20)) ]
}

@test "kill -9 of a keeper: failed, the disk as after a power cut, rm works" {
	cp --sparse=always "$ROOT" "$BATS_TEST_TMPDIR/k.raw"
	lodge run -d --name killed --kernel "$IMAGE/kernel" --initrd "$IMAGE/initrd-small" \
		--disk "$BATS_TEST_TMPDIR/k.raw,format=raw" \
		--append 'console=ttyS0 lodge.run="mount /dev/vda /mnt; while true; do dd if=/dev/urandom of=/mnt/f bs=64k count=20; sync; echo round; done"'
	lodge run -d --name other demo
	for _ in $(seq 60); do
		lodge logs killed | grep -q round && break
		sleep 1
	done
	pid=$(lodge inspect killed | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p')
	kill -9 "$pid"
	sleep 0.5
	lodge ls -a | grep -E '^killed +failed'
	lodge ls | grep -E '^other +running'
	/sbin/e2fsck -fy "$BATS_TEST_TMPDIR/k.raw" || [ $? -eq 1 ]
	/sbin/e2fsck -fn "$BATS_TEST_TMPDIR/k.raw"
	lodge rm killed
	lodge rm -f other
}

# keeper_kib ENGINE: what a keeper has in memory beyond its guest's (anonymous pages, files, the code
# cache), with one hart, 10 s after its guest came to its prompt: by then it has been idle for the 3 s
# after which a hart gives its code back. While a guest is busy the translator takes more.
keeper_kib() {
	lodge run -d --name lean --accel "$1" debian-small >/dev/null
	for _ in $(seq 60); do
		lodge logs lean | grep -q 'lodge:\|~ #\|/ #' && break
		sleep 1
	done
	sleep 10
	pid=$(lodge inspect lean | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p')
	"$BATS_TEST_DIRNAME/../bench/resident" "$pid"
	lodge rm -f lean >/dev/null
}

@test "a keeper uses at most 8 MiB beyond its guest's memory" {
	for engine in interpret translate; do
		rss=$(keeper_kib $engine)
		echo "$engine: $rss KiB"
		[ "$rss" -gt 1024 ]
		[ "$rss" -le 8192 ]
	done
}

@test "a probed disk may not name other files, nor change its format" {
	qemu-img create -q -f raw "$BATS_TEST_TMPDIR/secret" 1M
	qemu-img create -q -f qcow2 -b "$BATS_TEST_TMPDIR/secret" -F raw "$BATS_TEST_TMPDIR/evil" 1M
	run lodge run --rm --timeout 5 --disk "$BATS_TEST_TMPDIR/evil,ro" demo
	[ "$status" -eq 125 ] || [ "$status" -eq 126 ]
	[[ "$output" == *"format=qcow2"* ]]
	truncate -s 1M "$BATS_TEST_TMPDIR/raw"
	lodge create --name turncoat --disk "$BATS_TEST_TMPDIR/raw" demo
	lodge start turncoat && lodge kill turncoat
	dd if="$BATS_TEST_TMPDIR/evil" of="$BATS_TEST_TMPDIR/raw" conv=notrunc status=none
	lodge start turncoat # still raw
	grep -qx raw "$XDG_DATA_HOME/lodge/instances/turncoat/disk0.format"
	lodge rm -f turncoat
}
