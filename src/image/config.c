/* SPDX-License-Identifier: Apache-2.0 */
/* What an image says of itself: what it is for, what to run, its layers' sums. OCI-Image 1.1
 * §config, and docker's Healthcheck. */
#include "image/internal.h"

static int copy_text(struct doc *d, struct json_object *o, const char *key, char **ret)
{
	const char *text = NULL;
	int r = doc_text(d, o, key, false, &text);
	if (r <= 0 || !*text)
		return r;
	*ret = strdup(text);
	return *ret ? 1 : err_set(d->e, ENOMEM, "out of memory");
}

static int platform_copy(struct doc *d, const char *key, char *ret, size_t cap)
{
	const char *text = "";
	int r = doc_text(d, d->root, key, !strcmp(key, "os"), &text);
	if (r >= 0 && strlen(text) >= cap)
		return doc_fail(d, key, EINVAL, "is too long");
	if (r >= 0)
		strcpy(ret, text);
	return r;
}

static int health_read(struct doc *d, struct json_object *o, struct image_health *ret)
{
	struct json_object *h = NULL;
	int r = doc_get(d, o, "Healthcheck", json_type_object, false, &h);
	if (r <= 0)
		return r;
	size_t at = doc_down(d, ".Healthcheck");
	r = doc_texts(d, h, "Test", &ret->test);
	if (r >= 0)
		r = doc_u64(d, h, "Interval", false, &ret->interval_ns);
	if (r >= 0)
		r = doc_u64(d, h, "Timeout", false, &ret->timeout_ns);
	if (r >= 0)
		r = doc_u64(d, h, "StartPeriod", false, &ret->start_ns);
	if (r >= 0)
		r = doc_u64(d, h, "Retries", false, &ret->retries);
	doc_up(d, at);
	return r;
}

/* Variables with '=' only: a name alone would be looked up in somebody's environment. */
static int env_check(struct doc *d, const struct image_texts *env)
{
	for (size_t i = 0; i < env->n; i++) {
		const char *eq = strchr(env->at[i], '=');
		size_t at = doc_down(d, ".Env[%zu]", i);
		int r = !eq || eq == env->at[i]
			    ? doc_fail(d, NULL, EINVAL, "'%.40s' is not NAME=VALUE", env->at[i])
			    : 0;
		doc_up(d, at);
		if (r < 0)
			return r;
	}
	return 0;
}

static int run_read(struct doc *d, struct json_object *o, struct image_config *c)
{
	int r = doc_texts(d, o, "Entrypoint", &c->entrypoint);
	if (r >= 0)
		r = doc_texts(d, o, "Cmd", &c->cmd);
	if (r >= 0)
		r = doc_texts(d, o, "Env", &c->env);
	if (r >= 0)
		r = env_check(d, &c->env);
	if (r >= 0)
		r = doc_keys(d, o, "ExposedPorts", false, &c->ports);
	if (r >= 0)
		r = doc_keys(d, o, "Volumes", false, &c->volumes);
	if (r >= 0)
		r = doc_keys(d, o, "Labels", true, &c->labels);
	if (r >= 0)
		r = copy_text(d, o, "WorkingDir", &c->cwd);
	if (r >= 0 && c->cwd && c->cwd[0] != '/')
		r = doc_fail(d, "WorkingDir", EINVAL, "'%.60s' is no absolute path", c->cwd);
	if (r >= 0)
		r = copy_text(d, o, "User", &c->user);
	if (r >= 0)
		r = copy_text(d, o, "StopSignal", &c->stop_signal);
	return r >= 0 ? health_read(d, o, &c->health) : r;
}

static int diffs_read(struct doc *d, struct image_config *c)
{
	struct json_object *fs = NULL, *list = NULL;
	const char *type = "";
	int r = doc_get(d, d->root, "rootfs", json_type_object, true, &fs);
	if (r < 0)
		return r;
	size_t at = doc_down(d, ".rootfs");
	r = doc_text(d, fs, "type", true, &type);
	if (r >= 0 && strcmp(type, "layers"))
		r = doc_fail(d, "type", ENOTSUP, "'%.40s' is not 'layers'", type);
	if (r >= 0)
		r = doc_get(d, fs, "diff_ids", json_type_array, true, &list);
	size_t n = r > 0 ? json_object_array_length(list) : 0;
	if (n > IMAGE_LAYERS)
		r = doc_fail(d, "diff_ids", EFBIG, "%zu layers are more than %u", n, IMAGE_LAYERS);
	c->diffs = r >= 0 ? calloc(n + 1, sizeof *c->diffs) : NULL;
	for (size_t i = 0; r >= 0 && c->diffs && i < n; i++) {
		struct json_object *v = json_object_array_get_idx(list, i);
		struct lodge_err why = {.msg = "is no text"};
		size_t deeper = doc_down(d, ".diff_ids[%zu]", i);
		if (!json_object_is_type(v, json_type_string) ||
		    digest_parse(&c->diffs[i], json_object_get_string(v), &why) < 0)
			r = doc_fail(d, NULL, EINVAL, "%s", why.msg);
		doc_up(d, deeper);
		c->ndiffs = i + 1;
	}
	doc_up(d, at);
	return r < 0 ? r : c->diffs ? 0 : err_set(d->e, ENOMEM, "out of memory");
}

int image_config_parse(struct image_config *ret, const char *what, const void *text, size_t len,
		       struct lodge_err *e)
{
	struct doc d;
	struct json_object *run = NULL;
	struct image_config c = {0};
	int r = doc_open(&d, what, text, len, e);
	if (r == 0)
		r = platform_copy(&d, "os", c.platform.os, sizeof c.platform.os);
	if (r >= 0)
		r = platform_copy(&d, "architecture", c.platform.arch, sizeof c.platform.arch);
	if (r >= 0)
		r = platform_copy(&d, "variant", c.platform.variant, sizeof c.platform.variant);
	if (r >= 0)
		r = copy_text(&d, d.root, "created", &c.created);
	if (r >= 0)
		r = diffs_read(&d, &c);
	if (r >= 0)
		r = doc_get(&d, d.root, "config", json_type_object, false, &run);
	if (r > 0) {
		size_t at = doc_down(&d, ".config");
		r = run_read(&d, run, &c);
		doc_up(&d, at);
	}
	doc_close(&d);
	if (r < 0)
		image_config_fini(&c);
	else
		*ret = c;
	return r < 0 ? r : 0;
}

void image_config_fini(struct image_config *c)
{
	struct image_texts *all[] = {&c->entrypoint, &c->cmd,    &c->env,        &c->ports,
				     &c->volumes,    &c->labels, &c->health.test};
	for (size_t i = 0; i < countof(all); i++)
		image_texts_fini(all[i]);
	free(c->cwd);
	free(c->user);
	free(c->stop_signal);
	free(c->created);
	free(c->diffs);
	*c = (struct image_config){0};
}
