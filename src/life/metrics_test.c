/* SPDX-License-Identifier: Apache-2.0 */
/* What Prometheus would read: types first, samples together, labels that need escaping. */
#include "life/internal.h"
#include "test/test.h"

TEST(metrics_as_prometheus_reads_them)
{
	static const char doc[] =
	    "[{\"name\":\"a\",\"state\":\"running\",\"level\":\"machine\",\"cpu_ns\":1500000000,"
	    "\"memory_resident\":4096,\"guest\":\"/x\\\"y\\\\z\\n\"},"
	    "{\"name\":\"b\",\"state\":\"stopped\",\"level\":\"machine\"},"
	    "{\"name\":\"c\",\"state\":\"paused\",\"cpu_ns\":9007199254740993,\"disk_requests\":"
	    "9007199254740993}]";
	static const char *const has[] = {
	    "# TYPE lodge_guest_info gauge\n",
	    "lodge_guest_info{name=\"a\",level=\"machine\",guest=\"/x\\\"y\\\\z\\n\","
	    "state=\"running\"} 1\n",
	    "# TYPE lodge_guest_running gauge\nlodge_guest_running{name=\"a\"} 1\n"
	    "lodge_guest_running{name=\"b\"} 0\nlodge_guest_running{name=\"c\"} 0\n",
	    "# TYPE lodge_cpu_seconds_total counter\nlodge_cpu_seconds_total{name=\"a\"} 1.5\n"
	    "lodge_cpu_seconds_total{name=\"c\"} 9007199.25\n",
	    "# TYPE lodge_memory_resident_bytes gauge\n"
	    "lodge_memory_resident_bytes{name=\"a\"} 4096\n",
	    "lodge_disk_requests_total{name=\"c\"} 9007199254740993\n",
	};
	struct json_object *o = NULL;
	CHECK(json_parse(&o, doc, sizeof doc - 1, NULL) == 0);
	autofree char *text = life_metrics(o);
	CHECK(text != NULL);
	for (size_t i = 0; i < countof(has); i++)
		CHECK(strstr(text, has[i]) != NULL);
	CHECK(!strstr(text, "net_sent")); /* nobody has it */
	/* each line is a comment or one sample, each metric has one type */
	autofree char *copy = strdup(text);
	char *rest = copy;
	for (char *line; (line = strsep(&rest, "\n")) && rest;) {
		CHECK(!strncmp(line, "# ", 2) || !strncmp(line, "lodge_", 6));
		if (strncmp(line, "# TYPE ", 7))
			continue;
		char *again = strstr(text, line);
		CHECK(again && !strstr(again + 1, line));
	}
	json_object_put(o);
}
