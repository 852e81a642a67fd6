/* SPDX-License-Identifier: Apache-2.0 */
/* What a program wants that is not there, told without running it. */
#include "level/windows/internal.h"
#include <stdio.h>

struct count {
	unsigned all, missing;
};

static int library_explain(FILE *out, struct pe_imports *w, const char *folder, struct count *n,
			   struct lodge_err *e)
{
	struct pe_import i;
	int r;
	autofree char *beside = NULL;
	bool ours = win_has_library(w->library);
	if (!ours && asprintf(&beside, "%s/%s", folder, w->library) < 0)
		return err_set(e, ENOMEM, "out of memory");
	bool there = !ours && access(beside, F_OK) == 0;
	if (!ours)
		fprintf(out, "%s: %s\n", w->library,
			there ? "a library beside the program" : "this library is not provided");
	while ((r = pe_imports_next(w, &i, e)) > 0) {
		n->all++;
		if (there || (ours && win_find(w->library, i.name, i.ordinal)))
			continue;
		n->missing++;
		if (i.name)
			fprintf(out, "%s.%s\n", w->library, i.name);
		else
			fprintf(out, "%s.#%u\n", w->library, i.ordinal);
	}
	return r;
}

static int image_explain(FILE *out, const struct pe_image *im, const char *folder,
			 struct lodge_err *e)
{
	struct count n = {0, 0};
	struct pe_imports w;
	int r = 0;
	for (int delayed = 0; r == 0 && delayed < 2; delayed++) {
		pe_imports_begin(&w, im, delayed);
		while ((r = pe_imports_library(&w, e)) > 0)
			if ((r = library_explain(out, &w, folder, &n, e)) < 0)
				break;
	}
	if (n.missing)
		fprintf(out,
			"%u functions, %u of them not provided: a call of one ends the program\n",
			n.all, n.missing);
	else
		fprintf(out, "%u functions, all of them provided\n", n.all);
	return r;
}

int windows_explain(const struct lodge_config *c, char **ret, struct lodge_err *e)
{
	const uint8_t *file;
	uint64_t len;
	struct pe p;
	size_t n;
	char *text = NULL;
	if (win_is_batch(c->guest)) {
		*ret = strdup("a batch file: cmd.exe, which is part of Lodge, runs it\n");
		return *ret ? 0 : err_set(e, ENOMEM, "out of memory");
	}
	int r = windows_open(c->guest, &file, &len, &p, e);
	if (r < 0)
		return r;
	struct pe_image im = {.at = calloc(1, p.size), .size = p.size, .pe = &p};
	FILE *out = im.at ? open_memstream(&text, &n) : NULL;
	if (!out) {
		free(im.at);
		return err_set(e, ENOMEM, "out of memory");
	}
	pe_fill(&im, file, len);
	autofree char *folder = strdup(c->guest);
	char *slash = folder ? strrchr(folder, '/') : NULL;
	if (slash)
		*slash = 0;
	r = image_explain(out, &im, slash ? folder : ".", e);
	fclose(out);
	free(im.at);
	if (r < 0)
		free(text);
	else
		*ret = text;
	return r;
}
