#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A debugger on a program of the process level: Debian's gdb-multiarch, on each engine.

bats_require_minimum_version 1.5.0 # run -CODE

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export LODGE=$PWD/build/lodge T=$BATS_FILE_TMPDIR
	cc=(riscv64-linux-gnu-gcc -std=gnu17 -D_GNU_SOURCE -g -O0 -Wall -pthread)
	"${cc[@]}" -static -o "$T/debugged" test/run/gdb/debugged.c
	"${cc[@]}" -static -o "$T/vlen" test/run/process/vlen.c
	mkdir -p "$T/root/bin" "$T/root/lib"
	"${cc[@]}" -o "$T/root/bin/debugged" test/run/gdb/debugged.c
	cp /usr/riscv64-linux-gnu/lib/ld-linux-riscv64-lp64d.so.1 /usr/riscv64-linux-gnu/lib/libc.so.6 \
		"$T/root/lib/"
}

QUIET="handle SIGUSR1 nostop noprint pass"

# begin ARGS...: lodge run ARGS, waiting at a socket; its output in $OUT.
begin() {
	SOCK=$BATS_TEST_TMPDIR/gdb.sock OUT=$BATS_TEST_TMPDIR/out
	rm -f "$SOCK"
	timeout 120 "$LODGE" run -o gdb="unix:$SOCK" "$@" >"$OUT" 2>&1 &
	PID=$!
	for _ in {1..100}; do
		[ ! -S "$SOCK" ] || return 0
		sleep 0.05
	done
	return 1
}

# gdb_do COMMAND...: gdb's output in $output; it has the program's file.
gdb_do() {
	args=(-nx -batch -ex "set pagination off" -ex "target remote $SOCK")
	for c in "$@"; do args+=(-ex "$c"); done
	run timeout 100 gdb-multiarch "${args[@]}" "${FILE-$T/debugged}"
}

# ended CODE: how the program ended.
ended() {
	code=0
	wait "$PID" || code=$?
	[ "$code" = "$1" ] || {
		echo "ended with $code: $(cat "$OUT")"
		return 1
	}
}

@test "break, backtrace, print, step, finish, a call, to the end" {
	for accel in interpret translate; do
		begin --accel $accel "$T/debugged"
		gdb_do "$QUIET" "break add" c bt "p a + b" next "p sum" "set var sum = 70" "delete" finish \
			"p add(20, 22)" stepi "p \$pc == \$pc" c
		[[ "$output" == *"Breakpoint 1, add (a=3, b=4)"*"#1 "*"in main (argc=1"* ]]
		[[ "$output" == *'$1 = 7'*'$2 = 7'*"Value returned is "*" = 70"*" = 42"*"exited with code 021"* ]]
		ended 17
		grep -qx "sum 70" "$OUT"
		grep -qx "total 8 signals 10" "$OUT"
	done
}

@test "threads: breakpoints in each, their registers, one that goes alone" {
	begin "$T/debugged"
	gdb_do "$QUIET" "break worker" c "info threads" "p \$_thread" bt "thread apply all p \$sp" "delete" \
		"break add" c "p b" "set scheduler-locking on" next "p sum" "set scheduler-locking off" delete c
	[[ "$output" == *"worker (p="*"* 2 "*"Thread "* ]]
	[[ "$output" == *'$1 = 2'*'= 0'*'= 5'*"exited with code 021"* ]]
	ended 17
}

@test "an interrupt stops all threads, which go on again" {
	for accel in interpret translate; do
		begin --accel $accel "$T/debugged" spin
		cat >"$BATS_TEST_TMPDIR/script.py" <<-'END'
			import gdb, os, signal, threading, time
			threading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
			gdb.execute("continue")
			print("threads", len(gdb.selected_inferior().threads()))
			gdb.execute("break add if a == 1")
			gdb.execute("continue")
			gdb.execute("delete")
			gdb.execute("set var going = 0")
			gdb.execute("continue")
		END
		gdb_do "source $BATS_TEST_TMPDIR/script.py"
		[[ "$output" == *"SIGINT"*"threads 4"*"Breakpoint 1, add (a=1, b=1)"*"exited with code 011"* ]]
		ended 9
	done
}

@test "signals: reported, passed, dropped; a fault at its place" {
	begin "$T/debugged"
	gdb_do c "p \$_siginfo.si_signo" "signal 0"
	[[ "$output" == *"received signal SIGUSR1"*'$1 = 10'*"code 021"* ]]
	ended 17
	grep -qx "total 8 signals 0" "$OUT"
	begin "$T/debugged"
	gdb_do "$QUIET" c
	[[ "$output" != *"received signal"* ]]
	ended 17
	grep -qx "total 8 signals 10" "$OUT"
	begin "$T/debugged" fault
	gdb_do c "p \$_siginfo._sifields._sigfault.si_addr" "x/i \$pc" c
	[[ "$output" == *"received signal SIGSEGV"*"in main"*'$1 = '*0x8*"sw"*"terminated with signal SIGSEGV"* ]]
	ended 139
}

@test "a child of fork is not stopped, its parent stays" {
	begin "$T/debugged" fork
	gdb_do "break add" c "p a" delete c
	[[ "$output" == *'$1 = 23'*"exited with code 030"* ]]
	ended 24
}

@test "exec: told, and breakpoints in the new program" {
	begin "$T/debugged" exec
	gdb_do "$QUIET" "catch exec" c "break add" c "p a" delete c
	[[ "$output" == *"exec"*"add (a=3, b=4)"*'$1 = 3'*"exited with code 021"* ]]
	ended 17
}

@test "a dynamic program in a root: files come from the guest, no file of ours is needed" {
	begin --root "$T/root" /bin/debugged
	FILE=/dev/null
	run timeout 100 gdb-multiarch -nx -batch -ex "target remote $SOCK" -ex "break add" -ex c \
		-ex bt -ex "info sharedlibrary" -ex "p (long) getpid()" -ex "kill"
	[[ "$output" == *"add (a=3, b=4)"*"main (argc=1"*/lib/libc.so.6*'$1 = '[0-9]* ]]
	ended 137
}

@test "detached it goes on alone, and so it does when gdb is gone" {
	begin "$T/debugged"
	gdb_do "break add" c detach
	ended 17
	begin "$T/debugged"
	gdb_do "break add" c "python import os; os._exit(0)"
	ended 17
}

@test "vector registers as long as the program has them, read and written" {
	for vlen in 128 256 512; do
		n=$((vlen / 8))
		begin -o vlen=$vlen "$T/vlen"
		FILE=$T/vlen gdb_do "$QUIET" "handle SIGSEGV nostop noprint pass" "break filled" c "p \$vlenb" \
			"p sizeof(\$v5.b)" "p/x \$v31.b[$((n - 1))] == in[$((32 * n - 1))]" \
			"p \$v0.w[0] == *(int *)in" "set var \$v7.b[$((n - 1))] = 0x5a" \
			"p/x in[$((8 * n - 1))] = 0x5a" delete c
		[[ "$output" == *"\$1 = $n"*"\$2 = $n"*'$3 = 0x1'*'$4 = 1'*'$5 = 0x5a'*"exited normally"* ]]
		ended 0
		grep -q "^changed 1: " "$OUT"
	done
}

@test "the protocol by hand: step packets, memory, registers, bad packets" {
	begin "$T/debugged"
	python3 - "$SOCK" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
		buf = b''
		def send(body):
		    s.sendall(b'$' + body + b'#%02x' % (sum(body) & 255))
		def recv():
		    global buf
		    while b'#' not in buf or len(buf.split(b'#', 1)[1]) < 2:
		        more = s.recv(65536); assert more, buf
		        buf += more
		    body, buf = buf.split(b'#', 1)
		    buf = buf[2:]
		    return body.lstrip(b'+').lstrip(b'$')
		def ask(body):
		    send(body); return recv()
		def pc():
		    return int.from_bytes(bytes.fromhex(ask(b'p20').decode()), 'little')
		s.sendall(b'$g#00'); assert s.recv(1) == b'-' # a wrong sum
		assert b'vContSupported+' in ask(b'qSupported:swbreak+')
		assert ask(b'QStartNoAckMode') == b'OK'
		assert ask(b'vMustReplyEmpty') == b'' and ask(b'Z2,1000,4') == b'' and ask(b'nonsense') == b''
		assert ask(b'?').startswith(b'T05thread:')
		regs = ask(b'g'); assert len(regs) == 2 * (33 * 8 + 32 * 8 + 3 * 4 + 7 * 8 + 32 * 16), len(regs)
		assert ask(b'G' + regs) == b'OK'
		assert ask(b'P5=0123456789abcdef') == b'OK' and ask(b'p5') == b'0123456789abcdef'
		assert ask(b'p999')[:1] == b'E' and ask(b'm8,4')[:1] == b'E' and ask(b'mffffffffffffff,4')[:1] == b'E'
		last, seen = pc(), set()
		for i in range(3000): # through branches, calls, and a system call or two
		    assert ask(b'vCont;s').startswith(b'T05'), i
		    now = pc(); seen.add(now); assert now != last, hex(now); last = now
		assert len(seen) > 60, len(seen)
		code = ask(b'm%x,8' % last)
		assert ask(b'Z0,%x,4' % last) == b'OK' and ask(b'm%x,8' % last) == code
		assert ask(b'z0,%x,4' % last) == b'OK'
		sp = int.from_bytes(bytes.fromhex(ask(b'p2').decode()), 'little') - 256
		assert ask(b'M%x,4:11223344' % sp) == b'OK' and ask(b'm%x,4' % sp) == b'11223344'
		assert ask(b'X%x,4:' % sp + b'a}\x03}\x04d') == b'OK'  # } escapes
		assert ask(b'm%x,4' % sp) == b'a#$d'.hex().encode()
		assert ask(b'vFile:open:2f6e6f6e65,0,0') == b'F-1,2'
		assert ask(b'c').startswith(b'T1e') and ask(b'C1e') == b'W11'
	END
	ended 17
}

@test "where the debugger comes from" {
	timeout 60 "$LODGE" run -o gdb=0 "$T/debugged" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" &
	for _ in {1..100}; do
		[ ! -s "$BATS_TEST_TMPDIR/err" ] || break
		sleep 0.05
	done
	port=$(sed -n 's/.*target remote 127.0.0.1:\([0-9]*\)$/\1/p' "$BATS_TEST_TMPDIR/err")
	run gdb-multiarch -nx -batch -ex "target remote :$port" -ex c "$T/debugged"
	[[ "$output" == *SIGUSR1* ]]
	wait $! || [ $? -eq 137 ]
	run gdb-multiarch -nx -batch -ex "target remote | $LODGE run -o gdb=- $T/debugged" -ex "signal 0" -ex "signal 0" "$T/debugged"
	[[ "$output" == *"total 8 signals 0"*"code 021"* ]]
	run -125 "$LODGE" run -o gdb=here "$T/debugged"
	[[ "$output" == *port*unix:PATH* ]]
	run -127 "$LODGE" run -o gdb="unix:$T/none/sock" "$T/debugged"
	[[ "$output" == *"none/sock"* ]]
}
