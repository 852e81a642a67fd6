/* SPDX-License-Identifier: Apache-2.0 */
/* A level for tests: its guest prints "hello", echoes its console, and ends on "quit N". What it
 * does at create, start and stop is told by -o create=fail, start=fail, start=quit, stop=obey,
 * burn=yes: a thread that uses a CPU up unless it is held. */
#pragma once
#include "life/life.h"
#include <json-c/json.h>
#include <stdio.h>

struct fake {
	const struct level_env *env;
	const struct lodge_config *c;
	struct chr *console;
	char line[64];
	size_t len;
	bool over;
	pthread_t burner;
	bool burns, held; /* atomic */
	unsigned limits; /* times that limit was called */
	uint64_t kills; /* for want of memory */
};

static bool fake_is(const struct lodge_config *c, const char *key, const char *value)
{
	const char *v = life_option(c, key);
	return v && !strcmp(v, value);
}

static void fake_say(struct fake *f, const char *text)
{
	if (chr_write(f->console, text, strlen(text)) < strlen(text))
		return; /* like a UART: what nobody reads is lost */
}

static void fake_end(struct fake *f, int code, const char *why)
{
	if (!f->over)
		f->env->ended(f->env->user, code, why);
	f->over = true;
}

static void fake_input(void *arg)
{
	struct fake *f = arg;
	char c;
	while (chr_read(f->console, &c, 1)) {
		chr_write(f->console, &c, 1);
		if (c != '\n' && f->len < sizeof f->line - 1) {
			f->line[f->len++] = c;
			continue;
		}
		f->line[f->len] = 0;
		f->len = 0;
		if (!strncmp(f->line, "quit ", 5))
			fake_end(f, atoi(f->line + 5), "it was told to quit");
	}
}

static int fake_claims(const struct lodge_config *c)
{
	return c->guest && !strcmp(c->guest, "fake");
}

static int fake_create(void **ret, const struct level_env *env, const struct lodge_config *c,
		       struct lodge_err *e)
{
	if (fake_is(c, "create", "fail"))
		return err_set(e, EINVAL, "fake: told to fail");
	struct fake *f = calloc(1, sizeof *f);
	if (!f)
		return err_set(e, ENOMEM, "out of memory");
	f->env = env;
	f->c = c;
	int r = chr_new(&f->console, 1 << 16, e);
	if (r < 0) {
		free(f);
		return r;
	}
	chr_on_device(f->console, fake_input, f);
	*ret = f;
	return 0;
}

static void *fake_burn(void *arg)
{
	struct fake *f = arg;
	while (__atomic_load_n(&f->burns, __ATOMIC_RELAXED))
		if (__atomic_load_n(&f->held, __ATOMIC_RELAXED))
			usleep(500);
	return NULL;
}

static void fake_hold(void *self, bool on)
{
	struct fake *f = self;
	__atomic_store_n(&f->held, on, __ATOMIC_RELAXED);
}

static void fake_limit(void *self, const struct lodge_config *c, struct life_warnings *w)
{
	struct fake *f = self;
	f->limits++;
	if (c->net_bps)
		life_warn(w, "fake: no network");
}

static int fake_start(void *self, struct lodge_err *e)
{
	struct fake *f = self;
	f->burns = fake_is(f->c, "burn", "yes");
	if (f->burns && pthread_create(&f->burner, NULL, fake_burn, f))
		f->burns = false;
	if (fake_is(f->c, "start", "fail"))
		return err_set(e, EIO, "fake: told not to start");
	fake_say(f, "hello\n");
	if (fake_is(f->c, "start", "quit"))
		fake_end(f, 7, "quit at once");
	return 0;
}

static int fake_nothing(void *self, struct lodge_err *e)
{
	(void)self;
	(void)e;
	return 0;
}

static int fake_stop(void *self, struct lodge_err *e)
{
	struct fake *f = self;
	if (!fake_is(f->c, "stop", "obey"))
		return err_set(e, EOPNOTSUPP, "fake: no power button");
	fake_end(f, 3, "asked to stop");
	return 0;
}

static int fake_kill(void *self, struct lodge_err *e)
{
	(void)e;
	fake_end(self, 0, "power cut");
	return 0;
}

static void fake_destroy(void *self)
{
	struct fake *f = self;
	if (f->burns) {
		__atomic_store_n(&f->burns, false, __ATOMIC_RELAXED);
		pthread_join(f->burner, NULL);
	}
	chr_free(f->console);
	free(f);
}

static struct chr *fake_console(void *self) { return ((struct fake *)self)->console; }

static void fake_inspect(void *self, struct json_object *out)
{
	(void)self;
	json_object_object_add(out, "fake", json_object_new_boolean(1));
}

static uint64_t fake_oom_kills(void *self) { return ((struct fake *)self)->kills; }

__attribute__((unused)) static const struct level fake_level = {
    .name = "fake",
    .summary = "for tests",
    .claims = fake_claims,
    .create = fake_create,
    .start = fake_start,
    .pause = fake_nothing,
    .resume = fake_nothing,
    .stop = fake_stop,
    .kill = fake_kill,
    .destroy = fake_destroy,
    .console = fake_console,
    .inspect = fake_inspect,
    .stats = fake_inspect,
    .oom_kills = fake_oom_kills,
    .limit = fake_limit,
    .hold = fake_hold,
};
