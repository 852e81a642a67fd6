# SPDX-License-Identifier: Apache-2.0
# Fuzz targets: test/fuzz/NAME.c each define LLVMFuzzerTestOneInput; seeds in corpus/NAME/.
#   make fuzz T=NAME FUZZ_SECONDS=60     fuzz one target; new inputs go to build/fuzz/corpus/NAME
#   make fuzz-smoke [T=NAME]             every target: its seeds, then 2000 random inputs
# Everything is built with clang under ASan and UBSan in build/fuzz/, apart from the other modes.
FUZZ_SECONDS ?= 60
FUZZ_RUNS    ?= 2000
F            := $(BUILD)/fuzz
FUZZ_SAN     := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FUZZ_FLAGS   := -std=gnu17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -g -O1 -fsanitize=fuzzer-no-link \
                $(FUZZ_SAN) $(WARN) $(INC) $(DEPINC)
# ROOMS='base host net' builds the targets on those rooms only (while another does not compile).
ROOMS        ?=
FUZZ_SRC     := $(sort $(wildcard test/fuzz/*.c))
FUZZ_ALL     := $(FUZZ_SRC:test/fuzz/%.c=%)
FUZZ_NAMES   := $(if $T,$T,$(FUZZ_ALL))
FUZZ_OBJ     := $(SRC:%.c=$F/obj/%.o)
ifneq ($(ROOMS),)
FUZZ_OBJ     := $(filter $(foreach r,$(ROOMS),$F/obj/src/$r/% $F/obj/src/$r.o),$(FUZZ_OBJ))
endif
# A finding leaves its input here; the run's own seeds are never written to.
FUZZ_ARGS    := -artifact_prefix=$F/ -timeout=10 -rss_limit_mb=2048 -print_final_stats=0

.PHONY: fuzz fuzz-smoke fuzz-build
fuzz-build: $(FUZZ_NAMES:%=$F/bin/%)

fuzz:
	@test -f test/fuzz/$T.c || { echo "make fuzz T=NAME, one of: $(FUZZ_ALL)"; exit 2; }
	@$(MAKE) --no-print-directory $F/bin/$T
	@mkdir -p $F/corpus/$T
	$F/bin/$T $(FUZZ_ARGS) -max_total_time=$(FUZZ_SECONDS) $F/corpus/$T \
	        $(wildcard test/fuzz/corpus/$T)

fuzz-smoke: fuzz-build
	@for t in $(FUZZ_NAMES); do \
	        printf 'fuzz-smoke %s\n' $$t; \
	        if [ -d test/fuzz/corpus/$$t ]; then \
	                $F/bin/$$t $(FUZZ_ARGS) -runs=0 test/fuzz/corpus/$$t >$F/$$t.log 2>&1 || \
	                        { tail -40 $F/$$t.log; exit 1; }; \
	        fi; \
	        rm -rf $F/smoke/$$t && mkdir -p $F/smoke/$$t && \
	        $F/bin/$$t $(FUZZ_ARGS) -seed=1 -runs=$(FUZZ_RUNS) $F/smoke/$$t \
	                $$(ls -d test/fuzz/corpus/$$t 2>/dev/null) >$F/$$t.log 2>&1 || \
	                { tail -40 $F/$$t.log; exit 1; }; \
	done

$F/obj/%.o: %.c Makefile test/fuzz/fuzz.mk | $(GEN)
	@mkdir -p $(@D)
	$Q$(CLANG) $(FUZZ_FLAGS) -MMD -MP -c -o $@ $<

# From an archive, so that a target links only what it reaches.
FUZZ_LIB     := $F/liblodge$(if $(ROOMS),-rooms).a
.PHONY: fuzz-always
fuzz-always:
$(FUZZ_LIB): $(FUZZ_OBJ) $(if $(ROOMS),fuzz-always)
	$Qrm -f $@ && ar rcs $@ $(FUZZ_OBJ)
$F/bin/%: $F/obj/test/fuzz/%.o $(FUZZ_LIB)
	@mkdir -p $(@D)
	$Q$(CLANG) -fsanitize=fuzzer $(FUZZ_SAN) -o $@ $< $(FUZZ_LIB) $(LIBS)
.PRECIOUS: $F/obj/%.o $F/obj/test/fuzz/%.o

-include $(FUZZ_OBJ:.o=.d) $(FUZZ_SRC:%.c=$F/obj/%.d)
