/* SPDX-License-Identifier: Apache-2.0 */
/* Loading: where firmware, kernel, initrd and device tree go in RAM.
 *
 *   RAM base          firmware (--firmware), or nothing: the built-in SBI lives outside
 *   base + 2 MiB      kernel (Linux images, flat files)     | ELF files go where they say
 *   ...
 *   top               initrd, then the device tree below it
 *
 * Spec: Linux Documentation/arch/riscv/boot; SBI 2.0 §9.1 */
#include "level/machine/internal.h"
#include <fcntl.h>
#include <sys/stat.h>

enum { FDT_MAX = 64 << 10, KERNEL_OFFSET = 2 << 20, DYNAMIC_INFO = 64 };

static uint64_t ram_end(const struct machine *m) { return mem_base(m->mem).a + mem_size(m->mem); }

static int place(struct machine *m, uint64_t at, const void *data, uint64_t len, const char *what,
                 struct lodge_err *e)
{
	if (mem_write(m->mem, gpa(at), data, len))
		return 0;
	return err_set(e, ENOSPC,
		       "%s of %llu bytes does not fit at 0x%llx in %llu MiB of memory: give "
		       "the guest more with -m",
		       what, (unsigned long long)len, (unsigned long long)at,
		       (unsigned long long)(m->ram >> 20));
}

/* Put an image at @at (when it does not say itself where) and give its first and last address. */
static int image_place(struct machine *m, const uint8_t *data, uint64_t len, uint64_t at,
		       const char *what, uint64_t *ret_entry, uint64_t *ret_end,
		       struct lodge_err *e)
{
	struct img_plan p;
	int r = img_plan(&p, data, len, e);
	if (r < 0)
		return err_in(e, r, "%s", what);
	*ret_end = at;
	for (unsigned i = 0; i < p.nsegments; i++) {
		const struct img_segment *s = &p.segments[i];
		uint64_t to = s->at + (p.relative ? at : 0), end;
		if (__builtin_add_overflow(to, s->mem_len, &end) || end > ram_end(m) ||
		    to < mem_base(m->mem).a)
			return err_set(
			    e, ENOSPC,
			    "%s needs memory from 0x%llx to 0x%llx, RAM is 0x%llx to "
			    "0x%llx: give the guest more with -m, or link the image for this "
			    "board",
			    what, (unsigned long long)to, (unsigned long long)(to + s->mem_len),
			    (unsigned long long)mem_base(m->mem).a, (unsigned long long)ram_end(m));
		r = place(m, to, data + s->off, s->file_len, what, e);
		if (r < 0)
			return r;
		if (end > *ret_end)
			*ret_end = end;
	}
	*ret_entry = p.entry + (p.relative ? at : 0);
	return 0;
}

static int image_load(struct machine *m, const char *path, uint64_t at, const char *what,
                      uint64_t *ret_entry, uint64_t *ret_end, struct lodge_err *e)
{
	uint8_t *data = NULL;
	uint64_t len = 0;
	int r = img_read(&data, &len, path, m->ram, e);
	if (r == -E2BIG)
		return err_set(e, ENOSPC,
			       "%s %s does not fit in %llu MiB of memory: give the guest more "
			       "with -m",
			       what, path, (unsigned long long)(m->ram >> 20));
	if (r < 0)
		return err_in(e, r, "%s", what);
	char name[512];
	snprintf(name, sizeof name, "%s %s", what, path);
	r = image_place(m, data, len, at, name, ret_entry, ret_end, e);
	free(data);
	return r;
}

static const char *kernel_path(const struct lodge_config *c)
{
	return c->kernel ? c->kernel : c->guest;
}

static int kernel_load(struct machine *m, uint64_t *ret_entry, uint64_t *ret_end,
		       struct lodge_err *e)
{
	const struct lodge_config *c = m->config;
	uint64_t at = mem_base(m->mem).a + KERNEL_OFFSET;
	if (!c->kernel && c->guest && !strcmp(c->guest, "demo")) {
		uint64_t len;
		const uint8_t *image = demo_image(&len);
		return image_place(m, image, len, at, "demo", ret_entry, ret_end, e);
	}
	if (!kernel_path(c))
		return err_set(e, EINVAL,
			       "nothing to boot: give --kernel FILE, --firmware FILE, an image "
			       "that is a kernel, or a guest's name");
	return image_load(m, kernel_path(c), at, "kernel", ret_entry, ret_end, e);
}

static int file_place(struct machine *m, int fd, uint64_t at, uint64_t len, const char *path,
		      struct lodge_err *e)
{
	uint8_t *data = mem_ptr(m->mem, gpa(at), len);
	if (!data)
		return err_set(e, ENOSPC, "initrd %s does not fit", path);
	for (uint64_t got = 0; got < len;) {
		ssize_t n = read(fd, data + got, len - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? err_sys(e, "reading initrd %s", path)
				     : err_set(e, EIO, "initrd %s became shorter while it was read",
					       path);
		got += (uint64_t)n;
	}
	mem_written(m->mem, gpa(at), len);
	return 0;
}

/* The initrd goes as high as it can, with room for the device tree below. Ours of a root comes
 * behind the file: the kernel takes archives one after the other. */
static int initrd_load(struct machine *m, uint64_t low, struct lodge_err *e)
{
	const char *path = m->config->initrd;
	autofree char *own = NULL;
	size_t own_len = 0;
	struct stat st = {.st_size = 0};
	m->initrd = m->initrd_len = 0;
	int r = m->config->root ? root_initramfs(m, &own, &own_len, e) : 0;
	if (r < 0)
		return r;
	autoclose int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (path && (fd < 0 || fstat(fd, &st) < 0))
		return err_sys(e, "initrd %s", path);
	/* As it is: a packed initrd is the kernel's to unpack. */
	uint64_t file_len = (uint64_t)st.st_size, own_at = align_up(file_len, 4);
	uint64_t len = own ? own_at + own_len : file_len;
	if (len == 0)
		return 0;
	if (len + FDT_MAX + low + MEM_FRAME > ram_end(m))
		return err_set(e, ENOSPC,
			       "initrd %s of %llu MiB does not fit beside the kernel in %llu MiB "
			       "of memory: give the guest more with -m",
			       path ? path : "of the root", (unsigned long long)(len >> 20),
			       (unsigned long long)(m->ram >> 20));
	uint64_t at = (ram_end(m) - len) & ~(uint64_t)(MEM_FRAME - 1);
	if (file_len)
		r = file_place(m, fd, at, file_len, path, e);
	if (r == 0 && own)
		r = place(m, at + own_at, own, own_len, "initramfs", e);
	if (r == 0) {
		m->initrd = at;
		m->initrd_len = len;
	}
	return r;
}

/* What OpenSBI's fw_dynamic finds by a2: where to go on, in S mode. OpenSBI
 * docs/firmware/fw_dynamic */
static void dynamic_info(const struct machine *m, uint8_t *at)
{
	const uint64_t v[] = { 0x4942534f, 2, m->kernel, 1, 0, 0 };
	for (size_t i = 0; i < countof(v); i++)
		le64_put(at + 8 * i, v[i]);
}

static int tree_load(struct machine *m, uint64_t low, struct lodge_err *e)
{
	autofree uint8_t *fdt = calloc(1, FDT_MAX);
	if (!fdt)
		return err_set(e, ENOMEM, "no memory for the device tree");
	int len = fdt_make(m, fdt, FDT_MAX, e);
	if (len < 0)
		return len;
	uint64_t top = m->initrd_len ? m->initrd : ram_end(m);
	/* Linux maps the tree in 2 MiB pieces early; keep it whole inside one. */
	m->dtb = (top - FDT_MAX) & ~(uint64_t)(FDT_MAX - 1);
	if (m->dtb < low)
		return err_set(e, ENOSPC, "no room for the device tree in %llu MiB of memory",
		               (unsigned long long)(m->ram >> 20));
	if (len > FDT_MAX - DYNAMIC_INFO)
		return err_set(e, ENOSPC, "the device tree is too large");
	dynamic_info(m, fdt + FDT_MAX - DYNAMIC_INFO);
	m->dynamic_info = m->dtb + FDT_MAX - DYNAMIC_INFO;
	return place(m, m->dtb, fdt, FDT_MAX, "device tree", e);
}

int boot_load(struct machine *m, struct lodge_err *e)
{
	uint64_t kernel_entry = 0, end = mem_base(m->mem).a;
	const struct lodge_config *c = m->config;
	int r = 0;
	m->kernel = 0;
	if (c->kernel || !c->firmware)
		r = kernel_load(m, &kernel_entry, &end, e);
	if (r < 0)
		return r;
	m->entry = m->kernel = kernel_entry;
	m->kernel_len = kernel_entry ? end - kernel_entry : 0;
	if (c->firmware) {
		uint64_t fw_end;
		r = image_load(m, c->firmware, mem_base(m->mem).a, "firmware", &m->entry, &fw_end,
			       e);
		if (r < 0)
			return r;
		if (kernel_entry && fw_end > kernel_entry && m->entry < kernel_entry)
			return err_set(e, EINVAL, "firmware %s reaches into the kernel",
				       c->firmware);
		if (fw_end > end)
			end = fw_end;
	}
	r = initrd_load(m, end, e);
	return r < 0 ? r : tree_load(m, end, e);
}

int boot_claims(const struct lodge_config *c)
{
	uint8_t head[64];
	if (c->kernel || c->firmware || (c->guest && !c->root && !strcmp(c->guest, "demo")))
		return 100;
	if (!c->guest || c->root)
		return 0;
	autoclose int fd = open(c->guest, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, head, sizeof head);
	if (n > 2 && head[0] == 0x1f && head[1] == 0x8b)
		return 10;
	int sure = n > 0 ? img_bootable(head, (uint64_t)n) : 0;
	return sure == 2 ? 50 : sure;
}
