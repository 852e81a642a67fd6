#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The process level: programs of riscv64 Linux in the place of lodge, on each engine.

bats_require_minimum_version 1.5.0 # run -CODE

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export LODGE=$PWD/build/lodge T=$BATS_FILE_TMPDIR XDG_DATA_HOME=$BATS_FILE_TMPDIR/data
	riscv64-linux-gnu-gcc -std=gnu17 -D_GNU_SOURCE -O2 -Wall -static -pthread -o "$T/program" test/run/process/program.c
	riscv64-linux-gnu-gcc -std=gnu17 -D_GNU_SOURCE -O2 -Wall -static -pthread -o "$T/vlen" test/run/process/vlen.c
	# exit(42), at any address
	printf '.globl _start\n_start: li a0, 42\nli a7, 93\necall\n' >"$T/pie.s"
	riscv64-linux-gnu-gcc -nostdlib -static-pie -Wl,--no-dynamic-linker -o "$T/pie" "$T/pie.s"
	mkdir -p "$T/root/bin" "$T/root/lib"
	riscv64-linux-gnu-gcc -std=gnu17 -D_GNU_SOURCE -O2 -Wall -pthread -o "$T/root/bin/dynamic" test/run/process/program.c
	cp /usr/riscv64-linux-gnu/lib/ld-linux-riscv64-lp64d.so.1 /usr/riscv64-linux-gnu/lib/libc.so.6 \
		"$T/root/lib/"
	printf '#!/bin/dynamic args\n' >"$T/root/bin/script"
	chmod +x "$T/root/bin/script"
}

# prog PART ARGS...: on each engine, with the same result, which run leaves behind.
prog() {
	for accel in interpret translate; do
		run timeout 60 "$LODGE" run --accel $accel "$T/program" "$@"
		[ -z "$before" ] || [ "$before" = "$status $output" ] || {
			echo "$accel: $status $output; but before: $before"
			return 1
		}
		before="$status $output"
	done
}

@test "arguments, environment and exit code" {
	MARK=inherited prog args a "b c" ""
	[ "$status" -eq 42 ]
	[ "$output" = $'a\nb c\n\nMARK=inherited' ]
	run "$LODGE" run -e MARK=given "$T/program" args
	[ "$output" = MARK=given ]
}

@test "stdin, stdout and pipes are the caller's" {
	run bash -c "'$LODGE' run '$T/program' args x 2>&1 | tr a-z A-Z"
	[[ "$output" == X* ]]
}

@test "static PIE, and a dynamic program in a root" {
	run timeout 60 "$LODGE" run "$T/pie"
	[ "$status" -eq 42 ]
	for accel in interpret translate; do
		run timeout 60 "$LODGE" run --accel $accel --root "$T/root" /bin/dynamic args dyn
		[ "$status" -eq 42 ]
		[[ "$output" == dyn* ]]
	done
	run timeout 60 "$LODGE" run --root "$T/root" dynamic args found
	[[ "$output" == found* ]]
	run timeout 60 "$LODGE" run --root "$T/root" -w /bin dynamic threads
	[ "$output" = 600000 ]
}

@test "a script in a root, and a log of the calls of all that it starts" {
	run timeout 60 "$LODGE" run -o strace="$T/log" --root "$T/root" /bin/script one "t wo"
	[ "$status" -eq 42 ]
	[[ "$output" == $'/bin/script\none\nt wo\n'* ]]
	grep -E '^ *[0-9]+ write\(fd=1, buf="/bin/script' "$T/log"
	grep -E '^ *[0-9]+ exit_group\(status=42\)$' "$T/log"
	grep -E 'openat\(.*path="/lib/libc.so.6".* = [0-9]+$' "$T/log"
	printf '#!/bin/none\n' >"$T/root/bin/orphan" && chmod +x "$T/root/bin/orphan"
	run -127 "$LODGE" run --root "$T/root" /bin/orphan
	[[ "$output" == */bin/none*script*/bin/orphan* ]]
	run -125 "$LODGE" run -o trace=1 "$T/program" args
	[[ "$output" == *strace=FILE* ]]
}

@test "the auxiliary vector" {
	prog aux
	[ "$status" -eq 0 ]
	[ "$output" = "page 4096 hwcap 20112d secure 0 random 1 name $T/program" ]
}

@test "functions by AT_SYSINFO_EHDR" {
	prog vdso
	[ "$status" -eq 0 ]
	[ "$output" = vdso ]
}

@test "each fault ends it by its signal" {
	for k in "0 139" "1 139" "2 139" "3 139" "4 139" "5 132" "6 133" "7 134" "8 137"; do
		before=
		prog fault ${k% *}
		[ "$status" -eq ${k#* } ]
	done
}

@test "a fault with a handler is told where and why" {
	prog handler
	[ "$output" = caught ]
}

@test "signals: raised, blocked, suspended for" {
	prog signals
	[ "$status" -eq 0 ]
	[ "$output" = 1002 ]
}

@test "vectors, through a signal whose handler uses them too" {
	prog vectors
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "2 4 6 8 10 12 14 0 vl 7 vtype d1 vcsr 2, first 3, signals 1" ]
	[ "${lines[1]}" = "cut at 20 and 100, signals 3" ]
}

@test "vector registers of 128, 256 and 512 bits: in frames, threads, after fork and exec" {
	for vlen in 128 256 512; do
		for accel in interpret translate; do
			run timeout 60 "$LODGE" run --accel $accel -o vlen=$vlen "$T/vlen"
			[ "$status" -eq 0 ]
			changed=$(grep -c '^changed 1: ' <<<"$output")
			[ "$changed" -eq 2 ] # before fork and in the child
			[ "$(grep -cx "vlenb $((vlen / 8))" <<<"$output")" -eq 2 ]
			[[ "$output" != *wrong* ]]
		done
	done
	run timeout 60 "$LODGE" run "$T/vlen" again
	[ "$output" = "vlenb 16" ]
	for vlen in 100 off 1024 ""; do
		run -125 "$LODGE" run -o vlen=$vlen "$T/vlen"
		[ "$output" = "lodge: option vlen=$vlen: 128, 256 or 512" ]
	done
}

@test "fork, exec, and children that die" {
	prog fork
	[ "$status" -eq 0 ]
	[ "$output" = $'1225 6 from\nexec\nMARK=' ]
}

@test "posix_spawn and vfork: the parent is told why it failed" {
	prog spawn
	[ "$status" -eq 0 ]
	[ "$output" = $'spawned\nMARK=' ]
}

@test "a program of the host by execve, but none for who has filters of system calls" {
	prog exec /bin/true
	[ "$status" -eq 0 ]
	before=
	prog filtered /bin/true
	[ "$status" -eq 8 ] # ENOEXEC
	before=
	prog filtered "$T/program" args left
	[ "$status" -eq 42 ]
}

@test "threads" {
	prog threads
	[ "$output" = 600000 ]
}

@test "a child keeps no code cache of threads that it has not" {
	mkfifo "$T/hold"
	"$LODGE" run --accel translate "$T/program" crowd <"$T/hold" >"$T/crowd" &
	exec 5>"$T/hold"
	for _ in {1..100}; do
		[ ! -s "$T/crowd" ] || break
		sleep 0.1
	done
	run grep -c lodge-code "/proc/$(cat "$T/crowd")/maps"
	exec 5>&-
	wait $!
	[ "$output" = 2 ]
}

@test "code that changes, and that may not run any more" {
	prog code
	[ "$status" -eq 139 ]
	[ "$output" = 6237500 ]
}

@test "memory calls at their edges" {
	prog memory
	[ "$status" -eq 0 ]
	[ "$output" = memory ]
}

@test "what cannot be run says why" {
	run -127 "$LODGE" run "$T/none"
	cp "$T/program" "$T/plain" && chmod -x "$T/plain"
	run -126 "$LODGE" run "$T/plain"
	[[ "$output" == *chmod* ]]
	head -c 100 "$T/program" >"$T/short" && chmod +x "$T/short"
	run -126 "$LODGE" run --level process "$T/short"
	[[ "$output" == *truncated* ]]
	run -126 "$LODGE" run --level process /bin/true
	[[ "$output" == *RISC-V* ]]
	run -127 "$LODGE" run "$T/root/bin/dynamic"
	[[ "$output" == *--root* ]]
	run -125 "$LODGE" run --disk 1M "$T/program"
	run -127 "$LODGE" run --root "$T/root" nowhere
	[[ "$output" == *PATH* ]]
	[ -z "$("$LODGE" ls -a -q)" ]
}
