/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of riscv64 Linux in a container: the process level becomes the program, and execve
 * inside goes on with it. Its interpreter is a static file of ours beside the runtime; the
 * container gets a sealed copy in memory, so neither has it to be in the image, nor can the host's
 * file be reached by /proc/PID/exe. Elf64_Ehdr: System V ABI; what a script names is looked at in
 * its place. */
#include "level/container/internal.h"
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

enum { SCRIPTS = 4, LINE = 256, HEADERS = 64 };
enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };
#ifdef __riscv
enum { FOREIGN = EM_NONE };
#else
enum { FOREIGN = EM_RISCV };
#endif

int foreign_open(const char *runtime)
{
	char path[PATH_MAX];
	const char *slash = runtime ? strrchr(runtime, '/') : NULL;
	if (!slash || snprintf(path, sizeof path, "%.*s/lodge-riscv64", (int)(slash - runtime),
	                       runtime) >= (int)sizeof path)
		return -1;
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* "#!INTERPRETER [ARG]": its name goes to @path. */
static bool script_read(const char *head, size_t n, char path[PATH_MAX])
{
	if (n < 4 || head[0] != '#' || head[1] != '!')
		return false;
	const char *from = head + 2 + strspn(head + 2, " \t");
	size_t len = strcspn(from, " \t\n");
	if (!len || from + len >= head + n)
		return false;
	memcpy(path, from, len);
	path[len] = 0;
	return true;
}

bool foreign_is(const char *program)
{
	char path[PATH_MAX];
	if (strlen(program) >= sizeof path)
		return false;
	memcpy(path, program, strlen(program) + 1);
	for (int i = 0; i < SCRIPTS; i++) {
		char head[LINE + 1] = "";
		autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		ssize_t n = fd < 0 ? -1 : pread(fd, head, LINE, 0);
		const uint8_t *e = (const uint8_t *)head;
		if (n >= (ssize_t)sizeof(Elf64_Ehdr) && !memcmp(head, ELFMAG, SELFMAG))
			return e[EI_CLASS] == ELFCLASS64 && e[EI_DATA] == ELFDATA2LSB &&
			       le16_at(e + offsetof(Elf64_Ehdr, e_machine)) == FOREIGN;
		if (n <= 0 || !script_read(head, (size_t)n, path))
			return false;
	}
	return false;
}

/* Where what is loaded ends: what is for debuggers stays outside. */
static off_t loaded_end(int fd)
{
	Elf64_Ehdr e;
	Elf64_Phdr p[HEADERS];
	uint64_t end = 0;
	if (!host_pread(fd, &e, sizeof e, 0) || e.e_phnum > HEADERS || e.e_phentsize != sizeof *p ||
	    !host_pread(fd, p, e.e_phnum * sizeof *p, e.e_phoff))
		return -1;
	for (unsigned i = 0; i < e.e_phnum; i++)
		if (p[i].p_type == PT_LOAD && p[i].p_offset + p[i].p_filesz > end)
			end = p[i].p_offset + p[i].p_filesz;
	return (off_t)end;
}

int foreign_seal(int from, struct lodge_err *e)
{
	off_t left = loaded_end(from);
	autoclose int fd = (int)memfd_create("lodge-riscv64", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (left <= 0 || fd < 0 || lseek(from, 0, SEEK_SET) < 0)
		return err_sys(e, "a copy of lodge-riscv64");
	while (left > 0) {
		ssize_t n = sendfile(fd, from, NULL, (size_t)left);
		if (n <= 0)
			return err_sys(e, "a copy of lodge-riscv64");
		left -= n;
	}
	if (fchmod(fd, 0755) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return err_sys(e, "a copy of lodge-riscv64");
	return take_fd(&fd);
}

int foreign_level(const struct oci_spec *s, bool *ret_plain, struct lodge_err *e)
{
	const char *level = oci_annotation(s, "dev.lodge.level");
	/* A machine's program is one of the host's by now: runtime/machine.c has seen to that. */
	*ret_plain = level && (!strcmp(level, "container") || !strcmp(level, "machine"));
	if (!level || *ret_plain || !strcmp(level, "process"))
		return 0;
	return err_set(e, ENOTSUP,
		       ".annotations: dev.lodge.level: '%.40s': container, process or "
		       "machine",
		       level);
}
