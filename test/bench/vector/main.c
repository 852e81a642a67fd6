/* SPDX-License-Identifier: Apache-2.0 */
/* vector: how long the vector loops take, each form over each size. The work is the same for all:
 * WORK bytes of each operand in rounds of the size. For each, on stdout:
 *   VECTOR loop form KiB usec sum
 * usec is the least of TRIES; the sum says whether the machines agree. */
#include "vector.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WORK = 8 << 20, TRIES = 40, MOST = 8 << 20 };

static union {
	uint8_t b[MOST];
	uint32_t i[MOST / 4];
	float f[MOST / 4];
	double d[MOST / 8];
} x, y;

static double run_copy(void (*f)(uint8_t *restrict, const uint8_t *restrict, size_t), size_t size)
{
	f(y.b, x.b, size);
	return y.b[size - 1];
}

/* One loop in one form; each returns something of its result. */
#define RUNS(form)                                                                                 \
	static double copy_run_##form(size_t size) { return run_copy(copy_##form, size); }         \
	static double dotf_run_##form(size_t size)                                                 \
	{                                                                                          \
		return (double)dotf_##form(x.f, y.f, size / 4);                                    \
	}                                                                                          \
	static double dotd_run_##form(size_t size) { return dotd_##form(x.d, y.d, size / 8); }     \
	static double doti_run_##form(size_t size) { return doti_##form(x.i, y.i, size / 4); }
FORMS(RUNS)

enum loop { COPY, DOTF, DOTD, DOTI };
static const struct row {
	const char *loop, *form;
	enum loop kind;
	double (*run)(size_t size);
} rows[] = {
#define ROWS(form)                                                                                 \
	{ "copy", #form, COPY, copy_run_##form },                                                  \
	{ "dotf", #form, DOTF, dotf_run_##form },                                                  \
	{ "dotd", #form, DOTD, dotd_run_##form },                                                  \
	{ "doti", #form, DOTI, doti_run_##form },
	FORMS(ROWS)
};

/* Small whole numbers: sums are exact in any order. */
static void fill(enum loop kind)
{
	for (size_t n = 0; n < MOST / 4; n++) {
		if (kind == DOTF)
			x.f[n] = (float)(n % 3), y.f[n] = (float)(n % 2);
		else if (kind == DOTD && n < MOST / 8)
			x.d[n] = (double)(n % 3), y.d[n] = (double)(n % 2);
		else if (kind == DOTI || kind == COPY)
			x.i[n] = (uint32_t)(n * 2654435761u), y.i[n] = (uint32_t)n;
	}
}

static double usec(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void measure(const struct row *r, size_t size)
{
	double best = 1e12, sum = 0;
	for (int try = 0; try < TRIES; try++) {
		double begin = usec();
		for (size_t done = 0; done < WORK; done += size)
			sum = r->run(size);
		double took = usec() - begin;
		best = took < best ? took : best;
	}
	printf("VECTOR %s %s %zu %.0f %.0f\n", r->loop, r->form, size >> 10, best, sum);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 4 << 10, 256 << 10, MOST };
	for (size_t n = 0; n < sizeof rows / sizeof *rows; n++) {
		if (argc > 1 && strcmp(argv[1], rows[n].loop))
			continue;
		if (argc > 2 && strcmp(argv[2], rows[n].form))
			continue;
		fill(rows[n].kind);
		for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
			measure(&rows[n], sizes[s]);
	}
	return 0;
}
