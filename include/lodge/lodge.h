/* SPDX-License-Identifier: Apache-2.0 */
/* liblodge: run a guest. The only header an embedder includes. */
#ifndef LODGE_LODGE_H
#define LODGE_LODGE_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
#define LODGE_API __attribute__((visibility("default")))

/* Filled by the call that failed; owned by the caller; needs no freeing. */
struct lodge_err {
	int code;       /* errno value, positive */
	char msg[508];  /* what, why and what to do; UTF-8, no newline */
};
#ifdef __cplusplus
}
#endif
#endif
