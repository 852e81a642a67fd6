/* SPDX-License-Identifier: Apache-2.0 */
/* `lodge run IMAGE`: this process becomes the parent of a container, which gets its terminal, its
 * files and its signals, and whose exit code is ours. The image's layers are mounted in a mount
 * namespace of ours, so that nothing of it is left on the host however we end; the folder with what
 * the container wrote goes with it, and those of killed ones go at the next run. */
#include "level/container/internal.h"
#include "level/container/spec.h"
#include "level/container/uplink.h"
#include "level/container/warden.h"
#include "life/life.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { ID_BYTES = 6 };

struct stay {
	const struct lodge_config *c;
	struct image_store *store;
	struct image_config image;
	bool of_image; /* else a root of the host's */
	char id[2 * ID_BYTES + 1];
	char *all, *folder;  /* owned: where such folders are; ours */
	char *bundle, *root; /* owned */
	int lock;            /* of the folder */
	bool mapped, terminal;
	struct uplink uplink;
	struct warden warden;
	char program[PATH_MAX]; /* the runtime's */
};

/* ---- what the guest is ---- */

static bool path_has(const char *folder, const char *name)
{
	char path[PATH_MAX];
	return snprintf(path, sizeof path, "%s/%s", folder, name) < PATH_MAX &&
	       access(path, F_OK) == 0;
}

static int store_get(struct image_store **ret, struct lodge_err *e)
{
	char path[PATH_MAX];
	autofree char *data = life_home("data");
	if (!data || snprintf(path, sizeof path, "%s/images", data) >= PATH_MAX)
		return err_set(e, ENOMEM, "out of memory");
	/* looking makes no folder */
	if (access(path, F_OK) < 0)
		return err_set(e, ENOENT, "there are no images");
	return image_store_open(ret, path, e);
}

static bool image_there(const char *name)
{
	struct image_store *s = NULL;
	char full[REF_TEXT];
	bool there = store_get(&s, NULL) == 0 && image_find_name(s, name, full, NULL) == 0;
	image_store_close(s);
	return there;
}

static int container_claims(const struct lodge_config *c)
{
	const char *g = c->guest;
	if (!g || c->kernel || c->firmware || c->root)
		return 0;
	struct stat st;
	if (stat(g, &st) == 0) {
		if (!S_ISDIR(st.st_mode))
			return 0;
		return path_has(g, "config.json") || path_has(g, "bin") || path_has(g, "usr/bin")
			   ? 60
			   : 0;
	}
	return image_there(g) ? 80 : 0;
}

/* ---- folders ---- */

/* Those whose owners were killed: nobody holds their locks. */
static void stay_tidy(struct stay *s)
{
	DIR *d = opendir(s->all);
	for (struct dirent *de; d && (de = readdir(d));) {
		char path[NAME_MAX + 8];
		if (de->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/lock", de->d_name);
		autoclose int fd = openat(dirfd(d), path, O_RDWR | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
			char folder[PATH_MAX];
			snprintf(folder, sizeof folder, "%.3800s/%s", s->all, de->d_name);
			image_root_forget(s->store, de->d_name);
			warden_clean(s->program, de->d_name, folder);
		}
	}
	if (d)
		closedir(d);
}

static int stay_folder(struct stay *s, struct lodge_err *e)
{
	uint8_t random[ID_BYTES];
	char lock[PATH_MAX];
	autofree char *data = life_home("data");
	host_random(random, sizeof random);
	for (size_t i = 0; i < ID_BYTES; i++)
		snprintf(s->id + 2 * i, 3, "%02x", random[i]);
	if (!data || asprintf(&s->all, "%s/containers", data) < 0 ||
	    asprintf(&s->folder, "%s/%s", s->all, s->id) < 0)
		return err_set(e, ENOMEM, "out of memory");
	if (mkdir(s->all, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "%s", s->all);
	stay_tidy(s);
	snprintf(lock, sizeof lock, "%s/.%s.lock", s->all, s->id);
	if (mkdir(s->folder, 0700) < 0)
		return err_sys(e, "%s", s->folder);
	snprintf(lock, sizeof lock, "%s/lock", s->folder);
	s->lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return s->lock < 0 || flock(s->lock, LOCK_EX) < 0 ? err_sys(e, "%s", lock) : 0;
}

static int stay_file(const struct stay *s, const char *name, const char *text, struct lodge_err *e)
{
	autoclose int dir = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclose int fd =
	    dir < 0 ? -1 : openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || fchmod(fd, 0644) < 0 || !host_pwrite(fd, text, strlen(text), 0))
		return err_sys(e, "%s/%s", s->folder, name);
	return 0;
}

/* ---- the parts ---- */

/* Mounts and, for who is not root, users of our own. */
static int stay_spaces(struct stay *s, struct lodge_err *e)
{
	struct host_ids ids = {0};
	if (geteuid() != 0) {
		s->mapped = true;
		return host_userns_enter(CLONE_NEWNS, &ids, e);
	}
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_sys(e, "a mount namespace");
	return 0;
}

static int stay_root(struct stay *s, struct lodge_err *e)
{
	if (!s->of_image) {
		s->root = realpath(s->c->guest, NULL);
		return s->root ? 0 : err_sys(e, "%s", s->c->guest);
	}
	if (asprintf(&s->root, "%s/rootfs", s->folder) < 0)
		return err_set(e, ENOMEM, "out of memory");
	return image_root_mount(s->store, s->folder, e);
}

static int stay_net(struct stay *s, const char **ret_space, char path[64], struct lodge_err *e)
{
	const char *kind = s->c->net ? s->c->net : "user";
	const char *hostname = spec_option(s->c, "hostname", 0);
	char text[512];
	int r = 0;
	bool user = !strcmp(kind, "user");
	if (s->c->npublish && !user)
		return err_set(e, EINVAL, "ports are published by --net user alone");
	if (!strcmp(kind, "host")) {
		*ret_space = NULL;
	} else if (user || !strcmp(kind, "none")) {
		r = uplink_make(&s->uplink, user, s->c->publish, s->c->npublish, e);
		snprintf(path, 64, "/proc/%d/fd/%d", (int)getpid(), s->uplink.space);
		*ret_space = path;
	} else {
		return err_set(e, EINVAL, "--net %s: a container has user, none or host", kind);
	}
	snprintf(text, sizeof text, "127.0.0.1\tlocalhost\n::1\tlocalhost\n%s\t%.200s\n",
		 user ? "10.0.2.15" : "127.0.1.1", hostname ? hostname : s->id);
	if (r == 0)
		r = stay_file(s, "hosts", text, e);
	snprintf(text, sizeof text, "%.200s\n", hostname ? hostname : s->id);
	if (r == 0)
		r = stay_file(s, "hostname", text, e);
	if (r == 0 && user)
		r = stay_file(s, "resolv.conf", "nameserver 10.0.2.3\n", e);
	return r;
}

static int stay_bundle(struct stay *s, struct lodge_err *e)
{
	char path[64];
	const char *space = NULL;
	char *text = NULL;
	if (!s->of_image && path_has(s->c->guest, "config.json")) {
		if (s->c->argc || s->c->npublish || s->c->nenv || s->c->nvolumes || s->c->net)
			return err_set(e, EINVAL,
				       "a bundle says itself how it is run: options go "
				       "into its config.json");
		s->bundle = realpath(s->c->guest, NULL);
		return s->bundle ? 0 : err_sys(e, "%s", s->c->guest);
	}
	int r = stay_root(s, e);
	if (r == 0)
		r = stay_net(s, &space, path, e);
	struct spec_wants w = {.image = s->of_image ? &s->image : NULL,
			       .c = s->c,
			       .id = s->id,
			       .root = s->root,
			       .netns = space,
			       .files = s->folder,
			       .mapped = s->mapped,
			       .terminal = s->terminal};
	if (r == 0)
		r = spec_make(&text, &w, e);
	if (r == 0)
		r = stay_file(s, "config.json", text, e);
	free(text);
	s->bundle = r == 0 ? strdup(s->folder) : NULL;
	return r == 0 && !s->bundle ? err_set(e, ENOMEM, "out of memory") : r;
}

/* ---- the runtime, which is a program of its own: small, static, and not us ---- */

static int runtime_find(char path[PATH_MAX], struct lodge_err *e)
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 16);
	char *slash = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;
	if (!slash)
		return err_sys(e, "/proc/self/exe");
	strcpy(slash, "/lodge-oci");
	return access(path, X_OK) == 0 ? 0 : err_sys(e, "%s, which runs containers", path);
}

static void runtime_become(const struct stay *s, const sigset_t *mask)
{
	char state[PATH_MAX], log[PATH_MAX];
	snprintf(state, sizeof state, "%s/state", s->folder);
	snprintf(log, sizeof log, "%s/log", s->folder);
	sigprocmask(SIG_SETMASK, mask, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execl(s->program, "lodge-oci", "--root", state, "--log", log, "run", "--bundle", s->bundle,
	      s->id, (char *)NULL);
	_exit(LODGE_EXIT_LODGE);
}

/* What is sent to us is for the container; the terminal's signals reach it by themselves. */
static int runtime_wait(pid_t child, const sigset_t *set)
{
	for (;;) {
		siginfo_t i;
		int status, sig = sigwaitinfo(set, &i);
		if (sig > 0 && sig != SIGCHLD && i.si_code <= 0)
			kill(child, sig);
		if (sig == SIGCHLD && waitpid(child, &status, WNOHANG) == child)
			return WIFEXITED(status) ? WEXITSTATUS(status)
						 : LODGE_EXIT_SIGNAL + WTERMSIG(status);
	}
}

/* 1 is the runtime's own exit code for failures, which it has told, and may be the program's. */
static int runtime_code(const struct stay *s, int code)
{
	autoclose int dir = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autofree char *text = NULL;
	size_t len;
	if (code != 1 || file_load(dir, "log", 1 << 20, &text, &len, NULL) < 0 ||
	    !strstr(text, "level=error"))
		return code;
	if (strstr(text, "not found in $PATH") || strstr(text, "No such file"))
		return LODGE_EXIT_NOT_FOUND;
	return strstr(text, "ermission denied") || strstr(text, "may not be run") ||
		       strstr(text, "Exec format")
		   ? LODGE_EXIT_CANNOT
		   : LODGE_EXIT_LODGE;
}

static int stay_run(struct stay *s, int *ret_code, struct lodge_err *e)
{
	static const int passed[] = {SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM, SIGUSR1,
				     SIGUSR2, SIGCONT, SIGWINCH, SIGCHLD};
	sigset_t set, before;
	int r = warden_start(&s->warden, s->program, s->id, s->folder, s->lock, e);
	if (r < 0)
		return r;
	sigemptyset(&set);
	for (size_t i = 0; i < countof(passed); i++)
		sigaddset(&set, passed[i]);
	sigprocmask(SIG_BLOCK, &set, &before);
	pid_t child = fork();
	if (child == 0)
		runtime_become(s, &before);
	if (child < 0)
		r = err_sys(e, "a process");
	else
		*ret_code = runtime_code(s, runtime_wait(child, &set));
	return r;
}

static void stay_end(struct stay *s)
{
	char path[PATH_MAX];
	uplink_end(&s->uplink);
	warden_end(&s->warden);
	if (s->folder) {
		snprintf(path, sizeof path, "%s/rootfs", s->folder);
		umount2(path, MNT_DETACH);
		if (s->store)
			image_root_forget(s->store, s->id);
		(void)!file_remove_tree(AT_FDCWD, s->folder, NULL);
	}
	image_config_fini(&s->image);
	image_store_close(s->store);
	auto_close(&s->lock);
	free(s->all);
	free(s->folder);
	free(s->bundle);
	free(s->root);
}

static int stay_make(struct stay *s, struct lodge_err *e)
{
	char path[PATH_MAX];
	autofree char *data = life_home("data");
	int r = spec_options_check(s->c, e);
	if (r == 0)
		r = runtime_find(s->program, e);
	if (r == 0 && (s->c->name || s->c->timeout_ns || s->c->restart))
		r = err_set(e, EOPNOTSUPP,
			    "a container runs in the foreground: it has no --name, "
			    "--timeout and --restart");
	if (r == 0 && (!data || snprintf(path, sizeof path, "%s/images", data) >= PATH_MAX))
		r = err_set(e, ENOMEM, "out of memory");
	if (r == 0)
		r = image_store_open(&s->store, path, e);
	if (r == 0)
		r = stay_folder(s, e);
	if (r == 0 && s->of_image)
		r = image_root_make(s->store, s->c->guest, s->id, s->folder, &s->image, e);
	if (r == 0)
		r = stay_spaces(s, e);
	return r == 0 ? stay_bundle(s, e) : r;
}

static int container_become(const struct lodge_config *c, struct lodge_err *e)
{
	struct stat st;
	struct stay s = {.c = c,
			 .lock = -1,
			 .uplink = UPLINK_NONE,
			 .warden = {.end = -1},
			 .of_image = stat(c->guest, &st) < 0,
			 .terminal = c->flags & LODGE_TTY && isatty(0)};
	int code = LODGE_EXIT_LODGE, r = stay_make(&s, e);
	if (r == 0)
		r = stay_run(&s, &code, e);
	stay_end(&s);
	if (r == 0)
		_exit(code);
	return r;
}

const struct level level_container = {
    .name = "container",
    .summary = "a container of the host's kernel: an image, a root folder, an OCI bundle",
    .claims = container_claims,
    .become = container_become,
    .whole = true,
};
