/* SPDX-License-Identifier: Apache-2.0 */
/* A memory file whose size is sealed, so that no holder of the descriptor can take pages away
 * beneath a mapping (which would be SIGBUS in the keeper). */
#include "host/host.h"
#include <fcntl.h>
#include <sys/mman.h>

int host_memfd_new(int *ret_fd, const char *name, uint64_t bytes, struct lodge_err *e)
{
	autoclose int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_sys(e, "making a memory file");
	if (bytes > INT64_MAX)
		return err_set(e, EINVAL, "a memory file of %llu bytes", (unsigned long long)bytes);
	if (ftruncate(fd, (off_t)bytes) < 0)
		return err_sys(e, "sizing a memory file to %llu bytes", (unsigned long long)bytes);
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_sys(e, "sealing a memory file");
	*ret_fd = take_fd(&fd);
	return 0;
}
