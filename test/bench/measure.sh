# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2054,SC2154
# Sourced by run and quick: the machines that are measured, and how a run of one is read.
# The caller has set $build and $work (a folder of its own) and $lodge. Results are lines of
# "MACHINE name usec sum exact", one for each run.

image=${XDG_CACHE_HOME:-$HOME/.cache}/lodge/debian-13-riscv64
accel=${BENCH_ACCEL:-}
# The interpreter does less work; its times are scaled back.
div=${BENCH_DIV:-$([ "$accel" = interpret ] && echo 10 || echo 1)}

die() {
	echo "bench: $*" >&2
	exit 1
}

# initrd OUT SCRIPT [FILE...]: debian-small's initramfs with lodge-bench, the script as /bench.sh
# and FILEs in /job.
initrd() {
	local out=$1 script=$2 dir=$work/initrd
	shift 2
	rm -rf "$dir"
	mkdir -p "$dir/bin" "$dir/job"
	cp "$build/bench-guest" "$dir/bin/lodge-bench"
	cp "$script" "$dir/bench.sh"
	if [ $# -gt 0 ]; then cp "$@" "$dir/job/"; fi
	(cd "$dir" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) >"$work/more" ||
		die "cpio failed"
	cat "$image/initrd-small" "$work/more" >"$out"
}

# boot MACHINE LINES MEMORY CPUS INITRD APPEND [DISK]: one run of qemu or lodge (or interpret:
# lodge's interpreter), its console in LINES; prints "wall cpu wall cpu": until the text $until is
# there, and to the end. With $stop set the guest is ended as soon as the text is there.
boot() {
	local machine=$1 lines=$2 memory=$3 cpus=$4 initrd=$5 append=$6 disk=${7:-} run end=true
	case $machine in
	qemu)
		run=(qemu-system-riscv64 -M virt -m "$memory" -smp "$cpus" -nographic
			-kernel "$image/kernel" -initrd "$initrd" -append "$append")
		if [ -n "$disk" ]; then
			run+=(-drive "file=$disk,format=raw,if=none,id=d,snapshot=on"
				-device virtio-blk-device,drive=d)
		fi ;;
	*)
		run=("$lodge" run --rm --name bench -m "${memory}M" --cpus "$cpus" --kernel "$image/kernel"
			--initrd "$initrd" --append "$append")
		if [ "$machine" = interpret ]; then
			run+=(--accel interpret)
		elif [ -n "$accel" ]; then
			run+=(--accel "$accel")
		fi
		# shellcheck disable=SC2206 # words
		run+=(${options:-})
		if [ -n "$disk" ]; then
			rm -f "$work/overlay"
			run+=(--disk "$disk,format=raw,overlay=$work/overlay")
		fi
		end="$lodge rm -f bench >/dev/null" ;;
	esac
	if [ -n "${stop:-}" ]; then export BENCH_STOP=$end; else unset BENCH_STOP; fi
	BENCH_LINES=$lines "$build/bench-boot" "$until" "${run[@]}" ||
		{ tail -n 5 "$lines" >&2; echo "bench: the run failed: ${run[*]}" >&2; return 1; }
}

# The time by the guest's own clock at which the kernel started /init.
init_clock() { # LINES
	sed -n 's/.*\[ *\([0-9.]*\)\] Run \/init as init process.*/\1/p' "$1" | head -n 1
}

# What the programs said, as results; and a guest whose clock is not the host's is told. $div: by
# how much less was done; 0: the lines have no times of the host.
results() { # MACHINE LINES
	tr -d '\r' <"$2" | awk -v machine="$1" '
		$2 == "RUN" { begun = $1 }
		$2 == "FAIL" { sub(/^[^ ]* /, ""); print "bench: " machine ": " $0 >"/dev/stderr"; bad = 1 }
		$2 == "BENCH" && NF == 6 {
			print machine, $3, $4, $5, $6
			if (div) {
				host = ($1 - begun) * 1e6 * div
				if ($4 < host * 0.7 - 50000 * div || $4 > host * 1.3 + 50000 * div)
					printf "bench: %s: %s took %d us by the guest, %d us by the host\n",
						machine, $3, $4, host >"/dev/stderr"
			}
		}
		$2 == "PAIR" { print machine, $3, $4, $5, "pair" }
		END { exit bad }' div="$div"
}

until="Run /init as init process"
quiet='console=ttyS0 loglevel=3 lodge.net=off lodge.run="sh /bench.sh"'

# measured MACHINE [DISK]: boots $work/initrd.img and prints the results, also of a run that failed.
measured() {
	local good=0
	until="RUN " boot "$1" "$work/lines" 1024 1 "$work/initrd.img" "$quiet" "${2:-}" >/dev/null ||
		good=1
	results "$1" "$work/lines" || good=1
	return $good
}

# programs MACHINE NAME...: runs these of test/bench/guest once and prints their results.
programs() {
	local machine=$1
	shift
	case $machine in
	native)
		"$build/bench-native" "$@" | sed 's/^/0 /' >"$work/lines"
		div=0 results native "$work/lines" ;;
	check) # what the sums must be when the guests do less work
		"$build/bench-native" -d "$div" "$@" | sed 's/^/0 /' >"$work/lines"
		div=0 results check "$work/lines" ;;
	*)
		echo "lodge-bench -d $div $*" >"$work/script"
		initrd "$work/initrd.img" "$work/script"
		measured "$machine" ;;
	esac
}

# The whole jobs of test/bench/jobs.
all_jobs="gcc sqlite3 python3 gzip xz sha256sum awk shell"
disk=$image/bench.raw

# Debian with what the jobs need, fetched once.
jobs_image() {
	sh guest/fetch/debian.sh image --agent "$build/guest/lodge-agent" --out "$disk" \
		--add "gcc sqlite3 python3-minimal xz-utils"
}

# The packages of both sides, "name: host VERSION, guest VERSION".
jobs_versions() {
	local host guest name
	debugfs -R 'cat /var/lib/dpkg/status' "$disk" 2>/dev/null >"$work/status"
	for name in gcc sqlite3 python3-minimal gzip xz-utils coreutils mawk dash; do
		guest=$(awk -v p="$name" '$1 == "Package:" { is = $2 == p }
			is && $1 == "Version:" { print $2; exit }' "$work/status")
		[ "$name" != gcc ] || name=gcc-riscv64-linux-gnu
		# shellcheck disable=SC2016 # dpkg-query expands it
		host=$(dpkg-query -W -f '${Version}' "$name" 2>/dev/null)
		echo "$name: host ${host:-none}, guest ${guest:-none}"
	done
}

# Their inputs, from our own sources: the same for every machine of a run.
jobs_inputs() {
	[ ! -d "$work/job" ] || return 0
	mkdir "$work/job"
	cp test/bench/jobs/* "$work/job/"
	find src LICENSE -name '*.[ch]' -o -name LICENSE | LC_ALL=C sort | xargs cat 2>/dev/null |
		head -c 1000000 >"$work/job/text" 2>/dev/null
	riscv64-linux-gnu-gcc -std=gnu17 -D_GNU_SOURCE -Isrc -Iinclude -E -P \
		-o "$work/job/unit.i" src/blk/overlay.c || die "the unit for gcc cannot be made"
	cp -r "$work/job" "$work/host"
	cp "$build/bench-native" "$work/host/lodge-bench"
	for _ in $(seq 20); do cat "$work/job/text"; done >"$work/host/big"
}

# jobs MACHINE NAME...: runs these once and prints their results.
jobs() {
	local machine=$1
	shift
	jobs_inputs
	if [ "$machine" = native ]; then
		CC=riscv64-linux-gnu-gcc sh "$work/host/run.sh" "$@" | sed 's/^/0 /' >"$work/lines"
		div=0 results native "$work/lines"
		return
	fi
	echo "exec sh /job/guest.sh $*" >"$work/script"
	initrd "$work/initrd.img" "$work/script" "$work"/job/*
	div=1 measured "$machine" "$disk"
}
