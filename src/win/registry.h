/* SPDX-License-Identifier: Apache-2.0 */
/* Between registry.c and registry_list.c. */
#pragma once
#include "win/internal.h"

/* The folder of the key @sub (NULL: itself) of @h: malloc'ed, there or not. 0 or an error. */
uint32_t registry_key(uint64_t h, const char *sub, char **ret);
/* As RegQueryValueEx; @narrow: texts in bytes. */
uint32_t registry_query(uint64_t h, const char *name, bool narrow, uint32_t *type, void *data,
			uint32_t *n);
void registry_name_decode(char *out, const char *name); /* @out may be @name */
