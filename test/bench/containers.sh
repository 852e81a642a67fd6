# shellcheck shell=bash disable=SC2034,SC2154 # variables are those of run
# SPDX-License-Identifier: Apache-2.0
# Part "containers" of run: lodge-oci beside Debian's crun and runc, in turn. As root; needs crun, runc,
# busybox-static and podman's seccomp profile. The median of BENCH_CONTAINERS (25) rounds.
#
# Debian's crun refuses a hybrid cgroup layout: all three run where its v2 part is unmounted.

containers_lodge=${BENCH_OCI:-$build/lodge-oci}
containers_rounds=${BENCH_CONTAINERS:-25}
containers_profile=/usr/share/containers/seccomp.json

# Another one begins each round: what a container leaves the kernel to do falls on the next.
containers_order() {
	case $(($1 % 3)) in
	0) echo crun runc lodge ;;
	1) echo lodge crun runc ;;
	2) echo runc lodge crun ;;
	esac
}

# containers_turns FOLDER: each of the three a round, into FOLDER/NAME-run and NAME-exec, and what of 200
# at once fails. In a mount namespace of its own.
containers_turns() {
	local folder=$1 r n turn
	local -A program=([crun]=$(command -v crun) [runc]=$(command -v runc) [lodge]=$containers_lodge)
	for turn in $(seq "$containers_rounds"); do
		for r in $(containers_order "$turn"); do
			"$build/bench-cost" "${program[$r]}" --root "$folder/state-$r" run --bundle "$folder/true" "bench-$r" \
				2>&1 >/dev/null | tail -n 1 >>"$folder/$r-run"
		done
	done
	for r in crun runc lodge; do
		"${program[$r]}" --root "$folder/state-$r" run --detach --bundle "$folder/sleep" "bench-$r" \
			>/dev/null 2>&1 </dev/null || echo "bench: $r does not run" >&2
	done
	for turn in $(seq "$containers_rounds"); do
		for r in $(containers_order "$turn"); do
			"$build/bench-cost" "${program[$r]}" --root "$folder/state-$r" exec "bench-$r" /bin/true \
				2>&1 >/dev/null | tail -n 1 >>"$folder/$r-exec"
		done
	done
	for r in crun runc lodge; do "${program[$r]}" --root "$folder/state-$r" delete --force "bench-$r"; done
	seq 200 | xargs -P 200 -I {} sh -c '"$0" --root "$1" create --bundle "$2" many-{} >/dev/null 2>>"$1-errors" </dev/null ||
		echo {}' "${program[lodge]}" "$folder/state-lodge" "$folder/sleep" >"$folder/failed"
	n=$("${program[lodge]}" --root "$folder/state-lodge" list --quiet | grep -c many-)
	seq 200 | xargs -P 4 -I {} "${program[lodge]}" --root "$folder/state-lodge" delete --force many-{}
	echo "$n" >"$folder/made"
}

# The field of a verb's runs: median; a run that failed is an error.
containers_median() { # FOLDER RUNTIME-VERB FIELD
	awk '$4 != 0 { exit 1 }' "$1/$2" || { echo "bench: $2 fails: $(head -n 1 "$1/$2")" >&2; missed=1; }
	median "$1/$2" "$3"
}
containers_row() { # WHAT VERB FIELD PEER BAR DIVISOR
	local ours peer r v
	ours=$(containers_median "$folder" "lodge-$2" "$3")
	peer=$(containers_median "$folder" "$4-$2" "$3")
	r=$(ratio "$ours" "$peer")
	v=$(verdict "$r" "$5") || missed=1
	line "$1" "$(ratio "$ours" "$6")" "$(ratio "$peer" "$6")" "$r" "$5" "$v"
}

part_containers() {
	local folder=$work/containers peer bar v
	if [ "$(id -u)" != 0 ]; then
		echo "containers: only root measures them" | show
		return
	fi
	mkdir "$folder"
	test/oci/bundle --seccomp "$containers_profile" "$folder/true" /bin/true &&
		test/oci/bundle --seccomp "$containers_profile" "$folder/sleep" /bin/sleep 1000 || exit 1
	export build containers_lodge containers_rounds
	# shellcheck disable=SC2016 # the inner bash expands it
	unshare -m bash -c '
		umount /sys/fs/cgroup/unified 2>/dev/null
		. test/bench/containers.sh
		containers_turns "$0"' "$folder" </dev/null || exit 1
	line "containers (median of $containers_rounds)" lodge peer ratio bar ""
	for peer in crun:0.6 runc:0.25; do
		bar=${peer#*:} peer=${peer%:*}
		containers_row "run /bin/true beside $peer, CPU ms" run 2 "$peer" "$bar" 1000
		containers_row "run /bin/true beside $peer, wall ms" run 1 "$peer" "$bar" 1000
	done
	containers_row "run /bin/true beside crun, peak KiB" run 3 crun 1.0 1
	containers_row "exec /bin/true beside crun, CPU ms" exec 2 crun 1.0 1000
	containers_row "exec /bin/true beside crun, wall ms" exec 1 crun 1.0 1000
	v=met
	if [ "$(cat "$folder/made")" != 200 ] || [ -s "$folder/failed" ]; then v=missed missed=1; fi
	line "200 created at once: made" "$(cat "$folder/made")" - - 200 "$v"
	[ "$v" = met ] || head -n 3 "$folder/state-lodge-errors" >&2
}
