# Ratios side by side with the peers, in the same run; the table also goes to build/bench.txt.
# The knobs (BENCH_PAIRS, BENCH_ONLY, ...) stand in test/bench/run.
.PHONY: bench bench-programs
BENCH_SRC   := $(wildcard test/bench/guest/*.c)
BENCH_FLAGS := -std=gnu17 -D_GNU_SOURCE -O2 -static -pthread -Wall -Wextra -Wshadow -Wconversion \
               -Wstrict-prototypes -Werror
$O/bench-boot: $O/obj/test/bench/boot.o
	$Q$(CC) $(SAN) -o $@ $<
# The same sources, the same flags: one for the guest, one for the host.
$O/bench-guest: $(BENCH_SRC) $(wildcard test/bench/guest/*.h test/bench/guest/*.def)
	@mkdir -p $(@D)
	$Q$(RVCC) $(BENCH_FLAGS) -march=rv64gc -o $@ $(BENCH_SRC) -lm
$O/bench-native: $(BENCH_SRC) $(wildcard test/bench/guest/*.h test/bench/guest/*.def)
	@mkdir -p $(@D)
	$Qgcc $(BENCH_FLAGS) -o $@ $(BENCH_SRC) -lm
# The same with the C library beside: what the program forkexec is measured with.
$O/bench-guest-dynamic: $O/bench-guest
	$Q$(RVCC) $(filter-out -static,$(BENCH_FLAGS)) -march=rv64gc -o $@ $(BENCH_SRC) -lm
$O/bench-native-dynamic: $O/bench-native
	$Qgcc $(filter-out -static,$(BENCH_FLAGS)) -o $@ $(BENCH_SRC) -lm
$O/bench-cost: test/bench/cost.c
	@mkdir -p $(@D)
	$Qgcc $(BENCH_FLAGS) -o $@ $<
bench-programs: $O/bench-cost $O/bench-boot $O/bench-guest $O/bench-native $O/bench-guest-dynamic \
                $O/bench-native-dynamic
bench: $O/lodge $O/lodge-oci $O/bench-fp $O/bench-blk bench-programs
	@test/bench/run $O
