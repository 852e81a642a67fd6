/* SPDX-License-Identifier: Apache-2.0 */
/* Events: what is written is read, by name and time, while others write and the file moves on. */
#include "life/internal.h"
#include "test/test.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct seen {
	unsigned n, stop_at;
	int64_t last;        /* number of the event */
	bool in_order;
	char event[32];
};

static int event_see(void *user, const char *json)
{
	struct seen *s = user;
	struct json_object *o = NULL;
	const char *event = "";
	int64_t number = 0;
	CHECK(json_parse(&o, json, strlen(json), NULL) == 0);
	CHECK(json_text(o, "event", &event));
	snprintf(s->event, sizeof s->event, "%s", event);
	if (json_i64(o, "number", &number))
		s->in_order &= number > s->last;
	s->last = number;
	json_object_put(o);
	return ++s->n == s->stop_at ? 77 : 0;
}

static void home_begin(char *home)
{
	strcpy(home, "/tmp/lodge-test-XXXXXX");
	CHECK(mkdtemp(home) != NULL);
	setenv("XDG_DATA_HOME", home, 1);
}
static void home_end(const char *home) { CHECK(file_remove_tree(AT_FDCWD, home, NULL) == 0); }

static void event_put(const char *name, const char *event, int64_t number)
{
	struct json_object *o = json_object_new_object();
	json_put_i64(o, "number", number);
	json_object_put(life_event(name, event, o));
}

static struct seen events_seen(const char *name, uint64_t since_ns)
{
	struct seen s = {.in_order = true};
	struct life_event_query q = {
	    .name = name, .since_ns = since_ns, .fn = event_see, .user = &s};
	CHECK(life_events(&q, NULL) == 0);
	return s;
}

TEST(events_by_name_and_time)
{
	char home[32], path[64];
	home_begin(home);
	CHECK(events_seen(NULL, 0).n == 0);
	event_put("a", "created", 1);
	event_put("b", "created", 2);
	uint64_t now = host_realtime_ns();
	event_put("a", "died \"of\n\xc3\xa4\"", 3);
	struct seen all = events_seen(NULL, 0), a = events_seen("a", 0);
	struct seen late = events_seen("a", now);
	CHECK(all.n == 3 && all.in_order && a.n == 2 && late.n == 1);
	CHECK(!strcmp(late.event, "died \"of\n\xc3\xa4\""));
	/* what others wrote into the file is passed over */
	snprintf(path, sizeof path, "%s/lodge/events", home);
	FILE *f = fopen(path, "a");
	CHECK(f && fputs("garbage\n[]\n{\"name\":3}\n{\"time_ns\":-1,\"name\":\"a\"}\n", f) > 0);
	for (int i = 0; i < 20000; i++)
		fputc('x', f);
	fputs("\n", f);
	fclose(f);
	event_put("a", "removed", 4);
	CHECK(events_seen(NULL, 0).n == 4 && events_seen(NULL, 0).in_order);
	home_end(home);
}

TEST(events_are_bounded)
{
	char home[32], path[64];
	struct stat st;
	home_begin(home);
	for (int i = 1; i <= 40000; i++)
		event_put("a-guest-with-a-name", "started", i);
	struct seen s = events_seen(NULL, 0);
	CHECK(s.n > 8000 && s.in_order && s.last == 40000);
	uint64_t bytes = 0;
	for (int old = 0; old < 2; old++) {
		snprintf(path, sizeof path, "%s/lodge/events%s", home, old ? ".old" : "");
		CHECK(stat(path, &st) == 0);
		bytes += (uint64_t)st.st_size;
	}
	CHECK(bytes < (2 << 20) + 8192);
	home_end(home);
}

/* Two writers, and a reader that follows while files move away below it. */
TEST(events_are_followed_over_rotation)
{
	enum { EACH = 8000 };
	char home[32];
	pid_t writer[2];
	home_begin(home);
	event_put("x", "created", 0);
	for (int w = 0; w < 2; w++) {
		writer[w] = fork();
		if (writer[w] == 0) {
			for (int i = 1; i <= EACH; i++) {
				event_put(w ? "one" : "two", "an-event-of-many-bytes-for-space", i);
				if (i % 500 == 0)
					usleep(20000);
			}
			_exit(0);
		}
	}
	struct seen s = {.in_order = true, .stop_at = EACH};
	struct life_event_query q = {
	    .name = "one", .follow = true, .fn = event_see, .user = &s};
	CHECK(life_events(&q, NULL) == 77);
	CHECK(s.n == EACH && s.in_order && s.last == EACH);
	for (int w = 0; w < 2; w++)
		CHECK(waitpid(writer[w], NULL, 0) == writer[w]);
	home_end(home);
}
