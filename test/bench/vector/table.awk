# SPDX-License-Identifier: Apache-2.0
# The table of the vector loops. Input: "MACHINE VLEN VECTOR loop form KiB usec sum", any number of
# runs, of which the fastest counts. Exit: 1 when a bar is missed.
function bar(loop, form, vlen) {
	if (form == "m1" && vlen == 128 && loop ~ /^dot[fd]$/)
		return "-"
	return 0.5
}
function beside(form, vlen) {
	return vlen == 128 && (form == "m1" || form == "c") ? "sse2" : "avx2"
}
NF == 8 && $3 == "VECTOR" {
	row = $4 " " $5 " " $6 " " $2
	if (!(($1, row) in least) || $7 < least[$1, row])
		least[$1, row] = $7
	if ($1 == "host")
		sum[$4, $6] = $8
	else if (!(row in seen)) {
		seen[row] = 1
		rows[++n] = row
	}
	if ($1 != "host" && $8 != sum[$4, $6]) {
		print "sums differ: " $0
		bad = 1
	}
}
END {
	printf "%-38s %10s %10s %7s %7s\n", "vector loops, 8 MiB of each operand", "host us", \
		"lodge us", "ratio", "bar"
	for (i = 1; i <= n; i++) {
		split(rows[i], p)
		peer = beside(p[2], p[4])
		host = least["host", p[1] " " peer " " p[3] " 0"]
		ours = least["lodge", rows[i]]
		r = ours > 0 ? host / ours : 0
		b = bar(p[1], p[2], p[4])
		v = b == "-" ? "" : r >= b ? "met" : "missed"
		bad = bad || v == "missed"
		printf "%-38s %10d %10d %7.2f %7s  %s\n", sprintf("%s %s, %d KiB, VLEN %d, by %s", \
			p[1], p[2], p[3], p[4], peer), host, ours, r, b, v
	}
	exit bad || !n
}
