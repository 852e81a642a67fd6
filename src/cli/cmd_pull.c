/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static const struct option_row options[] = {
    {"platform", 0, OPT_TEXT, "OS/ARCH", NULL, "of a container image: linux/riscv64 (the host's)",
     true},
    {"as", 0, OPT_TEXT, "NAME", NULL, "what a container image shall be called here", false},
    {"tls-verify", 0, OPT_TEXT, "true|false", "true",
     "false: take any certificate, and http where there is no https", true},
    {"max-unpacked", 0, OPT_SIZE, "SIZE", NULL,
     "what a layer may unpack to (64G, and 200 times its size)", true},
    {"quiet", 'q', OPT_FLAG, NULL, NULL, "no progress", false},
};

static int pull_one(struct args *a, const char *name, struct lodge_pull *how)
{
	struct progress p = {.tty = isatty(2)};
	struct lodge_err e;
	if (!arg_flag(a, "quiet")) {
		how->progress = progress_show;
		how->user = &p;
	}
	int r = lodge_image_pull(name, how, &e);
	progress_end(&p);
	if (r < 0)
		return fail(a, &e);
	if (how->warning[0])
		fprintf(stderr, "lodge: warning: %s: %s\n", how->name, how->warning);
	puts(how->name);
	return 0;
}

static int pull(struct args *a)
{
	int code = 0;
	const char *verify = arg_text(a, "tls-verify");
	if (strcmp(verify, "true") && strcmp(verify, "false"))
		return fail_text(a, "--tls-verify is true or false, not '%s'", verify);
	if (arg_text(a, "as") && a->noperands > 1)
		return fail_text(a, "--as names one image, and %zu are given", a->noperands);
	for (size_t i = 0; i < a->noperands; i++) {
		struct lodge_pull how = {.size = sizeof how,
					 .platform = arg_text(a, "platform"),
					 .as = arg_text(a, "as"),
					 .no_tls_check = !strcmp(verify, "false"),
					 .max_unpacked = arg_number(a, "max-unpacked")};
		int r = pull_one(a, a->operands[i], &how);
		code = r ? r : code;
	}
	return code;
}

const struct command command_pull = {
    .name = "pull",
    .operands = "IMAGE...",
    .summary = "get images",
    .text =
	"IMAGE is debian (Debian 13 for riscv64, also debian:13 or debian:13/riscv64) or\n"
	"debian-small (its kernel and a shell in memory): their packages come from the\n"
	"mirror that this host's apt uses; apt checks their signatures.\n"
	"Or it is a container image: [HOST[:PORT]/]NAME[:TAG][@DIGEST] of a registry, where\n"
	"what the setting registry says (lodge-config(5)) stands before one without a HOST;\n"
	"oci:PATH[:TAG], a folder with an OCI image layout; oci-archive:PATH[:TAG] and\n"
	"docker-archive:PATH[:TAG], files of `docker save` and the like, which may be\n"
	"compressed; or a path with a / in it, which is then looked at. Size and digest of\n"
	"everything are checked. What was broken off goes on from where it was. Registries\n"
	"are spoken to by https, those of this host by http; passwords are those of `podman\n"
	"login` and `docker login`: $REGISTRY_AUTH_FILE, then containers/auth.json in\n"
	"$XDG_RUNTIME_DIR and ~/.config, then ~/.docker/config.json.\n",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .completes = "images",
    .run = pull,
};
