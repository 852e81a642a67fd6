# SPDX-License-Identifier: Apache-2.0
# Jobs for make -j2, each of a shell and programs that it starts. Each prints once
# `ROUND NONCE`.
NONCE := $(shell od -An -N8 -tx8 /dev/urandom | tr -d ' ')
N := $(shell seq 1 500)

all: $(N)

$(N):
	@sleep 0.1
	@echo $@ $(NONCE)
