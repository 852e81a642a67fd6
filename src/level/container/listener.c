/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptor by which somebody else answers system calls of a container (SCMP_ACT_NOTIFY):
 * taken out of its process and sent to the socket listenerPath, with the state. The process tells
 * its number in shared memory and waits, for its filter might stop any other way. OCI-RT 1.2
 * config-linux.md "Container Process State", pidfd_getfd(2), seccomp_unotify(2) */
#include "level/container/internal.h"
#include <json-c/json.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { LOOK_MS = 1 };

volatile int *listener_page(void)
{
	void *at =
	    mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return at == MAP_FAILED ? NULL : at;
}

static char *process_state(struct container *c, pid_t pid, const struct oci_seccomp *s)
{
	struct json_object *o = json_object_new_object(), *fds = json_object_new_array();
	json_object_array_add(fds, json_object_new_string("seccompFd"));
	json_object_object_add(o, "ociVersion", json_object_new_string("1.2.0"));
	json_object_object_add(o, "fds", fds);
	json_object_object_add(o, "pid", json_object_new_int((int)pid));
	if (s->listener_metadata)
		json_object_object_add(o, "metadata", json_object_new_string(s->listener_metadata));
	json_object_object_add(o, "state", container_state(c, CONTAINER_CREATING, false));
	const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
	char *own = text ? strdup(text) : NULL;
	json_object_put(o);
	return own;
}

int listener_pass(volatile int *notify, pid_t pid, struct container *c, const struct oci_seccomp *s,
                  struct lodge_err *e)
{
	int number = __atomic_load_n(notify, __ATOMIC_ACQUIRE);
	if (number <= 0)
		return 0;
	autoclose int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	autoclose int fd = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, number - 1, 0);
	if (fd < 0)
		return err_sys(e, ".linux.seccomp: the listener's descriptor");
	autofree char *text = process_state(c, pid, s);
	autoclose int to = pass_connect(s->listener_path, e);
	if (to < 0)
		return err_in(e, to, ".linux.seccomp.listenerPath");
	if (!text || pass_send(to, text, strlen(text), fd) < 0)
		return err_sys(e, ".linux.seccomp.listenerPath: %.200s", s->listener_path);
	__atomic_store_n(notify, 0, __ATOMIC_RELEASE);
	return 0;
}

int listener_wait(int fd, enum note_kind kind, volatile int *notify, pid_t pid,
                  struct container *c, const struct oci_spec *spec, struct lodge_err *e)
{
	struct note n;
	while (notify) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (poll(&p, 1, LOOK_MS) != 0)
			break;
		int r = listener_pass(notify, pid, c, spec->lin->seccomp, e);
		if (r < 0)
			return r;
	}
	if (kind != NOTE_NONE)
		return note_wait(fd, kind, &n, e);
	/* its end of the socket is closed when it has become the program */
	enum note_kind got = note_read(fd, &n);
	return got == NOTE_ERROR ? err_set(e, n.e.code > 0 ? n.e.code : EIO, "%s", n.e.msg) : 0;
}
