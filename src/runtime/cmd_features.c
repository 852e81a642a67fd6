/* SPDX-License-Identifier: Apache-2.0 */
/* What this runtime can do, for engines: OCI-RT 1.2 features.md, features-linux.md */
#include "runtime/internal.h"
#include <json-c/json.h>
#include <seccomp.h>
#include <stdio.h>

static void text_add(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static void words_add(struct json_object *o, const char *key, const char *const *words)
{
	struct json_object *a = json_object_new_array();
	for (size_t i = 0; words[i]; i++)
		json_object_array_add(a, json_object_new_string(words[i]));
	json_object_object_add(o, key, a);
}

static void each_add(struct json_object *o, const char *key, const char *(*at)(size_t i))
{
	struct json_object *a = json_object_new_array();
	for (size_t i = 0; at(i); i++)
		json_object_array_add(a, json_object_new_string(at(i)));
	json_object_object_add(o, key, a);
}

static struct json_object *enabled(bool on)
{
	struct json_object *o = json_object_new_object();
	json_object_object_add(o, "enabled", json_object_new_boolean(on));
	return o;
}

static struct json_object *cgroup_features(void)
{
	static const struct {
		const char *name;
		bool on;
	} rows[] = {{"v1", true}, {"v2", true}, {"systemd", true}, {"systemdUser", true},
	            {"rdma", true}};
	struct json_object *o = json_object_new_object();
	for (size_t i = 0; i < countof(rows); i++)
		json_object_object_add(o, rows[i].name, json_object_new_boolean(rows[i].on));
	return o;
}

static struct json_object *seccomp_features(void)
{
	static const char *const archs[] = {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_MIPS",
		"SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64",
		"SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC", "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE",
		"SCMP_ARCH_RISCV64", "SCMP_ARCH_S390", "SCMP_ARCH_S390X", "SCMP_ARCH_X32",
		"SCMP_ARCH_X86", "SCMP_ARCH_X86_64", NULL};
	struct json_object *o = enabled(true);
	words_add(o, "actions", oci_words_seccomp_actions);
	words_add(o, "operators", oci_words_seccomp_ops);
	words_add(o, "archs", archs);
	each_add(o, "knownFlags", box_profile_flag_at);
	each_add(o, "supportedFlags", box_profile_flag_at);
	return o;
}

static struct json_object *idmap_features(void)
{
	struct json_object *o = json_object_new_object();
	json_object_object_add(o, "idmap", enabled(true));
	return o;
}

static struct json_object *linux_features(void)
{
	struct json_object *o = json_object_new_object();
	words_add(o, "namespaces", oci_words_namespaces);
	each_add(o, "capabilities", box_capability_at);
	json_object_object_add(o, "cgroup", cgroup_features());
	json_object_object_add(o, "seccomp", seccomp_features());
	json_object_object_add(o, "apparmor", enabled(true));
	json_object_object_add(o, "selinux", enabled(true));
	json_object_object_add(o, "intelRdt", enabled(true));
	json_object_object_add(o, "mountExtensions", idmap_features());
	return o;
}

static int features_run(struct runtime_call *c)
{
	static const char *const hooks[] = {"prestart", "createRuntime", "createContainer",
	                                    "startContainer", "poststart", "poststop", NULL};
	struct json_object *o = json_object_new_object(), *more = json_object_new_object();
	char version[32];
	(void)c;
	text_add(o, "ociVersionMin", "1.0.0");
	text_add(o, "ociVersionMax", "1.2.0");
	words_add(o, "hooks", hooks);
	each_add(o, "mountOptions", box_option_at);
	json_object_object_add(o, "linux", linux_features());
	snprintf(version, sizeof version, "%d.%d.%d", SCMP_VER_MAJOR, SCMP_VER_MINOR,
		 SCMP_VER_MICRO);
	text_add(more, "dev.lodge.version", lodge_version());
	text_add(more, "io.github.seccomp.libseccomp.version", version);
	text_add(more, "org.opencontainers.runc.checkpoint.enabled", "false");
	json_object_object_add(o, "annotations", more);
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
	                                           JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	return 0;
}

const struct runtime_command runtime_features = {
    .name = "features",
    .operands = "",
    .summary = "say what this runtime can do",
    .max = 0,
    .run = features_run,
};
