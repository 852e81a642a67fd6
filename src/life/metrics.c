/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of guests for Prometheus: its text format 0.0.4, in which all samples of a metric stand
 * together, below its type. */
#include "life/internal.h"
#include <stdio.h>

static const struct metric {
	const char *key, *name, *type;
	double per;
	const char *help;
} metrics[] = {
#define METRIC(key, name, type, per, help) {#key, "lodge_" #name, #type, per, help},
#include "life/metrics.def"
};

static void metric_head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* The value of a label: backslash, quote and newline are escaped. */
static void label_put(FILE *f, const char *key, const char *value)
{
	fprintf(f, "%s=\"", key);
	for (const char *p = value; *p; p++)
		if (*p == '\n')
			fputs("\\n", f);
		else
			fprintf(f, *p == '\\' || *p == '"' ? "\\%c" : "%c", *p);
	fputc('"', f);
}

static const char *text_of(struct json_object *o, const char *key)
{
	const char *v = "";
	json_text(o, key, &v);
	return v;
}

static void metric_guests(FILE *f, struct json_object *guests)
{
	size_t n = json_object_array_length(guests);
	metric_head(f, "lodge_guest_info", "gauge", "Guests, what they are and their state");
	for (size_t i = 0; i < n; i++) {
		static const char *const labels[] = {"name", "level", "guest", "state"};
		struct json_object *o = json_object_array_get_idx(guests, i);
		fputs("lodge_guest_info{", f);
		for (size_t k = 0; k < countof(labels); k++) {
			fputs(k ? "," : "", f);
			label_put(f, labels[k], text_of(o, labels[k]));
		}
		fputs("} 1\n", f);
	}
	metric_head(f, "lodge_guest_running", "gauge", "1: the guest runs");
	for (size_t i = 0; i < n; i++) {
		struct json_object *o = json_object_array_get_idx(guests, i);
		fputs("lodge_guest_running{", f);
		label_put(f, "name", text_of(o, "name"));
		fprintf(f, "} %d\n", !strcmp(text_of(o, "state"), "running"));
	}
}

static void metric_put(FILE *f, const struct metric *m, struct json_object *guests)
{
	bool begun = false;
	for (size_t i = 0; i < json_object_array_length(guests); i++) {
		struct json_object *o = json_object_array_get_idx(guests, i);
		int64_t v;
		if (!json_i64(o, m->key, &v))
			continue; /* a level without it, or a guest that does not run */
		if (!begun)
			metric_head(f, m->name, m->type, m->help);
		begun = true;
		fprintf(f, "%s{", m->name);
		label_put(f, "name", text_of(o, "name"));
		if (m->per > 1)
			fprintf(f, "} %.9g\n", (double)v / m->per);
		else
			fprintf(f, "} %lld\n", (long long)v);
	}
}

char *life_metrics(struct json_object *guests)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	if (!f)
		return NULL;
	metric_guests(f, guests);
	for (size_t i = 0; i < countof(metrics); i++)
		metric_put(f, &metrics[i], guests);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}
