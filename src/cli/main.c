/* SPDX-License-Identifier: Apache-2.0 */
/* cli: the entry; commands are rows of commands.def. */
#include <lodge/lodge.h>

int main(void) { return 125; }
