/* SPDX-License-Identifier: Apache-2.0 */
/* lodge-agent as the first process of a machine whose root is a folder of the host: loads modules,
 * mounts the root, makes it /, and runs one program in it; the machine is powered off with the
 * exit code of that. What to do is in the initramfs that Lodge makes at each boot:
 *   /lodge.boot      words "key=value", each ended by NUL
 *   /lodge.exec      EXEC's payload of the program; none: the host sends it, on the connection
 *                    that we make to its port AGENT_FIRST_PORT
 *   /lodge.modules/  1* always, 2* for the network, 3* when the program runs already; by name
 * PROTOCOL.md, "Of its own". */
#define _GNU_SOURCE
#include "agent.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <net/route.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include <linux/vm_sockets.h> /* needs sys/socket.h before it */

enum {
	WORDS = 64 << 10,
	FAREWELL_MS = 2000, /* for the host to say that it has heard how the program ended */
	STOP_MS = 5000,     /* from SIGTERM to the end, when the guest itself asks for that */
	NEVER_RAN = 125,
};

struct boot {
	char *words; /* owned; "key=value\0key=value\0\0" */
	int console;
	char broken[256];
	bool plain;  /* a folder of one user's: /tmp and /run are ours to mount */
	struct session *link;
	bool linked, ended, reboot;
	int code;
	int64_t end_at; /* ms; 0: no */
	volatile uint32_t *finisher; /* mapped at the beginning: the program may change /dev */
};

/* ---- what to do ---- */

static char *file_read(const char *path, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *buf = fd < 0 ? NULL : calloc(1, WORDS + AGENT_PAYLOAD_MAX + 2);
	size_t len = 0;
	ssize_t n;
	while (buf && (n = read(fd, buf + len, WORDS + AGENT_PAYLOAD_MAX - len)) > 0)
		len += (size_t)n;
	if (fd >= 0)
		close(fd);
	*ret_len = len;
	return buf;
}

/* The value of the @n-th word with this key; NULL: there is none. */
static const char *word(const struct boot *b, const char *key, unsigned n)
{
	size_t len = strlen(key);
	for (const char *p = b->words; *p; p += strlen(p) + 1)
		if (!strncmp(p, key, len) && p[len] == '=' && n-- == 0)
			return p + len + 1;
	return NULL;
}

__attribute__((format(printf, 2, 3))) static void broken(struct boot *b, const char *fmt, ...)
{
	va_list ap;
	if (b->broken[0])
		return; /* the first reason is the one */
	va_start(ap, fmt);
	vsnprintf(b->broken, sizeof(b->broken), fmt, ap);
	va_end(ap);
}

/* ---- modules ---- */

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

/* A kernel of the user's has its drivers inside and refuses these: nothing to say then. */
static void modules_load(char class)
{
	char names[32][64], path[96];
	size_t n = 0;
	DIR *dir = opendir("/lodge.modules");
	for (struct dirent *e; dir && n < 32 && (e = readdir(dir));)
		if (e->d_name[0] == class)
			snprintf(names[n++], sizeof(names[0]), "%.63s", e->d_name);
	if (dir)
		closedir(dir);
	qsort(names, n, sizeof(names[0]), by_name);
	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/lodge.modules/%.63s", names[i]);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		syscall(SYS_finit_module, fd, "", 0);
		close(fd);
		unlink(path);
	}
}

/* ---- file systems ---- */

static bool folder_make(struct boot *b, const char *path)
{
	struct stat st;
	if (stat(path, &st) == 0 || (mkdir(path, 0755) == 0))
		return true;
	if (errno == EROFS)
		broken(b, "the root has no folder %s, and cannot be written to make it", path);
	else
		broken(b, "the root has no folder %s, and it cannot be made: %s", path,
		       strerror(errno));
	return false;
}

static void place(struct boot *b, const char *path, const char *type, unsigned long flags,
		  const char *options)
{
	if (folder_make(b, path) && mount(type, path, type, flags, options))
		broken(b, "%s cannot be mounted: %s", path, strerror(errno));
}

/* Folders of memory in the root; one that cannot be written and has none does without. */
static void place_memory(const char *path, const char *options)
{
	struct stat st;
	if (stat(path, &st) == 0 || mkdir(path, 0755) == 0)
		mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options);
}

static void system_mounts(struct boot *b)
{
	place(b, "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	place(b, "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	place(b, "/dev", "devtmpfs", MS_NOSUID, "mode=755");
	if (b->broken[0])
		return;
	place(b, "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=620,gid=5,ptmxmode=666");
	place(b, "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
	static const char *const links[][2] = {{"/proc/self/fd", "/dev/fd"},
					       {"/proc/self/fd/0", "/dev/stdin"},
					       {"/proc/self/fd/1", "/dev/stdout"},
					       {"/proc/self/fd/2", "/dev/stderr"}};
	for (unsigned i = 0; i < 4; i++)
		if (symlink(links[i][0], links[i][1]))
			errno = 0; /* somebody has it there already */
	if (!b->plain)
		return;
	place_memory("/run", "mode=755");
	place_memory("/tmp", "mode=1777");
}

/* The folder of the host becomes /. */
static void root_enter(struct boot *b)
{
	const char *tag = word(b, "root", 0);
	unsigned long flags = word(b, "readonly", 0) ? MS_RDONLY : 0;
	mkdir("/root", 0755);
	if (mount(tag, "/root", "virtiofs", flags, NULL)) {
		broken(b, "the root cannot be mounted: %s%s", strerror(errno),
		       errno == ENODEV ? " (the kernel has no virtiofs)" : "");
		return;
	}
	if (chdir("/root") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		broken(b, "the root cannot be entered: %s", strerror(errno));
}

/* With the folders that lead to it. */
static bool target_make(struct boot *b, const char *path)
{
	char part[PATH_MAX];
	for (const char *p = path + 1; p[-1]; p++) {
		p += strcspn(p, "/");
		snprintf(part, sizeof(part), "%.*s", (int)(p - path), path);
		if (!folder_make(b, part))
			return false;
		if (!*p)
			break;
	}
	return true;
}

/* "TAG:ro|rw:TARGET" */
static void volumes_mount(struct boot *b)
{
	const char *v;
	for (unsigned i = 0; (v = word(b, "mount", i)) && !b->broken[0]; i++) {
		char tag[40];
		const char *rest = strchr(v, ':');
		snprintf(tag, sizeof(tag), "%.*s", (int)(rest - v), v);
		unsigned long flags = rest[2] == 'o' ? MS_RDONLY : 0;
		const char *target = rest + 4;
		if (target_make(b, target) && mount(tag, target, "virtiofs", flags, NULL))
			broken(b, "the shared folder %s cannot be mounted: %s", target,
			       strerror(errno));
	}
}

/* ---- network ---- */

static bool address(struct sockaddr *a, const char *text)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	bool good = inet_pton(AF_INET, text, &in.sin_addr) == 1;
	memcpy(a, &in, sizeof(in));
	return good;
}

static void interface_up(int fd, const char *name)
{
	struct ifreq r = {0};
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (ioctl(fd, SIOCGIFFLAGS, &r) == 0) {
		r.ifr_flags |= IFF_UP;
		ioctl(fd, SIOCSIFFLAGS, &r);
	}
}

/* Where names are asked for. A link leads to a file that a daemon of a whole system would write; a
 * file of the root is covered, not changed. */
static void names_set(const char *server)
{
	static const char at[] = "/etc/resolv.conf", ours[] = "/dev/.resolv.conf";
	char to[PATH_MAX], *path = to;
	FILE *f = fopen(ours, "we");
	if (!f)
		return;
	fprintf(f, "nameserver %s\n", server);
	fclose(f);
	chmod(ours, 0644);
	ssize_t n = readlink(at, to, sizeof(to) - 1);
	if (n > 0) {
		to[n] = 0;
		while (!strncmp(path, "../", 3))
			path += 3;
		char full[PATH_MAX + 1];
		snprintf(full, sizeof(full), "%s%s", *path == '/' ? "" : "/", path);
		if (strncmp(full, "/run/", 5))
			return; /* wherever that is, it is the root's own */
		for (char *s = full + 5; (s = strchr(s, '/')); *s++ = '/') {
			*s = 0;
			mkdir(full, 0755);
		}
		if (symlink(ours, full))
			return;
		return;
	}
	int fd = open(at, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd >= 0)
		close(fd);
	mount(ours, at, NULL, MS_BIND, NULL);
}

static void network_set(const struct boot *b)
{
	const char *ip = word(b, "ip", 0), *mask = word(b, "mask", 0),
		   *gateway = word(b, "gateway", 0);
	struct ifreq r = {.ifr_name = "eth0"};
	struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	interface_up(fd, "lo");
	if (ip && mask && gateway && address(&r.ifr_addr, ip) &&
	    ioctl(fd, SIOCSIFADDR, &r) == 0 && address(&r.ifr_netmask, mask) &&
	    ioctl(fd, SIOCSIFNETMASK, &r) == 0) {
		interface_up(fd, "eth0");
		address(&route.rt_dst, "0.0.0.0");
		address(&route.rt_genmask, "0.0.0.0");
		if (address(&route.rt_gateway, gateway))
			ioctl(fd, SIOCADDRT, &route);
	}
	close(fd);
}

/* ---- the end ---- */

/* sifive,test1 takes an exit code, which the kernel's power-off cannot tell. */
static uint64_t finisher_find(void)
{
	static const char base[] = "/proc/device-tree/soc";
	uint8_t reg[8];
	uint64_t ret = 0;
	DIR *dir = opendir(base);
	for (struct dirent *e; dir && !ret && (e = readdir(dir));) {
		char path[320];
		if (strncmp(e->d_name, "test@", 5))
			continue;
		snprintf(path, sizeof(path), "%s/%s/reg", base, e->d_name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		bool whole = read(fd, reg, sizeof(reg)) == (ssize_t)sizeof(reg);
		for (unsigned k = 0; whole && k < sizeof(reg); k++)
			ret = ret << 8 | reg[k];
		close(fd);
	}
	if (dir)
		closedir(dir);
	return ret;
}

static volatile uint32_t *finisher_map(uint64_t at)
{
	int fd = at ? open("/dev/mem", O_RDWR | O_SYNC | O_CLOEXEC) : -1;
	void *p = fd < 0 ? MAP_FAILED
			 : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)at);
	if (fd >= 0)
		close(fd);
	return p == MAP_FAILED ? NULL : p;
}

static void machine_end(const struct boot *b)
{
	if (b->console >= 0)
		tcdrain(b->console);
	sync();
	if (b->finisher)
		*b->finisher = b->reboot     ? 0x7777u
			       : b->code ? (uint32_t)b->code << 16 | 0x3333u
					 : 0x5555u;
	reboot(b->reboot ? RB_AUTOBOOT : RB_POWER_OFF);
}

void boot_ended(struct boot *b, int code)
{
	b->ended = true;
	b->code = code;
	b->end_at = now_ms() + FAREWELL_MS;
}

const char *boot_broken(const struct boot *b) { return b && b->broken[0] ? b->broken : NULL; }
int boot_console(const struct boot *b) { return b->console; }
bool boot_ends(const struct boot *b) { return b->end_at != 0; }

void boot_ask(struct agent *a, bool reboot)
{
	struct task *t = task_first(a);
	a->boot->reboot = reboot;
	a->boot->end_at = now_ms() + STOP_MS;
	if (t && !t->exited) {
		kill(-t->pid, SIGTERM);
		a->boot->code = 128 + SIGKILL; /* unless it ends by itself */
	} else {
		a->boot->ended = true;
	}
}

void boot_tick(struct agent *a)
{
	struct boot *b = a->boot;
	bool alone = !b->linked || !b->link->used || !b->link->link;
	if (b->end_at && now_ms() >= b->end_at)
		machine_end(b);
	/* Without a first program it is over as well: the host did not give one, or not a good one. */
	if (alone && !task_first(a))
		machine_end(b);
}

/* ---- the beginning ---- */

static int console_open(void)
{
	char name[64] = "", path[96];
	FILE *f = fopen("/sys/class/tty/console/active", "re");
	if (f && !fgets(name, sizeof(name), f))
		name[0] = 0;
	if (f)
		fclose(f);
	name[strcspn(name, "\n")] = 0;
	const char *last = strrchr(name, ' ');
	snprintf(path, sizeof(path), "/dev/%s", last ? last + 1 : *name ? name : "console");
	return open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

/* Modules that nobody waits for, by a child that takes what time is left. */
static void late_modules(int dir)
{
	pid_t pid = fork();
	if (pid)
		return;
	setpriority(PRIO_PROCESS, 0, 19);
	if (fchdir(dir) == 0 && chroot(".") == 0)
		modules_load('3');
	_exit(0);
}

static void link_open(struct agent *a, struct boot *b)
{
	struct sockaddr_vm at = {.svm_family = AF_VSOCK, .svm_port = AGENT_FIRST_PORT,
				 .svm_cid = VMADDR_CID_HOST};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	b->linked = true;
	b->link = a->sessions;
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at))) {
		if (b->console >= 0)
			dprintf(b->console, "lodge: the host is not there: %s\n", strerror(errno));
		if (fd >= 0)
			close(fd);
		return;
	}
	fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
	b->link = session_new(a, fd, fd, false);
	if (b->link)
		b->link->link = true;
	else
		b->link = a->sessions;
}

static void program_start(struct agent *a, struct boot *b, const uint8_t *exec, size_t len)
{
	int code = NEVER_RAN;
	if (b->broken[0])
		dprintf(b->console, "lodge: %s\n", b->broken);
	else
		code = task_console(a, exec, len, fcntl(b->console, F_DUPFD_CLOEXEC, 3));
	if (code)
		boot_ended(b, code == ENOENT ? 127 : code == EACCES || code == ENOEXEC ? 126
									  : NEVER_RAN);
}

struct boot *boot_begin(struct agent *a)
{
	size_t len, exec_len;
	char *words = file_read("/lodge.boot", &len);
	if (!words)
		return NULL;
	char *exec = file_read("/lodge.exec", &exec_len);
	struct boot *b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	*b = (struct boot){.words = words, .console = -1, .code = NEVER_RAN};
	b->plain = word(b, "plain", 0);
	a->boot = b;
	modules_load('1');
	if (word(b, "ip", 0))
		modules_load('2');
	int initramfs = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	root_enter(b);
	if (!b->broken[0])
		system_mounts(b);
	if (!b->broken[0])
		volumes_mount(b);
	b->console = console_open();
	b->finisher = finisher_map(finisher_find());
	if (sethostname(word(b, "hostname", 0) ? word(b, "hostname", 0) : "lodge",
			strlen(word(b, "hostname", 0) ? word(b, "hostname", 0) : "lodge")))
		errno = 0; /* it has the kernel's then */
	network_set(b);
	if (word(b, "dns", 0) && !b->broken[0])
		names_set(word(b, "dns", 0));
	if (exec)
		program_start(a, b, (uint8_t *)exec, exec_len);
	else
		link_open(a, b);
	free(exec);
	if (initramfs >= 0) {
		late_modules(initramfs);
		close(initramfs);
	}
	return b;
}
