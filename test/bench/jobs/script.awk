# SPDX-License-Identifier: Apache-2.0
# Fields, arrays, substitutions, sums.
{
	gsub(/[^A-Za-z0-9_ ]/, " ")
	for (i = 1; i <= NF; i++) {
		count[$i]++
		letters += length($i)
	}
	if (NF > 3)
		wide[NF]++
}
END {
	for (w in count) {
		kinds++
		if (count[w] > best || (count[w] == best && w < word)) {
			best = count[w]
			word = w
		}
		sum += count[w] * length(w)
	}
	for (n in wide)
		total += n * wide[n]
	for (i = 0; i < 300000; i++)
		x = (x * 31 + i) % 65521
	print NR, kinds, letters, sum, total, best, word, x
}
