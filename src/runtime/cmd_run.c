/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/internal.h"

static const struct runtime_option options[] = {
    {"bundle", 'b', RT_TEXT, "folder of the bundle (.)"},
    {"console-socket", 0, RT_TEXT, "socket that takes the master of the terminal"},
    {"pid-file", 0, RT_TEXT, "file for the number of the process"},
    {"no-pivot", 0, RT_FLAG, "do without pivot_root, for a root in the initial memory file system"},
    {"no-new-keyring", 0, RT_FLAG, "keep the session keyring of the caller"},
    {"preserve-fds", 0, RT_NUMBER, "descriptors after standard error that stay open"},
    {"detach", 'd', RT_FLAG, "leave it running"},
    {"keep", 0, RT_FLAG, "do not delete it when it ends"},
    {"no-subreaper", 0, RT_FLAG, "taken for others' sake"},
};

static int run_run(struct runtime_call *c) { return call_create(c, true, call_flag(c, "detach")); }

const struct runtime_command runtime_run = {
    .name = "run",
    .operands = "ID",
    .summary = "make a container and start it; the exit code is its own",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .max = 1,
    .guarded = true,
    .run = run_run,
};
