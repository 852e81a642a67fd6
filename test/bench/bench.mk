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
# Imports of modules are not called: the engine alone.
$O/wasm-compile: test/bench/wasm/compile.c $O/parts.a
	$Q$(CC) $(ALL) -o $@ $< $O/parts.a $(LIBS)
# Vector loops: the same C by the compilers' own means, and strips in assembler. gcc 12 makes no V.
VECTOR       := test/bench/vector
VECTOR_FLAGS := -std=gnu17 -Wall -Wextra -Wshadow -Wconversion -Werror -O3 -ffast-math
$O/bench-vector-host: $(wildcard $(VECTOR)/*)
	@mkdir -p $O/obj/$(VECTOR)
	$Qgcc $(VECTOR_FLAGS) -fno-tree-loop-distribute-patterns -msse2 -DFORM_NAME=sse2 \
		-c -o $O/obj/$(VECTOR)/sse2.o $(VECTOR)/loops.c
	$Qgcc $(VECTOR_FLAGS) -fno-tree-loop-distribute-patterns -mavx2 -mfma -DFORM_NAME=avx2 \
		-c -o $O/obj/$(VECTOR)/avx2.o $(VECTOR)/loops.c
	$Qgcc $(BENCH_FLAGS) -o $@ $(VECTOR)/main.c $O/obj/$(VECTOR)/sse2.o $O/obj/$(VECTOR)/avx2.o
$O/bench-vector-guest: $(wildcard $(VECTOR)/*)
	@mkdir -p $O/obj/$(VECTOR)
	$Qclang --target=riscv64-linux-gnu -march=rv64gcv $(VECTOR_FLAGS) -fno-builtin \
		-mllvm -riscv-v-vector-bits-min=128 -c -o $O/obj/$(VECTOR)/loops.o $(VECTOR)/loops.c
	$Q$(RVCC) -march=rv64gcv -c -o $O/obj/$(VECTOR)/strips.o $(VECTOR)/strips.S
	$Q$(RVCC) $(BENCH_FLAGS) -march=rv64gc -o $@ $(VECTOR)/main.c $O/obj/$(VECTOR)/loops.o \
		$O/obj/$(VECTOR)/strips.o
bench-programs: $O/wasm-compile $O/bench-cost $O/bench-boot $O/bench-guest $O/bench-native $O/bench-guest-dynamic \
                $O/bench-native-dynamic
bench: $O/lodge $O/lodge-oci $O/bench-fp $O/bench-blk $O/bench-vector-host $O/bench-vector-guest \
       bench-programs
	@test/bench/run $O
