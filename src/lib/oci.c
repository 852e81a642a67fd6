/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/lib.h"
#include "runtime/runtime.h"

int lodge_oci(int argc, char **argv) { return runtime_main(argc, argv); }
