/* SPDX-License-Identifier: Apache-2.0 */
/* The last steps of a process that becomes a program of a container, the first one and those of
 * exec. Rights are given up in an order in which each step still has what it needs, and the filter
 * of system calls comes so late that it sees three calls of ours. */
#include "level/container/internal.h"
#include <fcntl.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

extern char **environ;

int becoming_keyring(const char *id, struct lodge_err *e)
{
	char name[64];
	snprintf(name, sizeof name, "_ses.%.50s", id);
	long ring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name);
	if (ring < 0)
		return errno == ENOSYS || errno == EDQUOT ? 0 : err_sys(e, "a session keyring");
	/* whoever has it may search it, as others give it */
	long perms = 0x3f3f0000 | 0x00080000;
	(void)!syscall(SYS_keyctl, KEYCTL_SETPERM, ring, perms);
	return 0;
}

/* ---- environment ---- */

static const char *env_of(const struct oci_process *p, const char *key)
{
	size_t n = strlen(key);
	for (size_t i = p->env.n; i-- > 0;)
		if (!strncmp(p->env.at[i], key, n) && p->env.at[i][n] == '=')
			return p->env.at[i] + n + 1;
	return NULL;
}

/* The sixth field of the user's line. passwd(5). In the container's root by now. */
static char *home_of(unsigned uid)
{
	char line[1024], *home = NULL;
	FILE *f = fopen("/etc/passwd", "re");
	while (f && !home && fgets(line, sizeof line, f)) {
		char *field[7] = {NULL}, *rest = line;
		size_t n = 0;
		line[strcspn(line, "\n")] = 0;
		for (char *w; n < countof(field) && (w = strsep(&rest, ":"));)
			field[n++] = w;
		if (n >= 6 && strtoul(field[2], NULL, 10) == uid && *field[2])
			home = strdup(field[5]);
	}
	if (f)
		fclose(f);
	return home;
}

static int env_make(struct becoming *b, struct lodge_err *e)
{
	const struct oci_process *p = b->process;
	unsigned uid = p->user ? (unsigned)p->user->uid.v : 0;
	const char *listen = getenv("LISTEN_FDS"), *home_set = env_of(p, "HOME");
	char **env = calloc(p->env.n + 4, sizeof *env);
	size_t n = 0;
	if (!env)
		return err_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; i < p->env.n; i++) {
		union {
			const char *in;
			char *out;
		} text = {p->env.at[i]};
		env[n++] = text.out;
	}
	if (!home_set || !*home_set) {
		autofree char *home = home_of(uid);
		if (asprintf(&env[n], "HOME=%s", home && *home ? home : "/") < 0)
			env[n] = NULL;
		n += !!env[n];
	}
	if (listen && b->preserve && strlen(listen) < 8) {
		if (asprintf(&env[n], "LISTEN_FDS=%s", listen) < 0)
			env[n] = NULL;
		n += !!env[n];
		env[n] = strdup("LISTEN_PID=1");
	}
	b->env = env;
	return 0;
}

/* ---- the program ---- */

static int runnable(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return -1;
	if (!S_ISREG(st.st_mode)) {
		errno = EACCES;
		return -1;
	}
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS);
}

static int program_find(struct becoming *b, struct lodge_err *e)
{
	const struct oci_process *p = b->process;
	const char *name = p->args.at[0], *path = env_of(p, "PATH");
	if (strchr(name, '/')) {
		if (runnable(name) < 0)
			return err_sys(
			    e, errno == EACCES ? "exec: \"%.200s\"" : "exec: \"%.200s\": stat",
			    name);
		b->program = strdup(name);
		return b->program ? 0 : err_set(e, ENOMEM, "out of memory");
	}
	bool denied = false;
	for (const char *at = path ? path : ""; *at;) {
		size_t n = strcspn(at, ":");
		if (asprintf(&b->program, "%.*s%s%s", (int)n, at, n ? "/" : "./", name) < 0)
			return err_set(e, ENOMEM, "out of memory");
		if (runnable(b->program) == 0)
			return 0;
		denied |= errno == EACCES;
		free(take(b->program));
		at += n + (at[n] == ':');
	}
	return denied ? err_set(e, EACCES, "exec: \"%.200s\": permission denied", name)
	              : err_set(e, ENOENT, "exec: \"%.200s\": executable file not found in $PATH",
	                        name);
}

/* Descriptors of the host that were left open would lead out of the root by their "..". */
static int folder_enter(const struct oci_process *p, struct lodge_err *e)
{
	char where[PATH_MAX];
	if (chdir(p->cwd) < 0)
		return err_sys(e, "chdir to cwd (\"%.200s\") set in config.json failed", p->cwd);
	if (syscall(SYS_getcwd, where, sizeof where) < 0 || where[0] != '/')
		return err_set(e, EINVAL, "current working directory is outside of container mount "
		               "namespace root -- possible container breakout detected");
	return 0;
}

/* lodge-riscv64 PROGRAM [ARG...]: the program's name takes the place of its argv[0]. */
static int foreign_prepare(struct becoming *b, struct lodge_err *e)
{
	static char name[] = "lodge-riscv64";
	const struct oci_process *p = b->process;
	int from = b->foreign;
	b->foreign = -1;
	if (from < 0 || !foreign_is(b->program))
		return 0;
	char **argv = calloc(p->args.n + 2, sizeof *argv);
	if (!argv)
		return err_set(e, ENOMEM, "out of memory");
	argv[0] = name;
	argv[1] = b->program;
	for (size_t i = 1; i < p->args.n; i++)
		argv[i + 1] = b->argv[i];
	b->argv = argv;
	b->foreign = foreign_seal(from, e);
	return b->foreign < 0 ? b->foreign : 0;
}

int becoming_prepare(struct becoming *b, struct lodge_err *e)
{
	const struct oci_process *p = b->process;
	if (!p->args.n)
		return err_set(e, EINVAL, ".process.args: it is empty: there is nothing to run");
	int r = box_limits_set(p, e);
	if (r == 0)
		r = box_schedule_set(p, e);
	if (r == 0)
		r = box_labels_set(b->proc, p, e);
	if (r == 0)
		r = box_rights_bound(b->rights, e);
	/* as root, for a folder that the user may not enter; else as the user */
	bool inside = r == 0 && folder_enter(p, NULL) == 0;
	if (r == 0)
		r = box_user_become(p->user, e);
	if (r == 0 && !inside)
		r = folder_enter(p, e);
	if (r == 0)
		r = env_make(b, e);
	if (r == 0)
		r = program_find(b, e);
	union {
		const char **in;
		char **out;
	} args = {p->args.at};
	b->argv = args.out;
	return r == 0 ? foreign_prepare(b, e) : r;
}

/* ---- the change ---- */

/* The permitted ones again, which a change of ids has made not effective. */
static int effective_raise(void)
{
	struct {
		uint32_t version;
		int pid;
	} head = {0x20080522, 0};
	uint32_t d[6];
	if (syscall(SYS_capget, &head, d) < 0)
		return -1;
	d[0] = d[1];
	d[3] = d[4];
	return (int)syscall(SYS_capset, &head, d);
}

/* Who waits for the descriptor of the listener takes it out of this process: the filter may hold
 * every call that could hand it over, so none is made. */
static void listener_give(const struct becoming *b, int fd)
{
	__atomic_store_n(b->notify, fd + 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(b->notify, __ATOMIC_ACQUIRE) > 0)
		__builtin_ia32_pause();
}

int becoming_filter(struct becoming *b, struct lodge_err *e)
{
	if (b->process->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, "no_new_privs");
	if (!b->profile)
		return 0;
	if (!b->process->no_new_privileges && effective_raise() < 0)
		return err_sys(e, "capabilities");
	int fd = box_profile_load(b->profile);
	if (fd < 0)
		return err_sys(e, ".linux.seccomp: loading the filter");
	if (b->profile->notify && b->notify)
		listener_give(b, fd);
	b->profile = NULL;
	return 0;
}

int becoming_confine(void *becoming)
{
	struct becoming own = *(struct becoming *)becoming;
	int r = becoming_filter(&own, NULL);
	return r == 0 ? box_rights_take(own.rights, NULL) : r;
}

int becoming_go(struct becoming *b, struct lodge_err *e)
{
	if (syscall(SYS_close_range, 3 + b->preserve, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		return err_sys(e, "closing descriptors");
	int r = becoming_filter(b, e);
	if (r == 0)
		r = box_rights_take(b->rights, e);
	if (r < 0)
		return r;
	if (b->foreign >= 0)
		syscall(SYS_execveat, b->foreign, "", b->argv, b->env, AT_EMPTY_PATH);
	else
		execve(b->program, b->argv, b->env);
	return err_sys(e, "exec %s", b->program);
}
