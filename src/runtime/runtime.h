/* SPDX-License-Identifier: Apache-2.0 */
/* runtime: runc's command line, for engines that speak it: podman, containerd, CRI-O. A command is
 * one file cmd_NAME.c and one line in commands.def. It prints, as cli does, and what it prints is
 * what engines look for. */
#pragma once
#include "base/base.h"

/* Do what @argv says; @argv[0] is how we are called. The exit code: 1 for errors, as runc has it;
 * of run and exec that of the program. Thread: the only one of the process. */
int runtime_main(int argc, char **argv);
