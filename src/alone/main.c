/* SPDX-License-Identifier: Apache-2.0 */
/* lodge-oci: the runtime of containers alone, static: it starts in a fraction of the time that a
 * linker would take, and runs in a container's namespaces without looking for anything there. */
#include "runtime/runtime.h"
#include <signal.h>

int main(int argc, char **argv)
{
	signal(SIGCHLD, SIG_DFL); /* as in cli/main.c */
	return runtime_main(argc, argv);
}
