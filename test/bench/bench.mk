# Ratios side by side with the peer, in the same run; the table also goes to build/bench.txt.
# BENCH_PAIRS=N: pairs of runs (3).
.PHONY: bench
$O/bench-boot: $O/obj/test/bench/boot.o
	$Q$(CC) $(SAN) -o $@ $<
bench: $O/lodge $O/bench-boot $O/bench-fp $O/bench-blk
	@test/bench/run $O
