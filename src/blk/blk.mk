# The cost of the path through blk, beside plain pread and pwrite.
.PHONY: bench-blk
BLK_OBJ := $(patsubst %.c,$O/obj/%.o,$(filter-out %_test.c,$(wildcard src/base/*.c src/host/*.c src/blk/*.c)))
$O/bench-blk: $O/obj/test/bench/blk.o $(BLK_OBJ)
	$Q$(CC) $(SAN) -o $@ $^ $(LIBS)
bench-blk: $O/bench-blk
	$<
