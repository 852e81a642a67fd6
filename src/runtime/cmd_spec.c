/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/internal.h"
#include <fcntl.h>

static const struct runtime_option options[] = {
    {"bundle", 'b', RT_TEXT, "folder of the bundle (.)"},
    {"rootless", 0, RT_FLAG, "for a user without rights"},
};

static int spec_run(struct runtime_call *c)
{
	const char *bundle = call_text(c, "bundle");
	bool rootless = call_flag(c, "rootless");
	if (bundle && chdir(bundle) < 0)
		return say_text("--bundle %s: %s", bundle, strerror(errno));
	autoclose int fd = open("config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0 && errno == EEXIST)
		return say_text("File config.json exists. Remove it first");
	autofree char *text = oci_default(rootless, geteuid(), getegid());
	if (fd < 0 || !text || !host_pwrite(fd, text, strlen(text), 0))
		return say_text("config.json: %s", strerror(errno));
	return 0;
}

const struct runtime_command runtime_spec = {
    .name = "spec",
    .operands = "",
    .summary = "write a configuration to begin with: config.json",
    .options = options,
    .noptions = countof(options),
    .max = 0,
    .run = spec_run,
};
