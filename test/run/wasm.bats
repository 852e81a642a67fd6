#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The wasm level: programs of wasi-libc run, see the folders that they are given and no more, and
# when they misbehave end with a reason.

bats_require_minimum_version 1.5.0 # run -CODE

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export TOP=$PWD T=$BATS_FILE_TMPDIR LODGE=$PWD/build/lodge
	clang --target=wasm32-wasi -O1 -w test/wasm/probe.c -o "$T/probe.wasm"
	cd "$T" || return 1
	"$LODGE" run probe.wasm 2>why || skip "no namespaces here: $(cat why)"
}

setup() { cd "$T" || return 1; }

@test "every instruction gives what wabt's interpreter gives" {
	make --no-print-directory -C "$TOP" wasm-conform
}

@test "loops that clang makes of vectors give what they give natively" {
	clang -O2 -ffp-contract=off "$TOP/test/wasm/vector.c" -o vector
	clang --target=wasm32-wasi -O3 -msimd128 "$TOP/test/wasm/vector.c" -o vector.wasm
	./vector >want
	"$LODGE" run vector.wasm >got
	diff want got
	"$LODGE" run -o fuel=100000000 vector.wasm >got
	diff want got
}

@test "arguments, environment, streams, exit code" {
	run -0 "$LODGE" run probe.wasm args one 'two words' '' ünï
	[ "$output" = "$(printf '[%s]\n' one 'two words' '' ünï)" ]
	run -0 "$LODGE" run -e A=x probe.wasm env
	[ "$output" = 'x -' ]
	[ "$(printf 'a\nb' | "$LODGE" run probe.wasm cat)" = "$(printf 'a\nb')" ]
	run -7 "$LODGE" run probe.wasm exit 7
	run -0 "$LODGE" run --level wasm probe.wasm random
}

@test "files: what Node's WASI says, line by line" {
	command -v node >/dev/null || skip "no node here"
	mkdir ours theirs
	node --no-warnings "$TOP/test/wasm/node.mjs" probe.wasm theirs files >want
	[ "$(wc -l <want)" -gt 40 ]
	"$LODGE" run -v "$PWD/ours:/w" probe.wasm files >got
	diff want got
}

@test "nothing leads out of a folder" {
	mkdir -p cage/a
	echo secret >secret
	ln -s ../secret cage/out
	ln -s /etc/passwd cage/out-absolute
	ln -s .. cage/out-folder
	ln -s ../../secret cage/a/out
	run -0 "$LODGE" run -v "$PWD/cage:/w" probe.wasm escapes
	[ "${lines[-1]}" = "0 ways out" ]
	[ "$(cat secret)" = secret ]
}

@test "a folder to be read only; without any, no files at all" {
	mkdir -p readonly
	run -0 "$LODGE" run -v "$PWD/readonly:/w:ro" probe.wasm write
	[[ "$output" = *Read-only* ]]
	run -0 "$LODGE" run probe.wasm write
	[[ "$output" != *done* ]]
	[ -z "$(ls readonly)" ]
}

@test "waiting for time and input" {
	run -0 bash -c '(sleep 0.3; echo x; sleep 0.3) | "$LODGE" run probe.wasm waits'
	echo "$output"
	[ "$output" = "$(printf 'slept 1\npoll 1 1\nread 1')" ]
}

@test "a server accepts connections of sockets that it is given" {
	cat >echo.c <<-'EOF'
		#include <stdio.h>
		#include <stdlib.h>
		#include <sys/socket.h>
		#include <unistd.h>
		int main(int argc, char **argv)
		{
			for (int i = 0; i < 4; i++) {
				char b[100];
				int c = accept(atoi(argv[1 + i % 2]), 0, 0);
				ssize_t n = c < 0 ? -1 : recv(c, b, sizeof b, 0);
				if (n < 0) { perror("accept"); return 1; }
				if (send(c, "got ", 4, 0) != 4 || send(c, b, (size_t)n, 0) != n) return 2;
				shutdown(c, SHUT_RDWR);
				close(c);
			}
			return accept(atoi(argv[1]) + 2, 0, 0) < 0 ? 0 : 3; /* there is no third one */
		}
	EOF
	clang --target=wasm32-wasi -O1 echo.c -o echo.wasm
	local a=$((20000 + RANDOM % 10000)) b
	b=$((a + 1))
	ask() {
		python3 -c 'import socket, sys, time
for _ in range(100):
    try: s = socket.create_connection(("127.0.0.1", int(sys.argv[1]))); break
    except ConnectionRefusedError: time.sleep(.05)
s.sendall(sys.argv[2].encode()); s.shutdown(socket.SHUT_WR); got = b""
while (p := s.recv(100)): got += p
print(got.decode())' "$1" "$2"
	}
	"$LODGE" run -o "listen=tcp:127.0.0.1:$a,tcp:127.0.0.1:$b" echo.wasm 3 4 &
	[ "$(ask "$a" one)" = 'got one' ]
	[ "$(ask "$b" two)" = 'got two' ]
	[ "$(ask "$a" three)" = 'got three' ]
	[ "$(ask "$b" four)" = 'got four' ]
	wait $!
	# behind the folders, and under a keeper
	export XDG_DATA_HOME=$PWD/home XDG_RUNTIME_DIR=$PWD/run
	mkdir home run
	"$LODGE" run -d --name server -v "$PWD:/w" -o "listen=tcp:127.0.0.1:$a,tcp:127.0.0.1:$b" echo.wasm 4 5
	[ "$(ask "$a" one)" = 'got one' ]
	run -125 "$LODGE" suspend server
	[[ $output == *socket* ]]
	[ "$(ask "$b" two)" = 'got two' ]
	"$LODGE" rm -f server
	run -125 "$LODGE" run -o listen=udp:1 echo.wasm 3 4
	[[ $output == *'tcp:HOST:PORT is needed'* ]]
	run -125 "$LODGE" run -o listen=tcp:127.0.0.1:x echo.wasm 3 4
}

@test "a trap names the functions that it interrupted" {
	run -134 "$LODGE" run probe.wasm trap
	[ "${lines[0]}" = "lodge: unreachable" ]
	[[ "${lines[1]}" =~ function\ [0-9]+\ \<inner\>\ at\ 0x ]]
	[[ "$output" = *'<_start>'* ]]
	run -134 "$LODGE" run probe.wasm deep
	[ "${lines[0]}" = "lodge: call stack exhausted" ]
	run -134 "$LODGE" run probe.wasm wild
	[ "${lines[0]}" = "lodge: out of bounds memory access" ]
}

@test "a trap says which lines it interrupted, where the module has them" {
	cat >lines.c <<-'EOT'
		__attribute__((noinline)) static int inner(int *p, int n)
		{
			int r = 0;
			for (int i = 0; i < n; i++)
				r += 100 / (p[i] - i);
			return r;
		}
		int main(int argc, char **argv)
		{
			int a[4] = {5, 6, 2, 7};
			return inner(a, 3 + argc);
		}
	EOT
	for version in 4 5; do
		clang --target=wasm32-wasi -O1 -g "-gdwarf-$version" -w lines.c -o lines.wasm
		run -134 "$LODGE" run lines.wasm
		[ "${lines[0]}" = "lodge: integer divide by zero" ]
		[[ "${lines[1]}" = *"<inner> at 0x"*"lines.c:5" ]]
		[[ "${lines[2]}" = *"<main> at 0x"*"lines.c:11" ]]
		[[ "${lines[-1]}" != *lines.c* ]]
	done
	printf '(module (func $f\n  unreachable)\n  (func (export "_start")\n  nop\n call $f))' >lines.wat
	run -134 "$LODGE" run lines.wat
	[[ "${lines[1]}" = "  function 0 <f> at 0x"*", lines.wat:2" ]]
	[[ "${lines[2]}" = "  function 1 <_start> at 0x"*", lines.wat:5" ]]
}

@test "a module inside a program of ours" {
	ln -sf "$TOP/build/liblodge.so" liblodge.so.0
	for lib in liblodge.so liblodge.a; do
		cc -std=c99 -pedantic -Wall -Wextra -Werror -I"$TOP/include" -o embedder \
			"$TOP/docs/examples/wasm.c" "$TOP/build/$lib" \
			$(pkg-config --libs liburing zlib json-c) -lfdt -lpthread
		LD_LIBRARY_PATH=$PWD run -0 ./embedder
		[ "${lines[0]}" = "hello from a module" ]
		[ "${lines[1]}" = "1.5 to the 10th: 57.665" ]
		[ "${lines[2]}" = "7 / 0: integer divide by zero" ]
		[[ "${lines[3]}" = "  function 3 <divide> at 0x"* ]]
		[ "${lines[4]}" = "7 / 2: 3" ]
		[ "${lines[5]}" = "forever: the deadline has passed" ]
	done
}

@test "limits: fuel, time, memory" {
	run -124 "$LODGE" run -o fuel=100000 probe.wasm loop
	[ "${lines[0]}" = "lodge: all fuel is used up" ]
	run -124 "$LODGE" run --timeout 300ms probe.wasm loop
	[ "${lines[0]}" = "lodge: the deadline has passed" ]
	run -124 "$LODGE" run --timeout 300ms probe.wasm sleep
	[[ "${lines[0]}" = *"the time is over"* ]]
	run -9 "$LODGE" run -m 8M probe.wasm memory 16
	run -0 "$LODGE" run -m 32M probe.wasm memory 16
}

@test "what cannot be run is refused with the reason" {
	printf '\0asm\1\0\0\0' >empty.wasm
	run -126 "$LODGE" run empty.wasm
	[[ "$output" = *"no function _start"* ]]
	head -c 1000 probe.wasm >cut.wasm
	run -126 "$LODGE" run cut.wasm
	[[ "$output" = *malformed* ]]
	echo '(module (func (export "_start") (drop (i32.add (i32.const 1) (i64.const 2)))))' >bad.wat
	wat2wasm --no-check bad.wat -o bad.wasm
	run -126 "$LODGE" run bad.wasm
	[[ "$output" = *"type mismatch: i32 is wanted, i64 is there"* ]]
	echo '(module (import "env" "f" (func)) (func (export "_start")))' >import.wat
	wat2wasm import.wat -o import.wasm
	run -126 "$LODGE" run import.wasm
	[[ "$output" = *"function f of 'env', which is not provided"* ]]
	run -125 "$LODGE" run --cpus 0.5 probe.wasm
	[[ "$output" = *"give it a --name"* ]]
	run -125 "$LODGE" run -w / probe.wasm
	[[ "$output" = *workdir* ]]
}

@test "the text format: what wat2wasm makes of it, byte by byte" {
	make --no-print-directory -C "$TOP" wat-conform
}

@test "a module in the text format runs as its binary does" {
	wasm2wat --enable-all probe.wasm -o probe.wat
	run -0 "$LODGE" run probe.wat args one 'two words'
	[ "$output" = "$(printf '[%s]\n' one 'two words')" ]
	# by what is in it, whatever it is called
	{ printf ';; a comment\n(; another ;)' && cat probe.wat; } >text
	run -7 "$LODGE" run text exit 7
	# what wat2wasm does not know: try_table, whose clauses are not in its own label
	cat >clauses.wat <<-'EOT'
		(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
		  (memory (export "memory") 1)
		  (tag $e (param i32))
		  (func (export "_start") (local $x exnref)
		    (block $o (result i32)
		      (block $h (result i32 exnref)
		        (try_table $h (catch_ref $e $h)
		          (try_table (catch_all $h) (nop))
		          (throw $e (i32.const 33)))
		        unreachable)
		      (local.set $x)
		      (drop)
		      (try_table (result i32) (catch $e $o) (throw_ref (local.get $x))))
		    (call $exit)))
	EOT
	run -33 "$LODGE" run clauses.wat
	run -0 "$LODGE" run -d --rm --name "wat-$$" probe.wat loop
	"$LODGE" rm -f "wat-$$"
}

@test "a text is refused with the line, the column and the reason" {
	printf '(module\n  (func (export "_start")\n    i32.ad))' >bad.wat
	run -126 "$LODGE" run bad.wat
	[ "$output" = "lodge: bad.wat:3:5: an instruction is expected, not i32.ad" ]
	printf '(func (export "_start")\n  nop\n  (drop (i32.add (i32.const 1)\n    (i64.const 2))))' >bad.wat
	run -126 "$LODGE" run bad.wat
	[[ "$output" = "lodge: bad.wat: bad.wat:3: function 0: invalid at byte "*": type mismatch: i32 is wanted, i64 is there" ]]
	printf '(module)' >none.wat
	run -126 "$LODGE" run none.wat
	[[ "$output" = *"no function _start"* ]]
	yes '(block' | head -1000000 | { printf '(func (export "_start")'; cat; } >deep.wat
	run -126 "$LODGE" run deep.wat
	[[ "$output" = *"deep.wat:1000001:1: ) is expected, and the text ends"* ]]
}

@test "python, ruby, php and sqlite from npm do what they do under Node" {
	run "$TOP/test/wasm/real" python312 ruby php sqlite
	echo "$output"
	[ "$status" -eq 0 ]
	[[ "$output" = *"ok "* ]] || skip "npm is out of reach"
}
