/* SPDX-License-Identifier: Apache-2.0 */
/* A seccomp profile as docker, podman and Kubernetes have it, to what a config.json has: the same
 * rules, without those for other architectures, kernels and capabilities. OCI-RT 1.2
 * config-linux.md "Seccomp" */
#include "level/container/spec.h"
#include "base/base.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/utsname.h>

enum { PROFILE_MAX = 4 << 20 };

struct host {
	struct json_object *capabilities; /* borrowed; NULL: none */
	unsigned major, minor;            /* of the kernel */
};

static bool list_has(struct json_object *list, const char *text)
{
	size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
	for (size_t i = 0; i < n; i++) {
		const char *one = json_object_get_string(json_object_array_get_idx(list, i));
		if (one && !strcmp(one, text))
			return true;
	}
	return false;
}

static struct json_object *list_of(struct json_object *o, const char *key)
{
	struct json_object *got = NULL;
	return json_object_object_get_ex(o, key, &got) &&
			       json_object_is_type(got, json_type_array) &&
			       json_object_array_length(got)
		   ? got : NULL;
}

/* Is any of the capabilities in @o (includes or excludes) the program's? */
static bool caps_meet(const struct host *h, struct json_object *o)
{
	struct json_object *caps = list_of(o, "caps");
	for (size_t i = 0; caps && i < json_object_array_length(caps); i++) {
		const char *one = json_object_get_string(json_object_array_get_idx(caps, i));
		if (one && list_has(h->capabilities, one))
			return true;
	}
	return false;
}

static bool rule_counts(const struct host *h, struct json_object *rule)
{
	struct json_object *in = NULL, *out = NULL, *kernel = NULL;
	unsigned major = 0, minor = 0;
	json_object_object_get_ex(rule, "includes", &in);
	json_object_object_get_ex(rule, "excludes", &out);
	if (list_of(in, "arches") && !list_has(list_of(in, "arches"), "amd64"))
		return false;
	if (list_of(in, "caps") && !caps_meet(h, in))
		return false;
	if (json_object_object_get_ex(in, "minKernel", &kernel) &&
	    sscanf(json_object_get_string(kernel), "%u.%u", &major, &minor) >= 1 &&
	    (h->major < major || (h->major == major && h->minor < minor)))
		return false;
	return !list_has(list_of(out, "arches"), "amd64") && !caps_meet(h, out);
}

static struct json_object *rule_make(struct json_object *from)
{
	static const char *const keys[] = {"names", "action", "errnoRet", "args"};
	struct json_object *o = json_object_new_object(), *got = NULL;
	for (size_t i = 0; i < countof(keys); i++)
		if (json_object_object_get_ex(from, keys[i], &got) && got)
			json_object_object_add(o, keys[i], json_object_get(got));
	if (!json_object_object_get_ex(o, "names", NULL) &&
	    json_object_object_get_ex(from, "name", &got)) {
		struct json_object *names = json_object_new_array();
		json_object_array_add(names, json_object_get(got));
		json_object_object_add(o, "names", names);
	}
	return o;
}

static struct json_object *profile_make(const struct host *h, struct json_object *from)
{
	static const char *const keys[] = {"defaultAction", "defaultErrnoRet", "flags",
					   "listenerPath", "listenerMetadata", "architectures"};
	struct json_object *o = json_object_new_object(), *got = NULL;
	struct json_object *rules = list_of(from, "syscalls"), *to = json_object_new_array();
	for (size_t i = 0; i < countof(keys); i++)
		if (json_object_object_get_ex(from, keys[i], &got) && got)
			json_object_object_add(o, keys[i], json_object_get(got));
	if (!json_object_object_get_ex(o, "architectures", NULL))
		json_object_object_add(o, "architectures",
				       spec_words("SCMP_ARCH_X86_64 SCMP_ARCH_X86 SCMP_ARCH_X32"));
	for (size_t i = 0; rules && i < json_object_array_length(rules); i++) {
		struct json_object *rule = json_object_array_get_idx(rules, i);
		if (json_object_is_type(rule, json_type_object) && rule_counts(h, rule))
			json_object_array_add(to, rule_make(rule));
	}
	json_object_object_add(o, "syscalls", to);
	return o;
}

int spec_profile(struct json_object **ret, const char *path, struct json_object *process,
		 struct lodge_err *e)
{
	struct host h = {.capabilities = NULL};
	struct json_object *caps = NULL, *from = NULL;
	struct utsname u;
	autofree char *text = NULL;
	size_t len;
	int r = file_load(AT_FDCWD, path, PROFILE_MAX, &text, &len, e);
	if (r < 0)
		return err_in(e, r, "--security-opt seccomp=%s", path);
	if (json_object_object_get_ex(process, "capabilities", &caps))
		json_object_object_get_ex(caps, "bounding", &h.capabilities);
	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &h.major, &h.minor) != 2)
		h.major = 5;
	from = json_tokener_parse(text);
	if (!json_object_is_type(from, json_type_object) ||
	    !json_object_object_get_ex(from, "defaultAction", NULL))
		r = err_set(e, EINVAL, "--security-opt seccomp=%s: it is no profile: a JSON object "
			    "with defaultAction", path);
	else
		*ret = profile_make(&h, from);
	json_object_put(from);
	return r;
}
