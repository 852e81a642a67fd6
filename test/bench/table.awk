# SPDX-License-Identifier: Apache-2.0
# The table of programs: awk -f table.awk programs=FILE guest=NAME FILE RESULTS
# FILE: "name group bar what" (bar in tenths); RESULTS: "MACHINE name usec sum exact". Medians; +-: half
# of the distance between the slowest and the fastest run, in hundredths of the median. Exit 1 when
# a bar is missed or sums do not agree. Where the guest did less work (scaled), "check" has its sums.
# ahead=3.0, behind=3.0: how many times faster than qemu and slower than the host the mean may be.
function sorted(key,   n, i, j, t) {
	n = runs[key]
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && v[key, j] < v[key, j - 1]; j--) {
			t = v[key, j]; v[key, j] = v[key, j - 1]; v[key, j - 1] = t
		}
	return n
}
function median(key,   n) { n = sorted(key); return n ? v[key, int((n + 1) / 2)] : 0 }
# After median.
function spread(key,   n) {
	n = runs[key]
	return n > 1 ? (v[key, n] - v[key, 1]) / 2 / v[key, int((n + 1) / 2)] : 0
}
function mean_add(name, x) { if (x > 0) { logs[name] += log(x); logged[name]++ } }
function mean(name) { return logged[name] ? exp(logs[name] / logged[name]) : 0 }
function say(s) { print "bench: " s; bad = 1 }
function us(x) { return x ? sprintf("%d", x) : "-" }
function times(x) { return x ? sprintf("%.2f", x) : "-" }

FILENAME == programs { order[++rows] = $1; group[$1] = $2; bar[$1] = $3 / 10; next }
{
	key = $1 SUBSEP $2
	v[key, ++runs[key]] = $3
	if (key in sum && (sum[key] != $4 || exact[key] != $5))
		say($2 ": two runs of " $1 " gave different sums")
	sum[key] = $4
	exact[key] = $5
	seen[$2] = 1
	if ($1 == "check") checked = 1
}
END {
	printf "%-11s %9s %3s %9s %3s %9s %3s %8s %9s %10s %6s\n", "program", "native us", "+-",
		"qemu us", "+-", "lodge us", "+-", "qemu/nat", "lodge/nat", "qemu/lodge", "bar"
	for (r = 1; r <= rows; r++) {
		p = order[r]
		if (!(p in seen))
			continue
		N = "native" SUBSEP p; Q = "qemu" SUBSEP p; L = guest SUBSEP p
		C = (checked ? "check" : "native") SUBSEP p
		n = median(N); q = median(Q); l = median(L)
		faster = l ? q / l : 0
		for (k = 1; k <= 2; k++) {
			K = k == 1 ? Q : L
			if (K in sum && C in sum && sum[K] != sum[C])
				say(p ": the sum of " (k == 1 ? "qemu" : guest) " is not that of the host: " \
					sum[K] " " sum[C])
		}
		if (Q in exact && L in exact && exact[Q] != exact[L])
			say(p ": qemu and " guest " differ: " exact[Q] " " exact[L])
		verdict = ""
		if (q && !l) {
			verdict = "no run"
			bad = 1
		} else if (faster) {
			# Slower than qemu: only if every run was, or by more than a fifth.
			need = bar[p]
			if (need == 1 && v[L, 1] <= v[Q, runs[Q]])
				need = 0.8
			verdict = faster >= need ? "met" : "missed"
			if (verdict == "missed")
				bad = 1
		}
		printf "%-11s %9s %3.0f %9s %3.0f %9s %3.0f %8s %9s %10s %6.1f %s\n", p, us(n),
			100 * spread(N), us(q), 100 * spread(Q), us(l), 100 * spread(L),
			times(n ? q / n : 0), times(n ? l / n : 0), times(faster), bar[p], verdict
		for (k = 1; k <= 2; k++) {
			g = k == 1 ? group[p] : "all"
			members[g]++
			mean_add(g " qn", n ? q / n : 0)
			mean_add(g " ln", n ? l / n : 0)
			mean_add(g " ql", faster)
		}
	}
	for (k = 1; k <= 3; k++) {
		g = k == 1 ? "programs" : k == 2 ? "jobs" : "all"
		if (members[g] && (k == 3 || members[g] < members["all"]))
			printf "%-49s %8.2f %9.2f %10.2f\n", "geometric mean, " g, mean(g " qn"),
				mean(g " ln"), mean(g " ql")
	}
	if (!ahead)
		ahead = behind = "3.0"
	bar_row("geometric mean, times faster than qemu, at least " ahead, mean("all ql"), 1, ahead)
	bar_row("geometric mean, times slower than the host, at most " behind, mean("all ln"), -1,
		behind)
	exit bad
}
function bar_row(what, x, way, bound,   good) {
	if (!x)
		return
	good = x * way >= bound * way
	printf "%-60s %8.2f %s\n", what, x, good ? "met" : "missed"
	if (!good)
		bad = 1
}
