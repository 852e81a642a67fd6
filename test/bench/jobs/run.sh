#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh NAME...: whole jobs, timed one by one by lodge-bench; on the host and, through a change of
# root, in Debian's guest. The folder has its inputs: text (a megabyte), big (text many times) and
# unit.i (a preprocessed C file). CC: the compiler (gcc), which translates for riscv64 in both.
# With -e a job's output is compared between guests only: versions differ on the host.
cd "$(dirname "$0")" || exit 1
export LC_ALL=C PATH="$PWD:/usr/bin:/bin"
for job; do
	case $job in
	gcc) lodge-bench -e -t gcc "${CC:-gcc}" -std=gnu17 -O2 -w -S -o - unit.i ;;
	sqlite3) lodge-bench -t sqlite3 sqlite3 -batch :memory: <script.sql ;;
	python3)
		python="/usr/bin/python3 -I -S -X pycache_prefix=$PWD/pyc"
		$python -c pass # its library is compiled now
		# shellcheck disable=SC2086 # words
		lodge-bench -t python3 $python script.py text ;;
	gzip) lodge-bench -t gzip gzip -nc text ;;
	xz) lodge-bench -t xz xz -T1 -6 -c text ;;
	sha256sum) lodge-bench -t sha256sum sha256sum big ;;
	awk) lodge-bench -t awk mawk -f script.awk text ;;
	shell) lodge-bench -t shell sh script.sh ;;
	esac || echo "FAIL $job status $?"
done
