# SPDX-License-Identifier: Apache-2.0
# wasi_thread_start(id, thread): the stack pointer is a global of the instance, and the first
# thread's to begin with; thread_begin of threads.h does the rest.
	.globaltype	__stack_pointer, i32
	.functype	thread_begin (i32, i32) -> ()
	.text
	.globl	wasi_thread_start
	.type	wasi_thread_start,@function
wasi_thread_start:
	.functype	wasi_thread_start (i32, i32) -> ()
	local.get	1
	i32.load	0
	global.set	__stack_pointer
	local.get	0
	local.get	1
	call	thread_begin
	end_function
	.export_name	wasi_thread_start, wasi_thread_start
	.no_dead_strip	wasi_thread_start
