#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# guest.sh NAME...: in the initramfs, as root: run.sh in the Debian of the disk, which is not
# written to. Its programs are read once before, as the host's have been.
set -e
modprobe -q ext4
mount -t ext4 -o ro,noload /dev/vda /newroot
for dir in proc dev; do mount -o bind /$dir /newroot/$dir; done
mount -t tmpfs tmpfs /newroot/tmp
mv /job /newroot/tmp/job
cp /bin/lodge-bench /newroot/tmp/job/
cd /newroot/tmp/job
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do cat text; done >big
cd /newroot/usr
cat bin/*gcc-1? libexec/gcc/*/*/cc1 bin/sqlite3 bin/python3.* bin/xz bin/gzip bin/mawk bin/sha256sum \
	bin/dash bin/sort bin/sed bin/grep lib/riscv64-linux-gnu/*.so.* >/dev/null
exec chroot /newroot /bin/sh /tmp/job/run.sh "$@"
