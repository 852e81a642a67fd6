# SPDX-License-Identifier: Apache-2.0
# What the tests of WebAssembly are made of.
#   make wasm-conform                our interpreter beside wabt's: every instruction, line by line
#   make wat-conform                 the text format beside wabt's: modules byte by byte
.PHONY: wasm-conform wat-conform
$O/wasm-runner: test/wasm/runner.c $O/parts.a
	$Q$(CC) $(ALL) -o $@ $< $O/parts.a $(LIBS)
wasm-conform: $O/wasm-runner $O/tests
	test/wasm/conform $(abspath $<)
	test/wasm/random $(abspath $< $O/tests) 100
$O/wat-encode: test/wasm/encode.c $O/parts.a
	$Q$(CC) $(ALL) -o $@ $< $O/parts.a $(LIBS)
wat-conform: $O/wat-encode $O/wasm-runner
	test/wasm/texts $(abspath $<)
	test/wasm/typed.py $(abspath $O/wat-encode $O/wasm-runner)
