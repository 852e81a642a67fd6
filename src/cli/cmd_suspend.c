/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static int suspend_one(struct args *a, struct lodge_guest *g, struct lodge_err *e)
{
	(void)a;
	int r = lodge_suspend(g, e);
	if (r == 0)
		puts(lodge_name(g));
	return r;
}

static int suspend_all(struct args *a) { return for_each_guest(a, suspend_one); }

const struct command command_suspend = {
    .name = "suspend",
    .operands = "NAME...",
    .summary = "write the state of guests to disk, free their memory",
    .text = "lodge resume or lodge start goes on where the guest was, its clock set right when it\n"
	    "has the agent. Until then it takes no memory and no processor. TCP connections of\n"
	    "the user network and vsock connections are reset when the guest goes on.\n"
	    "What it has open in a shared folder is found again by its path; a file that is not\n"
	    "there any more is an error for the program that uses it (ESTALE, EBADF). lodge kill\n"
	    "throws the state away. Of a program of Linux, one process with its threads can be\n"
	    "suspended; what of it cannot be saved (a socket, say) is named, and it goes on.\n",
    .min = 1,
    .completes = "guests",
    .run = suspend_all,
};
