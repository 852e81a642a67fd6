/* SPDX-License-Identifier: Apache-2.0 */
/* Which system and processor an image is for, in the words of OCI-Image 1.1 §image-index. */
#include "image/image.h"
#include <ctype.h>
#include <stdio.h>
#include <sys/utsname.h>

/* What uname(2) and people say, and what images do. */
static const struct {
	const char *said, *arch, *variant;
} names[] = {
    {"x86_64", "amd64", ""},        {"x86-64", "amd64", ""}, {"aarch64", "arm64", "v8"},
    {"arm64", "arm64", "v8"},       {"armv7l", "arm", "v7"}, {"armhf", "arm", "v7"},
    {"armv6l", "arm", "v6"},        {"i386", "386", ""},     {"i686", "386", ""},
    {"loongarch64", "loong64", ""},
};

static void arch_set(struct platform *p, const char *said)
{
	snprintf(p->arch, sizeof p->arch, "%.31s", said);
	for (size_t i = 0; i < countof(names); i++) {
		if (strcmp(names[i].said, said))
			continue;
		snprintf(p->arch, sizeof p->arch, "%s", names[i].arch);
		if (!p->variant[0])
			snprintf(p->variant, sizeof p->variant, "%s", names[i].variant);
	}
}

static bool word_good(const char *s)
{
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("._-", *s))
			return false;
	return true;
}

int platform_parse(struct platform *ret, const char *text, struct lodge_err *e)
{
	struct platform p = {.os = "linux"};
	char os[32] = "", arch[32] = "", variant[32] = "";
	int end = 0;
	if (!text) {
		struct utsname u;
		uname(&u);
		arch_set(&p, u.machine);
		*ret = p;
		return 0;
	}
	int n = sscanf(text, "%31[^/]/%31[^/]/%31[^/]%n", os, arch, variant, &end);
	size_t said = strlen(os) + strlen(arch) + strlen(variant) + (size_t)(n > 0 ? n - 1 : 0);
	if (n < 1 || said != strlen(text) || !word_good(os) || !word_good(arch) ||
	    !word_good(variant))
		return err_set(e, EINVAL,
			       "'%.60s' is no platform: OS/ARCH[/VARIANT], as "
			       "linux/riscv64",
			       text);
	if (n == 3)
		strcpy(p.variant, variant);
	if (n >= 2)
		strcpy(p.os, os);
	arch_set(&p, n >= 2 ? arch : os);
	*ret = p;
	return 0;
}

void platform_print(const struct platform *p, char ret[100])
{
	snprintf(ret, 100, "%s/%s%s%s", p->os, p->arch, p->variant[0] ? "/" : "", p->variant);
}

int platform_match(const struct platform *want, const struct platform *has)
{
	if (strcmp(want->os, has->os) || strcmp(want->arch, has->arch))
		return 0;
	if (!strcmp(want->variant, has->variant))
		return 3;
	/* An arm runs what is for earlier ones; who says nothing means the first. */
	if (!want->variant[0] || !has->variant[0])
		return 2;
	return strcmp(has->variant, want->variant) < 0 ? 1 : 0;
}
