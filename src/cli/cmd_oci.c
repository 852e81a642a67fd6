/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

const struct command command_oci = {
    .name = "oci",
    .operands = "[OPTION...] COMMAND [ARG...]",
    .summary = "containers of OCI bundles, by runc's command line",
    .text =
	"For engines: podman's --runtime, containerd's BinaryName; they call lodge-oci, which is\n"
	"the same in a program of its own that starts sooner. lodge oci --help lists its commands\n"
	"and lodge oci COMMAND --help their options; lodge-oci(1) has it all.\n",
    .words = lodge_oci,
};
