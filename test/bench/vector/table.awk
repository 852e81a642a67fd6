# SPDX-License-Identifier: Apache-2.0
# The table of the vector loops. Input: "WHERE VLEN VECTOR loop form KiB usec sum", any number of
# runs, of which the fastest counts; WHERE: host, process, machine. What the compiler makes (form c)
# is for registers of 128 bits. Exit: 1 when a bar is missed.
function bar(loop, form, vlen) {
	if (form == "m1" && vlen == 128 && loop ~ /^dot[fd]$/)
		return "-"
	return 0.5
}
function beside(form, vlen) {
	return vlen == 128 && (form == "m1" || form == "c") ? "sse2" : "avx2"
}
NF == 8 && $3 == "VECTOR" && ($5 != "c" || $2 <= 128) {
	row = $4 " " $5 " " $6 " " $2 " " $1
	if (!(row in least) || $7 < least[row])
		least[row] = $7
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
	printf "%-44s %10s %10s %7s %7s\n", "vector loops, 8 MiB of each operand", "host us", \
		"lodge us", "ratio", "bar"
	for (i = 1; i <= n; i++) {
		split(rows[i], p)
		peer = beside(p[2], p[4])
		host = least[p[1] " " peer " " p[3] " 0 host"]
		ours = least[rows[i]]
		r = ours > 0 ? host / ours : 0
		b = bar(p[1], p[2], p[4])
		v = b == "-" ? "" : r >= b ? "met" : "missed"
		bad = bad || v == "missed"
		printf "%-44s %10d %10d %7.2f %7s  %s\n", sprintf("%s %s, %d KiB, VLEN %d%s, by %s", \
			p[1], p[2], p[3], p[4], p[5] == "machine" ? " machine" : "", peer), host, ours, r, b, v
	}
	exit bad || !n
}
