/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

const char *lodge_version(void) { return "0.1.0"; }
