/* SPDX-License-Identifier: Apache-2.0 */
/* Between console.c, console_input.c and wait.c. */
#pragma once
#include "win/internal.h"

enum { INPUT_PROCESSED = 1, INPUT_LINE = 2, INPUT_ECHO = 4, INPUT_WINDOW = 8, INPUT_VT = 0x200 };
/* INPUT_RECORD */
struct input_record {
	uint16_t type, pad;
	union {
		struct {
			int32_t down;
			uint16_t repeat, code, scan, unit;
			uint32_t state;
		} key;
		struct {
			int16_t columns, rows;
		} size;
	};
};
uint32_t
console_input_mode(void); /* of what the guest has set, what is no matter of the terminal */
/* Is there something to read? For wait.c, whose lock may be held. */
bool console_ready(const struct file *f);
void console_arm(const struct file *f); /* whoever waits for @f is woken when there is */
/* What was written as records, for who reads text: units, a line at most; waits for that or for
 * something that is typed, which it leaves (0 then). */
uint32_t console_written(const struct file *f, wide *buf, uint32_t cap);
