#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# lodge-agent, compiled for this machine with sanitizers, against a host that also misbehaves.
set -eu
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
flags="-std=gnu17 -O1 -g -Isrc -Wall -Wextra"
# shellcheck disable=SC2086 # words
${CC:-cc} $flags -fsanitize=address,undefined -fno-sanitize-recover=undefined -o "$dir/lodge-agent" \
	guest/agent/boot.c guest/agent/card.c guest/agent/main.c guest/agent/rights.c guest/agent/session.c \
	guest/agent/task.c guest/agent/user.c
# shellcheck disable=SC2086 # words
${CC:-cc} $flags -o "$dir/agent_test" guest/agent/agent_test.c
timeout 120 "$dir/agent_test" "$dir/lodge-agent"
