/* SPDX-License-Identifier: Apache-2.0 */
/* Getting an image: run the embedded fetch script (guest/fetch) and pass on what it says on
 * descriptor 3: "step N/M TEXT" and "bytes DONE TOTAL". */
#include "lib/lib.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { LINE = 512 };

struct pull {
	const struct image *image;
	lodge_progress_fn *fn;
	void *user;
	char step[160];
	char line[LINE];
	size_t len;
	struct tail errors;
	bool stopped; /* fn said so */
};

void tail_add(struct tail *t, const char *data, size_t len)
{
	size_t cap = sizeof t->text - 1;
	if (len > cap) {
		data += len - cap;
		len = cap;
	}
	if (t->len + len > cap) {
		size_t drop = t->len + len - cap;
		memmove(t->text, t->text + drop, t->len - drop);
		t->len -= drop;
	}
	memcpy(t->text + t->len, data, len);
	t->len += len;
	t->text[t->len] = 0;
}

static int pull_tell(struct pull *p, uint64_t done, uint64_t total)
{
	if (p->fn && p->fn(p->user, p->step, done, total))
		p->stopped = true;
	return p->stopped;
}

static void pull_line(struct pull *p)
{
	unsigned long long done, total;
	if (!strncmp(p->line, "step ", 5)) {
		const char *text = strchr(p->line + 5, ' ');
		snprintf(p->step, sizeof p->step, "[%.*s] %.120s",
			 text ? (int)(text - p->line - 5) : 0, p->line + 5, text ? text + 1 : "");
		pull_tell(p, 0, 0);
	} else if (sscanf(p->line, "bytes %llu %llu", &done, &total) == 2) {
		pull_tell(p, done, total);
	}
}

static void pull_feed(struct pull *p, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n') {
			p->line[p->len] = 0;
			pull_line(p);
			p->len = 0;
		} else if (p->len < LINE - 1) {
			p->line[p->len++] = data[i];
		}
	}
}

static int memory_file(const char *name, const uint8_t *data, size_t len)
{
	autoclose int fd = memfd_create(name, MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (len) {
		ssize_t n = write(fd, data, len);
		if (n <= 0)
			return -EIO;
		data += n;
		len -= (size_t)n;
	}
	return take_fd(&fd);
}

/* In the child: /dev/fd/8 is the script, /dev/fd/9... the agent; 3 the progress pipe. */
static void pull_child(const struct pull *p, int script, int agent, int progress, int errors)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	/* Above all numbers that are about to be taken. */
	script = fcntl(script, F_DUPFD, 20);
	agent = fcntl(agent, F_DUPFD, 20);
	progress = fcntl(progress, F_DUPFD_CLOEXEC, 20);
	errors = fcntl(errors, F_DUPFD_CLOEXEC, 20);
	char script_path[32], agent_path[48];
	snprintf(script_path, sizeof script_path, "/proc/self/fd/%d", script);
	/* The agent is read by programs that the script starts: by our number, not theirs. */
	snprintf(agent_path, sizeof agent_path, "/proc/%d/fd/%d", (int)getpid(), agent);
	autofree char *cache = life_home("cache");
	dup2(null, 0);
	dup2(errors, 1);
	dup2(errors, 2);
	dup2(progress, 3);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	if (cache)
		execl("/bin/sh", "sh", script_path, p->image->verb, "--cache", cache, "--agent",
		      agent_path, (char *)NULL);
	_exit(127);
}

/* Until both pipes are closed, or the caller has enough. */
static void pull_follow(struct pull *p, int progress, int errors, pid_t child)
{
	char buf[1024];
	struct pollfd f[2] = {{.fd = progress, .events = POLLIN}, {.fd = errors, .events = POLLIN}};
	while (f[0].fd >= 0 || f[1].fd >= 0) {
		if (poll(f, 2, 1000) < 0 && errno != EINTR)
			break;
		for (int i = 0; i < 2; i++) {
			if (f[i].fd < 0 || !f[i].revents)
				continue;
			ssize_t n = read(f[i].fd, buf, sizeof buf);
			if (n <= 0)
				f[i].fd = -1;
			else if (i == 0)
				pull_feed(p, buf, (size_t)n);
			else
				tail_add(&p->errors, buf, (size_t)n);
		}
		if (p->stopped) {
			kill(-child, SIGTERM);
			break;
		}
	}
}

/* The last "error: ..." and what follows it, on one line. */
static int pull_failed(const struct pull *p, int status, struct lodge_err *e)
{
	const char *text = p->errors.text, *found = NULL;
	for (const char *q = text; (q = strstr(q, "error: ")); q++)
		found = q + 7;
	char line[sizeof p->errors.text];
	snprintf(line, sizeof line, "%s", found ? found : text);
	for (char *q = line; *q; q++)
		if (*q == '\n')
			*q = q[1] ? ';' : 0;
	if (p->stopped)
		return err_set(e, ECANCELED, "getting %s was stopped", p->image->name);
	if (!*line)
		snprintf(line, sizeof line, "the fetch script ended with status %d",
			 host_exit_code(status));
	return err_set(e, EIO, "getting %s: %s", p->image->name, line);
}

static int pull_run(struct pull *p, struct lodge_err *e)
{
	size_t script_len, agent_len;
	const uint8_t *script = fetch_script(&script_len), *agent = agent_program(&agent_len);
	int a[2], b[2];
	autoclose int script_fd = memory_file("lodge-fetch", script, script_len);
	autoclose int agent_fd = memory_file("lodge-agent", agent, agent_len);
	if (script_fd < 0 || agent_fd < 0 || pipe2(a, O_CLOEXEC) < 0)
		return err_sys(e, "getting %s", p->image->name);
	if (pipe2(b, O_CLOEXEC) < 0) {
		close(a[0]);
		close(a[1]);
		return err_sys(e, "getting %s", p->image->name);
	}
	pid_t child = fork();
	if (child == 0)
		pull_child(p, script_fd, agent_fd, a[1], b[1]);
	close(a[1]);
	close(b[1]);
	if (child > 0)
		pull_follow(p, a[0], b[0], child);
	close(a[0]);
	close(b[0]);
	if (child < 0)
		return err_sys(e, "getting %s", p->image->name);
	int status = host_reap(child);
	if (p->stopped || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return pull_failed(p, status, e);
	return image_ready(p->image)
		   ? 0
		   : err_set(e, EIO, "getting %s: the result is not whole", p->image->name);
}

int lodge_image_pull(const char *name, struct lodge_pull *how, struct lodge_err *e)
{
	struct lodge_pull none = {.size = sizeof none};
	how = how ? how : &none;
	struct pull p = {.image = image_find(name), .fn = how->progress, .user = how->user};
	how->name[0] = how->warning[0] = 0;
	if (!p.image)
		return images_pull(name, how, e);
	snprintf(how->name, sizeof how->name, "%s", p.image->name);
	return pull_run(&p, e);
}
