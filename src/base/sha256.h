/* SPDX-License-Identifier: Apache-2.0 */
/* sha256.c, private: for its test. */
#pragma once
#include "base/base.h"

/* As sha256, without the CPU's instructions for it; does sha256 use them? */
void sha256_plain(const void *data, size_t len, uint8_t ret[32]);
bool sha256_is_fast(void);
