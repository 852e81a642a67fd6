/* SPDX-License-Identifier: Apache-2.0 */
/* encode TEXT MODULE: what wat_encode makes of a file. encode TEXT: only the reason, if there is
 * one. */
#include "wat/wat.h"
#include <fcntl.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct lodge_err e = {0};
	char *text;
	uint8_t *out;
	size_t len, n;
	if (argc != 3 && argc != 2)
		return 2;
	if (file_load(AT_FDCWD, argv[1], 1 << 30, &text, &len, &e) < 0 ||
	    wat_encode(argv[1], text, len, &out, &n, &e) < 0) {
		printf("%s\n", e.msg);
		return 1;
	}
	FILE *f = argc == 3 ? fopen(argv[2], "w") : NULL;
	if (argc == 3 && (!f || fwrite(out, 1, n, f) != n || fclose(f) != 0))
		return 2;
	free(text);
	free(out);
	return 0;
}
