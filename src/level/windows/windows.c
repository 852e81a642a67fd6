/* SPDX-License-Identifier: Apache-2.0 */
/* The level: this process becomes a console program of 64-bit Windows. What it sees of files are
 * drives, folders of a root that is its own; it is confined before the first of its instructions.
 */
#include "box/box.h"
#include "level/windows/internal.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <link.h>
#include <locale.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

enum { DRIVES_MAX = 26, HEAD = 4096 };

/* What is bound where in the box, and what the guest calls it. */
struct plan {
	struct box_bind binds[DRIVES_MAX + 64];
	size_t nbinds;
	struct win_drive drives[DRIVES_MAX];
	size_t ndrives;
	char *program, *cwd; /* the guest's; for good */
};

static char *text(const char *fmt, ...) PRINTF(1, 2);
static char *text(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return s;
}

/* Slashes as the guest writes them. */
static char *guest_text(const char *letter, const char *rest)
{
	char *s = text("%s\\%s", letter, rest);
	for (char *p = s; p && *p; p++)
		if (*p == '/')
			*p = '\\';
	return s;
}

static void drive_add(struct plan *p, char letter)
{
	for (size_t i = 0; i < p->ndrives; i++)
		if (p->drives[i].letter == letter)
			return;
	p->drives[p->ndrives++] = (struct win_drive){letter, text("/%c", letter | 32)};
}

/* "SRC:C:\work[:ro]": where of the box DST is. */
static int volume_add(struct plan *p, const char *spec, struct lodge_err *e)
{
	const char *colon = strchr(spec, ':'), *dst = colon ? colon + 1 : "";
	char letter = (char)(dst[0] & ~32);
	const char *rest = dst[0] && dst[1] == ':' ? dst + 2 : NULL;
	const char *end = rest ? strchrnul(rest, ':') : NULL;
	if (!rest || colon == spec || letter < 'A' || letter > 'Z' || !strchr("\\/:", *rest) ||
	    (*end && strcmp(end, ":ro") && strcmp(end, ":rw")))
		return err_set(e, EINVAL,
			       "--volume %s: for a Windows program write SRC:C:\\FOLDER or "
			       "SRC:D:\\, and :ro behind it",
			       spec);
	if (p->nbinds + 4 > countof(p->binds)) /* one and three of ours */
		return err_set(e, E2BIG, "--volume: too many");
	char *target = text("/%c%s%.*s", letter | 32, *rest == '\\' || *rest == '/' ? "" : "/",
			    (int)(end - rest), rest);
	for (char *c = target; c && *c; c++)
		if (*c == '\\')
			*c = '/';
	drive_add(p, letter);
	p->binds[p->nbinds++] =
	    (struct box_bind){life_volume_source(spec), target, !strcmp(end, ":ro")};
	return target ? 0 : err_set(e, ENOMEM, "out of memory");
}

/* Is @path below @folder? What is left of it then. */
static const char *below(const char *path, const char *folder)
{
	size_t n = strlen(folder);
	if (strncmp(path, folder, n) != 0 || (n > 1 && path[n] && path[n] != '/'))
		return NULL;
	return path + n + (path[n] == '/');
}

/* Where the guest finds its program: in a folder that it has, or in C:\App, to be read only. */
static int program_place(struct plan *p, const char *program, const char *here, bool isolated,
			 struct lodge_err *e)
{
	const char *base = strrchr(program, '/') + 1, *rest = here ? below(program, here) : NULL;
	for (size_t i = 0; i < p->nbinds && !p->program && !here; i++) {
		autofree char *real = realpath(p->binds[i].source, NULL);
		const char *in = real ? below(program, real) : NULL;
		const char *target = p->binds[i].target;
		if (in)
			p->program = guest_text((const char[]){(char)(target[1] & ~32), ':', 0},
						text("%s%s%s", target + 2 + (target[2] == '/'),
						     target[2] && target[3] ? "/" : "", in));
	}
	if (p->program)
		return 0;
	if (rest) {
		p->program = guest_text("D:", rest);
		return p->program ? 0 : err_set(e, ENOMEM, "out of memory");
	}
	char *folder = strndup(program, (size_t)(base - program - (base - program > 1)));
	p->program = guest_text("C:\\App", base);
	p->binds[p->nbinds++] =
	    isolated ? (struct box_bind){strdup(program), text("/c/App/%s", base), true}
		     : (struct box_bind){folder, "/c/App", true};
	return p->program ? 0 : err_set(e, ENOMEM, "out of memory");
}

static int is_libc(struct dl_phdr_info *l, size_t size, void *ret)
{
	const char *slash = strrchr(l->dlpi_name, '/');
	(void)size;
	if (!slash || strcmp(slash, "/libc.so.6") != 0)
		return 0;
	*(char **)ret = text("%.*s/libm.so.6", (int)(slash - l->dlpi_name), l->dlpi_name);
	return 1;
}

/* The host's mathematics, beside its C library, where no drive is. */
static int libm_add(struct plan *p, struct lodge_err *e)
{
	char *path = NULL;
	if (!dl_iterate_phdr(is_libc, &path) || !path)
		return err_set(e, ENOENT,
			       "libm.so.6 is not to be found: install the package libc6");
	p->binds[p->nbinds++] = (struct box_bind){path, WIN_LIBM, true};
	return 0;
}

/* Without --isolate and -v, the caller's folder is D: and where the program begins. */
static int plan_make(struct plan *p, const struct lodge_config *c, const char *program,
		     struct lodge_err *e)
{
	bool isolated = c->flags & LODGE_ISOLATE, own = !isolated && !c->nvolumes;
	int r = 0;
	drive_add(p, 'C');
	autofree char *here = own ? getcwd(NULL, 0) : NULL;
	if (own && !here)
		return err_sys(e, "the current folder");
	if (own) {
		p->binds[p->nbinds++] = (struct box_bind){strdup(here), "/d", false};
		drive_add(p, 'D');
	}
	for (size_t i = 0; r == 0 && i < c->nvolumes; i++)
		r = volume_add(p, c->volumes[i], e);
	if (r == 0)
		r = program_place(p, program, here, isolated, e);
	if (r == 0)
		r = libm_add(p, e);
	p->cwd = strdup(c->cwd ? c->cwd : own ? "D:\\" : "C:\\");
	return r;
}

/* Certificates that the host trusts, for a program that can ask for them. A host without any has
 * none to give. */
static void roots_place(struct plan *p, const struct pe *head, const uint8_t *file, uint64_t len)
{
	char *real = pe_file_imports(head, file, len, "crypt32.dll")
			 ? realpath("/etc/ssl/certs/ca-certificates.crt", NULL)
			 : NULL;
	if (real && p->nbinds < countof(p->binds))
		p->binds[p->nbinds++] =
		    (struct box_bind){real, strdup("/c/Windows/System32/" WIN_ROOTS), true};
}

bool windows_networked(const struct lodge_config *c)
{
	return c->net && !strcmp(c->net, "user");
}

int windows_check(const struct lodge_config *c, struct lodge_err *e)
{
	bool user = windows_networked(c);
	if (c->net && !user && strcmp(c->net, "none") != 0)
		return err_set(e, EINVAL, "--net %s: a Windows program has user, or none: its own "
			       "loopback alone", c->net);
	if (c->npublish && !user)
		return err_set(e, EINVAL, "a Windows program has no network unless it is asked "
			       "for: --net user publishes ports");
	return 0;
}

static uint32_t ipv4(const char *text)
{
	struct in_addr a = {0};
	(void)inet_pton(AF_INET, text, &a);
	return ntohl(a.s_addr);
}

static const struct win_network *network_tell(void)
{
	static struct win_network n;
	n = (struct win_network){.interface = UPLINK_TAP,
				 .address = ipv4(UPLINK_ADDRESS),
				 .gateway = ipv4(UPLINK_GATEWAY),
				 .resolver = ipv4(UPLINK_RESOLVER),
				 .prefix = UPLINK_PREFIX};
	return &n;
}

static int file_map(const char *path, const uint8_t **ret, uint64_t *ret_len, struct lodge_err *e)
{
	struct stat st;
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "%s", path);
	if (!S_ISREG(st.st_mode) || !st.st_size)
		return err_set(e, ENOEXEC, "%s: this is no Windows program", path);
	void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return err_sys(e, "%s", path);
	*ret = p;
	*ret_len = (uint64_t)st.st_size;
	return 0;
}

int windows_open(const char *path, const uint8_t **ret_file, uint64_t *ret_len, struct pe *ret_head,
		 struct lodge_err *e)
{
	int r = file_map(path, ret_file, ret_len, e);
	if (r < 0)
		return r;
	r = pe_read(ret_head, *ret_file, *ret_len, e);
	if (r == 0)
		r = pe_runnable(ret_head, e);
	if (r < 0 && e)
		e->code = ENOEXEC; /* it is there, and cannot be run */
	return r < 0 ? (err_in(e, r, "%s", path), -ENOEXEC) : 0;
}

/* What is looked up on the host, where it still can be. */
static void host_look(void)
{
	tzset();
	(void)!setlocale(LC_CTYPE, "C.UTF-8");
}

/* ---- saying that it is about to run ---- */

enum { REPORT_FD = 4 }; /* in the box */
static int report_fd = -1; /* of the first process of a guest; those that it starts say nothing */

void windows_report(int result, const struct lodge_err *e)
{
	struct word w = {.what = WORD_READY, .value = result};
	if (report_fd < 0)
		return;
	if (e)
		w.err = *e;
	(void)!host_packet_send(report_fd, &w, sizeof w, -1);
	close(report_fd);
	report_fd = -1;
}

static void on_ready(void) { windows_report(0, NULL); }

int windows_become(const struct lodge_config *c, const struct windows_surroundings *around,
		   struct lodge_err *e)
{
	static struct plan p;
	static struct win_start s; /* for good: the process is the guest */
	struct pe head = {0};
	bool cache = false;
	report_fd = around->report;
	int r = windows_check(c, e);
	if (r == 0)
		r = life_kept_wanted(c, &cache, e);
	autofree char *program = r == 0 ? realpath(c->guest, NULL) : NULL;
	if (r == 0 && !program)
		r = err_sys(e, "%s", c->guest);
	s.batch = r == 0 && win_is_batch(program);
	if (r == 0 && !s.batch)
		r = windows_open(program, &s.file, &s.file_len, &head, e);
	if (r == 0)
		r = plan_make(&p, c, program, e);
	if (r == 0 && !s.batch)
		roots_place(&p, &head, s.file, s.file_len);
	if (r == 0 && !s.batch && cache)
		image_cache_map(&s.image, program, &head, s.file, s.file_len);
	bool connects = around->network || s.batch || win_may_connect(&head, s.file, s.file_len);
	int null = r == 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
	const int keep[] = {null, null < 0 ? -1 : report_fd};
	const struct box_alone b = {
	    .keep = keep,
	    .n_keep = countof(keep),
	    .binds = p.binds,
	    .n_binds = p.nbinds,
	    .folders = "c\0c/Temp\0c/Windows\0c/Windows/System32\0c/Users\0c/Users/lodge\0"
		       "c/Users/lodge/AppData\0c/Users/lodge/AppData/Local\0"
		       "c/Users/lodge/AppData/Roaming\0",
	    .code_from = WIN_GUEST_END,
	    .forks = true,
	    .sockets = connects,
	    .networked = around->network,
	    .meanwhile = host_look};
	if (r == 0)
		r = box_enter_alone(&b, e);
	if (r < 0)
		return r;
	if (report_fd >= 0)
		report_fd = keep[1] >= 0 ? REPORT_FD : -1;
	s.drives = p.drives;
	s.ndrives = p.ndrives;
	s.program = p.program;
	s.cwd = p.cwd;
	s.argv = c->argv;
	s.argc = c->argc;
	s.env = c->env;
	s.nenv = c->nenv;
	s.null_fd = null < 0 ? -1 : 3;
	s.network = around->network ? network_tell() : NULL;
	s.ready = around->report >= 0 ? on_ready : NULL;
	return win_run(&s, e);
}

static int become(const struct lodge_config *c, struct lodge_err *e)
{
	const struct windows_surroundings none = {.report = -1};
	return family_wanted(c) ? family_become(c, e) : windows_become(c, &none, e);
}

/* A PE file is nobody else's, also one that will be refused: this level knows why. */
static int claims(const struct lodge_config *c)
{
	uint8_t head[HEAD];
	if (!c->guest || c->kernel || c->firmware || c->root)
		return 0;
	if (win_is_batch(c->guest) && access(c->guest, F_OK) == 0)
		return LEVEL_CERTAIN;
	autoclose int fd = open(c->guest, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : pread(fd, head, sizeof head, 0);
	size_t len = strlen(c->guest);
	/* one whose headers are damaged goes by its name */
	bool named = n > 1 && !memcmp(head, "MZ", 2) && len > 4 &&
		     !strcasecmp(c->guest + len - 4, ".exe");
	return named || (n > 0 && pe_claims(head, (uint64_t)n)) ? LEVEL_CERTAIN : 0;
}

extern const struct level level_windows;
const struct level level_windows = {
    .name = "windows",
    .summary = "a console program of 64-bit Windows, its functions those of Lodge",
    .claims = claims,
    .become = become,
    .explain = windows_explain,
    .whole = true,
    .timed = true,
    .confines = true,
    .governs = true,
    .here = "D:\\",
    .unsaved = "a Windows program is a process of the host, with threads and files of the host's "
	       "kernel, which cannot save them: pause it, or take a guest of --level machine",
    .create = windows_create,
    .start = windows_start,
    .pause = windows_pause,
    .resume = windows_resume,
    .stop = windows_stop,
    .kill = windows_kill,
    .signal = windows_signal,
    .destroy = windows_destroy,
    .console = windows_console,
    .resize = windows_resize,
    .inspect = windows_inspect,
    .stats = windows_stats,
    .limit = windows_limit,
    .yields = windows_yields,
    .hold = windows_hold,
    .cpu_ns = windows_cpu_ns,
    .removed = windows_removed,
};
