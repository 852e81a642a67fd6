#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tsan.sh LODGE: a program that was built with the thread sanitizer (make m=tsan build) runs the
# demo on 4 harts, is asked for statistics, paused and resumed; any report fails.
set -eu
lodge=$1
work=$(mktemp -d)
export XDG_DATA_HOME="$work/data" XDG_RUNTIME_DIR="$work/run" TSAN_OPTIONS="log_path=$work/report"
mkdir -m 700 "$work/run"
trap '"$lodge" rm -f racer >/dev/null 2>&1 || :; rm -rf "$work"' EXIT
"$lodge" run -d --name racer --cpus 4 --append 'run="harts; bench; mem test 16; harts; echo FINI"' demo
n=0
until "$lodge" logs racer | grep -q '^FINI'; do
	n=$((n + 1))
	[ "$n" -lt 120 ] || { "$lodge" logs racer; exit 1; }
	"$lodge" stats racer >"$work/stats"
	sleep 1
done
"$lodge" pause racer
"$lodge" resume racer
"$lodge" stats racer >"$work/stats"
grep -q '^units_first_tier  *[1-9]' "$work/stats"
"$lodge" kill racer
"$lodge" rm -f racer
for report in "$work"/report.*; do
	[ ! -e "$report" ] || { cat "$work"/report.*; exit 1; }
done
echo "no races"
