#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The windows level: programs of mingw-w64 run, see what they are given and no more, and when they
# misbehave die alone.

bats_require_minimum_version 1.5.0 # run -CODE

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export T=$BATS_FILE_TMPDIR HOME=$BATS_FILE_TMPDIR LODGE=$BATS_FILE_TMPDIR/lodge
	export SOURCES=$PWD/test/windows MINGW=x86_64-w64-mingw32
	chmod 755 "$T" "$BATS_RUN_TMPDIR" # for other users
	cp build/lodge "$LODGE"
	mkdir -p "$T/in"
	$MINGW-gcc -O1 -nostdlib -e start "$SOURCES/probe/nocrt.c" -lkernel32 -o "$T/in/nocrt.exe"
	$MINGW-gcc -O1 -w "$SOURCES/probe/probe.c" -o "$T/in/probe.exe" -lws2_32
	echo secret >"$T/secret"
	cd "$T/in" || return 1
	"$LODGE" run nocrt.exe >/dev/null 2>"$T/why" || [ $? = 7 ] || skip "no namespaces here: $(cat "$T/why")"
}

setup() { cd "$T/in" || return 1; }

api() { # NAME LEAST: so many assertions at least
	$MINGW-gcc -O1 -w "$SOURCES/$1.c" -o "$1.exe" -lws2_32 -lshell32 -lsynchronization -lcrypt32
	run -0 timeout 100 "$LODGE" run "$1.exe"
	echo "$output"
	[[ "${lines[-1]}" =~ ^([0-9]+)\ assertions,\ 0\ failed ]]
	[ "${BASH_REMATCH[1]}" -ge "$2" ]
}

# test/windows/oracle compares these with Wine.
@test "functions of files and folders" { api file 180; }
@test "sharing modes, dispositions, attributes, locks" { api sharing 470; }
@test "full paths, patterns, command lines, environment" { api path 480; }
@test "names without regard to case, in folders in which much is made" { api names 900; }

@test "what the host makes in a folder that the guest knows is found in any case" {
	$MINGW-gcc -O1 -w "$SOURCES/probe/ask.c" -o ask.exe
	mkdir -p known
	coproc GUEST { timeout 60 "$LODGE" run ask.exe known 2>&1; }
	asked() { # NAME WANT
		echo "$1" >&"${GUEST[1]}"
		read -r answer <&"${GUEST[0]}"
		[ "${answer%$'\r'}" = "$2" ]
	}
	read -r answer <&"${GUEST[0]}"
	[ "${answer%$'\r'}" = ready ]
	for n in $(seq 50); do
		asked "name$n" new
		touch "known/NAME$n"
		asked "name$n" there
		rm "known/NAME$n"
		asked "name$n" new
	done
	mkdir known/Folder && asked folder there
	mv known/Folder known/Other && asked folder new && asked OTHER there
	ln -s nowhere known/Link && asked link there
	mv known old && mkdir known && asked other new
	touch known/Other && asked other there
	rm -r known old
	eval "exec ${GUEST[1]}>&-"
	wait "$GUEST_PID"
}

# Large sections are kept as they lie in memory; only files that nobody has written to lately are.
@test "the image of a large program is kept, nobody else's, and used" {
	export XDG_CACHE_HOME=$T/cache
	kept=$T/cache/lodge/windows-images
	head -c 6000000 /dev/urandom >big.bin
	printf '%s\n' '.section .rdata' '.globl big' 'big: .incbin "big.bin"' '.globl big_end' 'big_end: .byte 0' >big.S
	cat >big.c <<-'END'
		#include <stdio.h>
		#include <stdlib.h>
		#include <windows.h>
		extern const unsigned char big[], big_end[];
		int main(int argc, char **argv)
		{
			unsigned long long sum = 0;
			DWORD old;
			for (const unsigned char *p = big; p < big_end; p++)
				sum = sum * 31 + *p;
			printf("%llu\n", sum);
			if (argc > 1) { /* its pages are its own */
				VirtualProtect((void *)big, 8192, PAGE_READWRITE, &old);
				for (int i = 0; i < 8192; i++)
					((unsigned char *)big)[i]++;
				return old != PAGE_READONLY;
			}
			return system("big.exe child");
		}
	END
	$MINGW-gcc -O1 -w big.c big.S -o big.exe
	"$LODGE" run -o cache=off big.exe >want
	[ "$(sort -u want | wc -l)" = 1 ] && [ "$(wc -l <want)" = 2 ]
	"$LODGE" run big.exe | diff want - # written a moment ago
	[ ! -e "$kept" ] || [ -z "$(ls "$kept")" ]
	sleep 3.2
	"$LODGE" run -o cache=off big.exe | diff want -
	[ ! -e "$kept" ] || [ -z "$(ls "$kept")" ]
	"$LODGE" run big.exe | diff want -
	for _ in $(seq 50); do
		file=$(find "$kept" -type f ! -name '*.new' 2>/dev/null)
		[ -z "$file" ] || break
		sleep 0.1
	done
	[ "$(stat -c %a "$file" "$kept" | tr '\n' ' ')" = "600 700 " ]
	touch -d 2001-01-01 "$file"
	before=$(sha256sum <"$file")
	"$LODGE" run big.exe | diff want -
	[ "$(stat -c %Y "$file")" -gt 1000000000 ] # it was used
	[ "$(sha256sum <"$file")" = "$before" ]
	# what others could have written to, and what is not as long, is not
	for damage in "chmod 620" "truncate -s -4096"; do
		was=$(stat -c %i "$file")
		(umask 077; head -c 9000000 /dev/zero | tr '\0' x >"$file.new") # of one that was killed
		$damage "$file"
		"$LODGE" run big.exe | diff want -
		for _ in $(seq 50); do
			[ "$(stat -c %i "$file")" = "$was" ] || break
			sleep 0.1
		done
		[ "$(stat -c %i "$file")" != "$was" ] && [ "$(sha256sum <"$file")" = "$before" ]
	done
	# another program at the same path
	head -c 6000000 /dev/urandom >big.bin
	$MINGW-gcc -O1 -w big.c big.S -o big.exe
	"$LODGE" run -o cache=off big.exe >other
	run -1 cmp -s want other
	"$LODGE" run big.exe | diff other -
	run -125 "$LODGE" run -o cache=some big.exe
	[[ "$output" = *"it is on or off"* ]]
	rm -rf "$T/cache" big.*
}

@test "functions of threads and waiting" { api sync 100; }
@test "functions of memory, exceptions, modules, environment, text" { api memory 115; }
@test "code pages, comparisons" { api codepage 400; }
@test "functions of the C runtime" { api crt 110; }
@test "printf of msvcrt" { api format 500; }
@test "scanf of msvcrt" { api scan 270; }
@test "numbers, mathematics, characters of msvcrt" { api number 459; }
@test "time" { api calendar 415; }
@test "streams and descriptors of msvcrt" { api stream 360; }
@test "sockets on the loopback" { api socket 215; }
@test "events of sockets" { api netevent 173; }
@test "more connections than ports" {
	run -0 timeout 100 "$LODGE" run socket.exe many
	[[ "${lines[-1]}" = *" 0 failed"* ]]
}
@test "memory, heaps, handles, threads, ntdll" { api thread 490; }
@test "fibers" { api fiber 310; }
@test "libraries that a running program loads" { api library 120; }
@test "pipes of messages, timers that call" { api message 260; }
@test "files, folders and pipes as ntdll opens them" { api ntopen 80; }
@test "resources, texts in them, lists of what the program has" { api resource 81; }
@test "interfaces and names of the network" { api network 213; }
@test "dates, times, numbers as text" { api locale 125; }
@test "file mappings" { api mapping 44; }
@test "who has called whom" { api trace 24; }
@test "owners and rights of files" { api security 38; }
@test "compressed exception tables of C++" {
	api handler4 57
	run -0 "$LODGE" run handler4.exe more
	[[ "${lines[-1]}" = "2 assertions, 0 failed"* ]]
}
@test "certificates" { api certificate 64; }

@test "certificates that the host trusts" {
	roots=/etc/ssl/certs/ca-certificates.crt
	[ -r $roots ] || skip "the host has none"
	$MINGW-gcc -O1 -w "$SOURCES/certificate.c" -o certificate.exe -lcrypt32
	run -0 --separate-stderr "$LODGE" run certificate.exe
	[ "${stderr%$'\r'}" = "$(grep -c 'BEGIN CERTIFICATE' $roots) roots" ]
}

@test "processes and file mappings" {
	$MINGW-gcc -O1 -w "$SOURCES/child.c" -o child.exe
	run -0 timeout 100 "$LODGE" run child.exe
	echo "$output"
	[[ "${lines[-1]}" =~ ^([0-9]+)\ assertions,\ 0\ failed ]]
	[ "${BASH_REMATCH[1]}" -gt 90 ]
}

@test "a child ends with its parent, however that ends" {
	"$LODGE" run child.exe parent 3>&- &
	pid=$!
	for _ in $(seq 50); do
		child=$(pgrep -P $pid) && break
		sleep 0.1
	done
	[ -n "$child" ]
	kill -KILL $pid
	for _ in $(seq 50); do
		kill -0 "$child" 2>/dev/null || return 0
		sleep 0.1
	done
	false
}

@test "the registry" {
	$MINGW-gcc -O1 -w "$SOURCES/registry.c" -ladvapi32 -o registry.exe
	run -0 timeout 100 "$LODGE" run registry.exe
	echo "$output"
	[[ "${lines[-1]}" =~ ^([0-9]+)\ assertions,\ 0\ failed ]]
	[ "${BASH_REMATCH[1]}" -gt 60 ]
}

@test "objects of thread pools, timer queues" { api threadpool 130; }
@test "functions of the C runtime that know the room; overflows" { api checked 92; }
@test "what a child inherits, questions about processes" { api attribute 68; }
@test "changes of folders" { api watch 190; }
@test "jobs" { api job 210; }
@test "pipes with names" { api pipe 185; }
@test "the pool of threads, ports on sockets" { api pool 165; }
@test "files, folders and volumes by ntdll" { api ntfile 95; }
@test "paths as text" { api canonical 145; }
@test "what ucrt has of its own: locales, characters, floats" { api ucrt 140; }
@test "small functions that real programs call" { api small 95; }
@test "sockets that \\Device\\Afd tells of" { api afd 55; }

@test "all that changes in the room win is cleared for a child" {
	cd "$SOURCES/../.." || return 1
	left=$(for o in build/obj/src/win/*.o; do nm -f sysv "$o"; done |
		awk -F'|' '$4 ~ /OBJECT/ && $NF ~ /^\.(bss|data)$/ { print $1 }' | sort | tr -d ' \n')
	[ "$left" = crt___mb_cur_maxcrt__osvercrt__winmajorcrt__winminoriob ]
}

@test "a program without a C runtime" {
	run -7 "$LODGE" run nocrt.exe
	[ "$output" = bare ]
}

@test "arguments as they were given, and the exit code" {
	run -42 "$LODGE" run ./probe.exe args one 'two words' '' 'quo"te' 'back\slash\' 'tail\\"' 'ünï' '*'
	printf '%s\r\n' '[args]' '[one]' '[two words]' '[]' '[quo"te]' '[back\slash\]' '[tail\\"]' '[ünï]' '[*]' >want
	"$LODGE" run ./probe.exe args one 'two words' '' 'quo"te' 'back\slash\' 'tail\\"' 'ünï' '*' >got || true
	cmp want got
}

@test "exit codes keep their low 8 bits, and never become 0" {
	run -0 "$LODGE" run probe.exe exit 0
	run -200 "$LODGE" run probe.exe exit 200
	run -1 "$LODGE" run probe.exe exit 257
	run -255 "$LODGE" run probe.exe exit 256
}

@test "stdin, stdout and stderr" {
	printf 'one\r\ntwo\n' | "$LODGE" run probe.exe cat >got 2>err
	printf '<one\r\n<two\r\n' | cmp - got
	printf 'to stderr\r\n' | cmp - err
}

@test "the caller's folder is D:, and C: is gone afterwards" {
	run -0 "$LODGE" run probe.exe cwd
	[ "$output" = $'D:\\\r' ]
	run -0 "$LODGE" run probe.exe write 'D:\made.txt'
	[ "$(cat made.txt)" = written ]
	run -0 "$LODGE" run probe.exe write 'C:\Temp\made.txt'
	run -0 "$LODGE" run probe.exe write 'sub.txt'
	[ -f sub.txt ]
}

@test "with -v, only what it gives" {
	mkdir -p "$T/given" "$T/fixed"
	run -0 "$LODGE" run -v "$T/given:C:\\work" -v "$T/fixed:E:\\:ro" -w 'C:\work' probe.exe cwd
	[ "$output" = $'C:\\work\r' ]
	run -0 "$LODGE" run -v "$T/given:C:\\work" probe.exe write 'C:\work\x'
	[ -f "$T/given/x" ]
	run -9 "$LODGE" run -v "$T/fixed:E:\\:ro" probe.exe write 'E:\x'
	run -9 "$LODGE" run -v "$T/given:C:\\work" probe.exe write 'D:\x'
	run -125 "$LODGE" run -v "$T/given:work" probe.exe cwd
	[[ "$output" = *'write SRC:C:\FOLDER'* ]]
}

@test "what is outside is not there" {
	ln -sf /etc/passwd link
	LODGE_TEST_SECRET=x run -0 "$LODGE" run probe.exe reach
	echo "$output"
	[ "${#lines[@]}" = 13 ]
	[[ "$output" != *REACHED* ]]
	LODGE_TEST_SECRET=x run -0 "$LODGE" run --isolate probe.exe reach
	[[ "$output" != *REACHED* ]]
	run -0 "$LODGE" run -e LODGE_GIVEN=yes probe.exe env lodge_given
	[ "$output" = $'yes\r' ]
}

@test "devices, processes, descriptors, ways out: none of it is there" {
	for how in devices ways "processes $$"; do
		exec 5<"$T/secret"
		LODGE_TEST_SECRET=x run -0 timeout 60 "$LODGE" run probe.exe $how
		exec 5<&-
		echo "$output"
		[[ "$output" != *REACHED* ]]
		[ "${#lines[@]}" -gt 5 ]
		run -0 timeout 60 "$LODGE" run --isolate probe.exe $how
		[[ "$output" != *REACHED* ]]
	done
	[ ! -e "$T/made-by-guest" ]
	[ ! -e "$T/in/hard" ]
}

@test "sockets of the host are not there" {
	command -v python3 >/dev/null || skip "needs python3"
	python3 -c 'import socket, sys, time
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
time.sleep(60)' >"$T/port" 3>&- &
	listener=$!
	for _ in $(seq 100); do
		[ -s "$T/port" ] && break
		sleep 0.1
	done
	run timeout 60 "$LODGE" run probe.exe sockets "$(cat "$T/port")"
	kill $listener
	echo "$output"
	[ "$status" = 0 ]
	[[ "$output" != *REACHED* ]]
	[ "${#lines[@]}" -ge 9 ]
}

@test "as another user than root, too" {
	[ "$(id -u)" = 0 ] || skip "are not root"
	run -42 setpriv --reuid 65534 --regid 65534 --clear-groups "$LODGE" run probe.exe args x
}

@test "system calls of Linux from its own code end it" {
	run -159 "$LODGE" run probe.exe syscall
	[[ "$output" = *"makes system calls of Linux by itself (39"* ]]
	run "$LODGE" run probe.exe int80
	[ "$status" -eq 159 ] || [ "$status" -eq 139 ] # a host without calls of 32 bits: a fault
	[[ "$output" != *"went through"* ]]
}

@test "exceptions that it does not handle end it" {
	run -139 "$LODGE" run probe.exe null
	[[ "$output" = *"lodge: probe.exe: an access violation at "*" of probe.exe" ]]
	run -139 "$LODGE" run probe.exe jump
	run -139 "$LODGE" run probe.exe stack
	[[ "$output" = *"a stack overflow"* ]]
	run -134 timeout 60 "$LODGE" run probe.exe fast
	[[ "$output" = *"an error that no handler is asked about"* ]]
	run -136 "$LODGE" run probe.exe zero
	run -134 "$LODGE" run probe.exe throw
	[[ "$output" = *"0xe0000001"* ]]
	run -139 timeout 60 "$LODGE" run probe.exe again
}

@test "a program that overwrites its TEB, or takes all handles, dies alone" {
	run timeout 60 "$LODGE" run probe.exe teb
	[ "$status" != 124 ]
	run -0 timeout 100 "$LODGE" run probe.exe exhaust
	[[ "$output" = *"threads: 100"*"handles: bounded"* ]]
}

@test "exceptions in handlers of exceptions" {
	for how in other overflow context nowhere filter; do
		run -139 timeout 60 "$LODGE" run probe.exe handlers $how
		[[ "$output" = *"no stack to handle it on"* ]]
	done
	run -19 timeout 60 "$LODGE" run probe.exe handlers exit
	run -21 timeout 60 "$LODGE" run probe.exe handlers storm
	run -134 timeout 60 "$LODGE" run probe.exe bounds
	run -139 timeout 60 "$LODGE" run probe.exe thread-fault
}

@test "what it writes into TEB and PEB hurts nobody else" {
	for byte in 0 238 255; do
		run -23 timeout 60 "$LODGE" run probe.exe peb $byte
	done
	run -25 timeout 60 "$LODGE" run probe.exe thread-teb
}

@test "without memory, without threads: it is told, and goes on" {
	run -26 bash -c 'ulimit -v 4000000; exec timeout 60 "$LODGE" run probe.exe memory'
	[[ "$output" = *"reserved: much, then 8"*"malloc: ends"*"thread: no"* ]]
	run -27 bash -c 'ulimit -v 4000000; exec timeout 60 "$LODGE" run probe.exe threads'
	[[ "$output" = *"threads: bounded, 8"* ]]
}

@test "Lodge's own memory cannot be had" {
	run -139 timeout 60 "$LODGE" run probe.exe ours
	echo "$output"
	[[ "$output" != *REACHED* ]]
	[[ "$output" = *"query: no"*"an access violation at "* ]]
}

@test "system calls of Linux from code that it makes end it" {
	for how in rwx text section data; do
		run -159 timeout 60 "$LODGE" run probe.exe made $how
		[[ "$output" = *"makes system calls of Linux by itself (39"* ]]
	done
	run -139 timeout 60 "$LODGE" run probe.exe made heap # which is not the guest's to change
}

@test "a function that is not there ends it only when it is called" {
	run -122 "$LODGE" run probe.exe missing
	[[ "$output" = *"the function KERNEL32.dll.ReplaceFileA is not provided (called by probe.exe, at 0x"* ]]
}

@test "what is missing is told before" {
	run -0 "$LODGE" run --explain probe.exe
	echo "$output"
	[[ "$output" = *"KERNEL32.dll.ReplaceFileA"* ]]
	run -0 "$LODGE" run --explain nocrt.exe
	[[ "$output" = *"3 functions, all of them provided"* ]]
}

@test "its network is its own, and nothing is left of what made it" {
	[ "$(id -u)" = 0 ] || skip "whose namespaces they are is root's to see"
	"$LODGE" run probe.exe sleep 3>&- &
	pid=$!
	for _ in $(seq 100); do
		grep -q '^Seccomp:.2' /proc/$pid/status && break
		sleep 0.05
	done
	[ "$(readlink /proc/$pid/ns/net)" != "$(readlink /proc/self/ns/net)" ]
	[ "$(ls /proc/$pid/task)" = $pid ]
	kill -9 $pid
	wait $pid || true
}

@test "a program that can have no sockets has no network, one that may come to them its own" {
	[ "$(id -u)" = 0 ] || skip "whose namespaces they are is root's to see"
	printf '#include <windows.h>\nvoid start(void) { Sleep(60000); }\n' >sleeper.c
	printf '#include <windows.h>\nvoid start(void) { if (!GetProcAddress(0, 0)) Sleep(60000); }\n' >finder.c
	for name in sleeper finder; do
		$MINGW-gcc -O1 -nostdlib -e start $name.c -lkernel32 -o $name.exe
		"$LODGE" run $name.exe 3>&- &
		pid=$!
		for _ in $(seq 100); do
			grep -q '^Seccomp:.2' /proc/$pid/status && break
			sleep 0.05
		done
		ls -l /proc/$pid/ns /proc/$pid/fd
		readlink /proc/$pid/ns/net >$name.net
		kill -9 $pid
		wait $pid || true
	done
	[ "$(cat sleeper.net)" = "$(readlink /proc/self/ns/net)" ]
	[ "$(cat finder.net)" != "$(readlink /proc/self/ns/net)" ]
}

@test "a signal ends it" {
	"$LODGE" run probe.exe sleep 3>&- &
	pid=$! status=0
	sleep 0.3
	kill -TERM $pid
	wait $pid || status=$?
	[ "$status" = 143 ]
}

@test "Ctrl-C is for its handlers, ends no select, and is ignored where its caller ignores it" {
	$MINGW-gcc -O1 -w "$SOURCES/probe/control.c" -o control.exe -lws2_32
	heard() { # SIGNALS COMMAND...: what it has printed when it has got them
		local signals=$1 sig
		shift
		"$@" "$LODGE" run control.exe >heard 2>&1 3>&- &
		pid=$!
		for _ in $(seq 100); do
			! grep -q ready heard || break
			sleep 0.05
		done
		for sig in $signals; do
			sleep 0.2
			kill -$sig $pid
		done
		wait $pid
		tr -d '\r' <heard | tr '\n' ' '
	}
	run -0 heard "INT QUIT" env --default-signal=INT,QUIT
	[ "$output" = "ready event 0 event 1 0 of 0 " ]
	run -0 heard "INT QUIT HUP" env --ignore-signal=INT,QUIT,HUP
	[ "$output" = "ready 0 of 0 " ]
}

@test "C++: exceptions, destructors, threads" {
	$MINGW-g++ -O1 -static "$SOURCES/probe/throw.cc" -o throw.exe
	run -5 timeout 60 "$LODGE" run throw.exe
	[ "$output" = $'caught bottom after 6\r\nint 42\r\nagain\r\nthreads 22000\r' ]
}

@test "Rust: panics, destructors of threads, children with pipes, as on the host" {
	root=$("$SOURCES/fetch-compilers") || skip "no rustc for Windows"
	export LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu
	rustc=("$root/usr/bin/rustc" --sysroot "$root/usr" -O "$SOURCES/probe/ends.rs")
	"${rustc[@]}" -C linker=$MINGW-gcc --target x86_64-pc-windows-gnu -o ends.exe
	"${rustc[@]}" -o ends
	./ends >want 2>/dev/null
	unset LD_LIBRARY_PATH
	run -0 --separate-stderr timeout 60 "$LODGE" run ends.exe
	diff want <(echo "$output" | tr -d '\r')
	run -101 timeout 60 "$LODGE" run ends.exe panic
	[[ "$output" = *"main ends, in a panic"* ]]
}

@test "Go: an HTTP server and 200 clients" { # test/windows/serve asks it for 5 minutes
	"$SOURCES/fetch-compilers" >/dev/null || skip "no Go"
	LODGE=$LODGE run -0 "$SOURCES/serve" 10
	echo "$output"
	[[ "$output" = *" answers, 0 wrong"* ]]
}

@test "keys that are typed, as records" {
	command -v python3 >/dev/null || skip "needs python3"
	$MINGW-gcc -O1 -w "$SOURCES/probe/keys.c" -o keys.exe
	run -0 timeout 60 "$SOURCES/typed" "$LODGE" keys.exe
	echo "$output"
}

@test "C++ of Microsoft's compilers: the same order of destructors" {
	command -v clang++ >/dev/null || skip "needs clang"
	printf 'LIBRARY msvcrt.dll\nEXPORTS\nprintf\nputs\n_CxxThrowException\n__CxxFrameHandler3\n' >vc.def
	$MINGW-dlltool -d vc.def -l libvc.a
	clang++ --target=x86_64-pc-windows-msvc -O1 -fcxx-exceptions -fexceptions -c "$SOURCES/probe/catch.cc" -o catch.obj
	$MINGW-ld catch.obj libvc.a -e main -o catch.exe
	clang++ -O1 -w "$SOURCES/probe/catch.cc" -o catch
	run -3 ./catch
	want=$output
	run -3 timeout 60 "$LODGE" run catch.exe
	diff <(echo "$want") <(echo "$output" | tr -d '\r')
}

@test "real programs beside their Linux twins" {
	LODGE=$LODGE run "$SOURCES/real" ripgrep sevenzip21 lightningcss
	echo "$output"
	[ "$status" = 0 ]
	[[ "$output" != *"skip "* ]] || skip "${output##*skip }"
}

@test "a library beside the program" {
	$MINGW-gcc -O1 -DLIBRARY -shared -static-libgcc "$SOURCES/probe/lib.c" -o lib.dll -Wl,--out-implib,lib.a
	$MINGW-gcc -O1 -static-libgcc "$SOURCES/probe/lib.c" lib.a -o uses.exe
	run -0 "$LODGE" run uses.exe
	[ "$output" = $'107 106 105\r' ] || [ "$output" = $'105 106 107\r' ]
	mv lib.dll away
	run -127 "$LODGE" run uses.exe
	[[ "$output" = *"uses.exe needs the library lib.dll, which is neither ours nor beside it"* ]]
	mv away lib.dll
}

@test "a library that will not begin, when what it needs loads another one" {
	for name in b c a; do
		beside=()
		[ $name != a ] || beside=(b.dll)
		$MINGW-gcc -O1 -w -shared -static-libgcc -DLIB_${name^} "$SOURCES/probe/chain.c" "${beside[@]}" -o $name.dll
	done
	$MINGW-gcc -O1 -w -static-libgcc "$SOURCES/probe/chain.c" -o chain.exe
	run -0 "$LODGE" run chain.exe
	[ "$output" = $'0 1114, A told, A_END told, B has c, C told, - - c\r' ]
}

# patch FILE OFFSET BYTES: a changed copy, whose name is printed
patch() {
	cp nocrt.exe "$1"
	printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

@test "programs that are not for here are refused, with the reason" {
	pe=$(od -An -tu4 -j60 -N4 nocrt.exe)
	patch gui.exe $((pe + 24 + 68)) '\x02'
	run -126 "$LODGE" run gui.exe
	[[ "$output" = *"its subsystem is GUI"* ]]
	patch i386.exe $((pe + 4)) '\x4c\x01'
	run -126 "$LODGE" run i386.exe
	[[ "$output" = *"32-bit Windows program"* ]]
	patch arm.exe $((pe + 4)) '\x64\xaa'
	run -126 "$LODGE" run arm.exe
	[[ "$output" = *"for ARM64"* ]]
	patch net.exe $((pe + 24 + 112 + 14 * 8)) '\x00\x20\x00\x00\x48\x00\x00\x00'
	run -126 "$LODGE" run net.exe
	[[ "$output" = *"managed (.NET)"* ]]
	patch driver.exe $((pe + 24 + 68)) '\x01'
	run -126 "$LODGE" run driver.exe
	[[ "$output" = *"driver"* ]]
	head -c 700 nocrt.exe >cut.exe
	run -126 "$LODGE" run cut.exe
	[[ "$output" = *"longer than the file"* ]]
}

@test "damaged programs are refused, or die alone" {
	size=$(stat -c %s nocrt.exe)
	for i in $(seq 60); do
		at=$((i * 7919 % 1024 % size))
		patch broken.exe "$at" "\\x$(printf %x $((i * 37 % 256)))"
		status=0
		timeout 10 "$LODGE" run broken.exe >out 2>&1 || status=$?
		echo "$i $at: $status $(cat out)"
		[ "$status" != 124 ]
	done
}

@test "damaged exception tables: the program dies alone, and ends" {
	$MINGW-gcc -O1 -w "$SOURCES/handler4.c" -o handler4.exe
	for i in {1..60}; do
		status=0
		timeout 20 "$LODGE" run handler4.exe damage "$i" >out 2>&1 || status=$?
		echo "$i: $status $(cat out)"
		[ $status != 124 ] && [ $status != 125 ]
	done
}

@test "hostile programs are refused, or die alone" {
	command -v python3 >/dev/null || skip "needs python3"
	run -0 timeout 300 "$SOURCES/hostile" "$LODGE" probe.exe
	echo "$output"
	[[ "${lines[-1]}" =~ ^([0-9]+)\ programs,\ 0\ wrong$ ]]
	[ "${BASH_REMATCH[1]}" -ge 380 ]
}

@test "libraries that need each other, and forward to themselves" {
	printf 'LIBRARY one\nEXPORTS\nfrom_one\nround = two.round\nself = one.self\n' >one.def
	printf 'LIBRARY two\nEXPORTS\nfrom_two\nround = one.round\n' >two.def
	$MINGW-dlltool -d one.def -l libone.a
	$MINGW-dlltool -d two.def -l libtwo.a
	echo 'int from_two(void); int from_one(void) { return 3; } int call_two(void) { return from_two(); }' >one.c
	echo 'int from_one(void); int from_two(void) { return from_one() + 1; }' >two.c
	echo 'int from_two(void); int round(void); int main(int n, char **v) { return n > 1 ? round() : from_two(); }' >loop.c
	$MINGW-gcc -shared -nostartfiles -e 0 one.c one.def libtwo.a -o one.dll
	$MINGW-gcc -shared -nostartfiles -e 0 two.c two.def libone.a -o two.dll
	$MINGW-gcc -fno-builtin loop.c libtwo.a libone.a -o loop.exe
	run -4 timeout 20 "$LODGE" run loop.exe
	run -122 timeout 20 "$LODGE" run loop.exe x
	[[ "$output" = *"round is not provided"* ]]
}

@test "options of others are refused" {
	run -125 "$LODGE" run --net host nocrt.exe
	[[ "$output" = *"user, or none"* ]]
	run -125 "$LODGE" run -o strace=x nocrt.exe
	run -125 "$LODGE" run --user 1 nocrt.exe
	[[ "$output" = *"of the level windows"* ]]
}

@test "processes that start others without end: a guest has so many, and all end with it" {
	$MINGW-gcc -O1 -w "$SOURCES/probe/bomb.c" -o bomb.exe
	run -5 timeout 100 "$LODGE" run bomb.exe
	[ "$output" = $'error 1816\r' ]
	for _ in $(seq 50); do
		pgrep -f "$LODGE run bomb.exe" >/dev/null || return 0
		sleep 0.1
	done
	false
}
