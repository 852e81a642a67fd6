# SPDX-License-Identifier: Apache-2.0
# A shell with children: three parts of a pipeline, one of which starts a program for each line.
# Prints `ROUND NONCE`.
nonce=$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
seq 1 1000000 | while read -r n; do
	echo "$n"
	sleep 0.02
done | while read -r line; do
	echo "$line $nonce"
done
