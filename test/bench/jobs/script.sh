#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Many small processes, as a configure script has them; more than it needs, on purpose.
# shellcheck disable=SC2002,SC2003,SC2018,SC2019
i=0 sum=0
while [ $i -lt 25 ]; do
	a=$(echo "$i:name:$((i * 3))" | cut -d: -f3)
	b=$(expr "$a" + 1)
	c=$(printf '%s\n' "$b" "$a" | sort -n | head -n 1)
	if test -e /etc/passwd && grep -q root /etc/passwd; then d=1; fi
	sum=$(((sum + a + b + c + d) % 100000))
	i=$((i + 1))
done
cat /etc/passwd | tr a-z A-Z | sed 's/:.*//' | head -n 1
echo $sum
