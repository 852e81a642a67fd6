/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz every virtio device as a hostile driver and a hostile host program would. The first byte
 * chooses the class, the second the transport, ring kind and whether the device is set up well
 * before the steps begin. A step is a byte and its operands; everything runs on this thread. */
#include <stdio.h>
#include <stdlib.h>
#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x))                                                                          \
			abort();                                                                   \
	} while (0)
#include "test/virtio_pci_driver.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { STEPS = 256, PLAY = 1 << 16, SOCKETS = 4, QUEUES = 6, RING = 16 };
enum { BY_PCI = 1, PACKED = 2, EVENTS = 4, INDIRECT = 8, RAW = 16 };

struct fuzz {
	struct pci_rig pci;    /* pci.d is the driver, over either transport */
	const uint8_t *p, *end;
	unsigned mode;
	uint64_t play;         /* guest memory that steps write to and chains point to */
	struct chr *chr[2];
	struct virtio_console_backend console;
	const char *class;
	int listener, sock[SOCKETS];
};

static uint32_t fuzz_take(struct fuzz *f, unsigned n)
{
	uint32_t v = 0;
	while (n-- && f->p < f->end)
		v = v << 8 | *f->p++;
	return v;
}

/* Where unix sockets live: one folder for the run of the program. */
static char fuzz_folder[32] = "/tmp/lodge-fuzz-XXXXXX";

static void fuzz_clean(void)
{
	char path[64];
	snprintf(path, sizeof path, "%s/v_1024", fuzz_folder);
	unlink(path);
	rmdir(fuzz_folder);
}

static const char *fuzz_dir(void)
{
	static bool made;
	if (!made)
		CHECK(mkdtemp(fuzz_folder) && atexit(fuzz_clean) == 0);
	made = true;
	return fuzz_folder;
}

static int fuzz_socket(const char *suffix, bool listening)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const struct sockaddr *sa = (const struct sockaddr *)(const void *)&a;
	snprintf(a.sun_path, sizeof a.sun_path, "%s/v%s", fuzz_dir(), suffix);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (listening)
		unlink(a.sun_path);
	if ((listening ? bind(fd, sa, sizeof a) : connect(fd, sa, sizeof a)) < 0) {
		close(fd);
		return -1;
	}
	if (listening)
		CHECK(listen(fd, 16) == 0);
	return fd;
}

static void fuzz_device(struct fuzz *f, const struct virtio_class *c)
{
	struct vdriver *d = &f->pci.d;
	char options[128];
	bool vsock = !strcmp(c->name, "vsock"), console = !strcmp(c->name, "console");
	CHECK(chr_new(&f->chr[0], 64, NULL) == 0 && chr_new(&f->chr[1], 64, NULL) == 0);
	f->console.console = f->chr[0];
	f->console.ports[0].name = f->mode & INDIRECT ? "port" : NULL;
	f->console.ports[0].chr = f->chr[1];
	snprintf(options, sizeof options, "slot=5,packed=on%s%s%s", vsock ? ",cid=3,path=" : "",
	         vsock ? fuzz_dir() : "", vsock ? "/v" : "");
	void *backend = console ? &f->console : NULL;
	f->listener = vsock ? fuzz_socket("_1024", true) : -1;
	if (f->mode & BY_PCI)
		pci_rig_init(&f->pci, c->name, backend, options);
	else
		vd_init(d, c, backend, options, true);
	f->play = vd_alloc(d, PLAY);
	f->class = c->name;
}

static void fuzz_up(struct fuzz *f)
{
	struct vdriver *d = &f->pci.d;
	uint64_t want = (f->mode & PACKED ? VIRTIO_F_RING_PACKED : 0) |
	                (f->mode & EVENTS ? VIRTIO_F_EVENT_IDX : 0) |
	                (f->mode & INDIRECT ? VIRTIO_F_INDIRECT_DESC : 0);
	vd_set(d, 0x14, 0); /* all that the class itself offers */
	if (!vd_negotiate(d, want | (vd_get(d, 0x10) & 0xffffff)))
		return;
	for (unsigned i = 0; i < QUEUES; i++)
		vd_queue_up(d, i, RING);
	vd_go(d);
}

static void fuzz_chain(struct fuzz *f)
{
	struct vdriver *d = &f->pci.d;
	struct vd_seg s[8];
	unsigned how = fuzz_take(f, 1), n = 1 + (how & 7), queue = (how >> 3) % QUEUES;
	if (!d->q[queue].size)
		return;
	for (unsigned i = 0; i < n; i++) {
		uint32_t at = fuzz_take(f, 2), len = fuzz_take(f, 2);
		s[i] = (struct vd_seg){ f->play + at, len & 0x7fff, len & 0x8000 };
		if (at == 0xffff)
			s[i].addr = (uint64_t)fuzz_take(f, 4) << 4;
	}
	vd_add(d, queue, s, n, how & 0x80 && f->mode & INDIRECT ? VD_INDIRECT : 0);
	vd_kick(d, queue);
}

static void fuzz_ram(struct fuzz *f)
{
	struct vdriver *d = &f->pci.d;
	/* The rings lie behind the play area. */
	uint32_t at = fuzz_take(f, 2), n = fuzz_take(f, 1);
	uint8_t *p = vd_ptr(d, f->play + (at & 1 ? PLAY : 0) + at, 256);
	while (n-- && f->p < f->end)
		*p++ = *f->p++;
}

static void fuzz_register(struct fuzz *f)
{
	struct vdriver *d = &f->pci.d;
	uint32_t how = fuzz_take(f, 1), off = fuzz_take(f, 2), val = fuzz_take(f, 4);
	unsigned width = 1u << how % 3;
	uint64_t got;
	if (f->mode & BY_PCI) {
		uint64_t at = how & 8 ? f->pci.config + (off & 0xff & ~(width - 1))
		                      : PCI_RIG_BAR + (off & 0x3fff & ~(width - 1));
		if (how & 4)
			(void)!bus_write(f->pci.bus, gpa(at), width, val);
		else
			(void)!bus_read(f->pci.bus, gpa(at), width, &got);
		pci_cfg_write(&f->pci, 0x10, 4, PCI_RIG_BAR);
		pci_cfg_write(&f->pci, 4, 2, 6);
		return;
	}
	off &= 0x1ff & ~(width - 1);
	if (how & 4)
		d->write(d, off, width, val);
	else
		d->read(d, off, width);
}

/* What the host does: bytes to a console, connections and bytes to vsock, balloon targets. */
static void fuzz_host(struct fuzz *f)
{
	struct virtio *v = virtio_of(f->pci.d.dev);
	uint32_t how = fuzz_take(f, 1), n = how >> 3;
	uint8_t bytes[64];
	int *fd = &f->sock[(how >> 2) % SOCKETS];
	size_t len = 0;
	while (len < n && f->p < f->end)
		bytes[len++] = *f->p++;
	if (!strcmp(f->class, "console")) {
		chr_host_write(f->chr[how & 1], bytes, len);
		if (how & 2)
			chr_host_read(f->chr[how & 1], bytes, sizeof bytes);
		if (how & 4)
			virtio_console_resize(v, how, n);
	} else if (!strcmp(f->class, "balloon")) {
		struct virtio_balloon_stats st;
		virtio_balloon_set(v, (uint64_t)how << 18);
		virtio_balloon_stats(v, &st);
	} else if (!strcmp(f->class, "vsock")) {
		if (*fd < 0)
			*fd = how & 1 ? fuzz_socket("", false) : accept(f->listener, NULL, NULL);
		if (*fd >= 0 && how & 2)
			(void)!send(*fd, "CONNECT 7\n", 10, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (*fd >= 0)
			(void)!send(*fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (*fd >= 0 && how & 1)
			(void)!recv(*fd, bytes, sizeof bytes, MSG_DONTWAIT);
		if (*fd >= 0 && n == 31)
			close(take_fd(fd));
	}
}

/* Save, change some bytes, load. */
static void fuzz_snapshot(struct fuzz *f)
{
	static uint8_t state[1 << 14];
	struct dev *d = f->pci.d.dev;
	size_t n = dev_save(d, state, sizeof state);
	CHECK(n <= sizeof state);
	for (uint32_t i = fuzz_take(f, 1) & 7; i; i--)
		state[fuzz_take(f, 2) % n] = (uint8_t)fuzz_take(f, 1);
	(void)!dev_load(d, state, n);
}

static void fuzz_step(struct fuzz *f)
{
	struct vdriver *d = &f->pci.d;
	switch (fuzz_take(f, 1) % 9) {
	case 0: fuzz_ram(f); break;
	case 1: fuzz_register(f); break;
	case 2: vd_kick(d, fuzz_take(f, 1) % 8); break;
	case 3: vd_set(d, 0x70, 0); break;
	case 4: fuzz_up(f); break;
	case 5:
	case 6: fuzz_chain(f); break;
	case 7: fuzz_host(f); break;
	default: fuzz_snapshot(f); break;
	}
	vd_pump(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const names[] = { "rng", "console", "balloon", "vsock", "blk", "net" };
	if (len < 2)
		return 0;
	struct fuzz f = { .p = data + 2, .end = data + len, .mode = data[1] };
	for (int i = 0; i < SOCKETS; i++)
		f.sock[i] = -1;
	const struct virtio_class *c = virtio_class_find(names[data[0] % countof(names)]);
	if (!c)
		return 0;
	fuzz_device(&f, c);
	if (!(f.mode & RAW))
		fuzz_up(&f);
	for (int i = 0; i < STEPS && f.p < f.end; i++)
		fuzz_step(&f);
	for (int i = 0; i < SOCKETS; i++)
		if (f.sock[i] >= 0)
			close(f.sock[i]);
	vd_fini(&f.pci.d);
	dev_free(f.pci.host);
	bus_free(f.pci.bus);
	chr_free(f.chr[0]);
	chr_free(f.chr[1]);
	if (f.listener >= 0)
		close(f.listener);
	return 0;
}
