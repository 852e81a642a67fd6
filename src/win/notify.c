/* SPDX-License-Identifier: Apache-2.0 */
/* ReadDirectoryChangesW and FindFirstChangeNotification. Who asks with an OVERLAPPED is answered by
 * one thread, which looks at the folders that somebody waits for; in between the host keeps what
 * has happened. */
#include "win/watch.h"
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

enum { RECORD = 12, STATUS_NOTIFY_CLEANUP = 0x10b, STATUS_NOTIFY_ENUM_DIR = 0x10c };
/* What is waited for with an OVERLAPPED. */
struct request {
	struct overlapped *o; /* the guest's */
	uint8_t *buf;         /* the guest's */
	uint32_t cap;
	uint64_t fn;           /* of the guest, called when @thread lets itself be; 0: none */
	struct object *thread; /* who asked; a reference */
	struct request *next;
};
struct watch {
	struct folder_watch w;
	struct file *f;               /* whose it is; NULL: of a notification */
	struct request *first, **end; /* owned */
	struct object *signal;        /* a notification that waits for a change */
	struct watch *next;
};
struct notification {
	struct object o;
	struct watch *watch; /* owned */
};
static WIN_STATE struct {
	pthread_mutex_t lock;
	struct watch *all;
	int wake; /* eventfd of the thread; 0: there is no thread */
} watches = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- telling ---- */

static bool anything(const struct watch *w) { return w->w.overflow || w->w.nchanges; }

/* As many FILE_NOTIFY_INFORMATION as there is room for: bytes; 0: what there is has to be looked
 * for, as it was too much. */
static uint32_t changes_give(struct folder_watch *w, uint8_t *buf, uint32_t cap)
{
	uint32_t at = 0, last = 0;
	size_t n = 0;
	for (; !w->overflow && w->told + n < w->nchanges; n++) {
		const struct change *c = &w->changes[w->told + n];
		uint32_t len = 2 * (uint32_t)utf16_put(c->name, strlen(c->name), NULL, 0, NULL);
		if ((uint64_t)at + RECORD + len > cap)
			break;
		if (n)
			le32_put(buf + last, at - last);
		le32_put(buf + at, 0);
		le32_put(buf + at + 4, c->action);
		le32_put(buf + at + 8, len);
		wide *name = (wide *)(void *)(buf + at + RECORD);
		utf16_put(c->name, strlen(c->name), name, len / 2, NULL);
		for (uint32_t i = 0; i < len / 2; i++)
			name[i] = name[i] == '/' ? '\\' : name[i];
		last = at;
		at += (RECORD + len + 3) & ~3u;
	}
	changes_drop(w, n ? n : SIZE_MAX);
	w->overflow = false;
	return at < cap ? at : cap;
}

static struct request *request_take(struct watch *w, struct request **at)
{
	struct request *r = *at;
	if (!(*at = r->next))
		w->end = at;
	return r;
}

/* It is no longer in the list. */
static void request_end(struct file *f, struct request *r, uint32_t status, uint32_t n)
{
	struct thread *t;
	if (r->fn) {
		r->o->n = n;
		r->o->status = status;
		threads_lock();
		if ((t = thread_of_object(r->thread)))
			apc_queue(t, r->fn, (int32_t)status < 0 ? error_of_status(status) : 0, n,
				  (uint64_t)(uintptr_t)r->o);
		threads_unlock();
	} else {
		overlapped_end(f, r->o, status, n, false);
	}
	object_unref(r->thread);
	free(r);
}

/* Under the lock: read, and answer who waits. */
static void watch_serve(struct watch *w)
{
	folder_watch_read(&w->w);
	while (w->first && anything(w)) {
		struct request *r = request_take(w, &w->first);
		uint32_t n = changes_give(&w->w, r->buf, r->cap);
		request_end(w->f, r, n ? STATUS_SUCCESS : STATUS_NOTIFY_ENUM_DIR, n);
	}
	if (w->signal && anything(w)) {
		changes_drop(&w->w, SIZE_MAX);
		w->w.overflow = false;
		wait_signal(w->signal, 1);
		w->signal = NULL;
	}
}

/* ---- the thread that waits ---- */

static bool waits(const struct watch *w) { return w->first || w->signal; }

/* Sleep until there is something; false: no memory. */
static bool watches_poll(void)
{
	size_t n = 1, cap = 1;
	pthread_mutex_lock(&watches.lock);
	for (const struct watch *w = watches.all; w; w = w->next)
		cap++;
	autofree struct pollfd *p = calloc(cap, sizeof *p);
	for (const struct watch *w = watches.all; p && w; w = w->next)
		if (waits(w))
			p[n++] = (struct pollfd){.fd = w->w.fd, .events = POLLIN};
	pthread_mutex_unlock(&watches.lock);
	if (!p)
		return false;
	p[0] = (struct pollfd){.fd = watches.wake, .events = POLLIN};
	poll(p, n, -1);
	eventfd_t gone;
	if (p[0].revents)
		(void)!eventfd_read(watches.wake, &gone);
	return true;
}

static void *watches_main(void *unused)
{
	(void)unused;
	while (watches_poll()) {
		pthread_mutex_lock(&watches.lock);
		for (struct watch *w = watches.all; w; w = w->next)
			if (waits(w))
				watch_serve(w);
		pthread_mutex_unlock(&watches.lock);
	}
	return NULL;
}

/* Under the lock: the thread shall look at what is waited for. */
static bool watches_wake(void)
{
	pthread_t t;
	sigset_t all, before;
	if (!watches.wake) {
		int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (fd < 0)
			return false;
		watches.wake = fd;
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		int r = pthread_create(&t, NULL, watches_main, NULL);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		if (r) {
			close(fd);
			watches.wake = 0;
			return false;
		}
		pthread_detach(t);
	}
	return eventfd_write(watches.wake, 1) == 0;
}

/* ---- a folder's beginning and end ---- */

/* 0 or a negative errno. */
static int watch_new(struct watch **ret, const char *path, bool deep, uint32_t filter)
{
	struct watch *w = calloc(1, sizeof *w);
	int r = w ? folder_watch_init(&w->w, path, deep, filter) : -ENOMEM;
	if (r < 0) {
		if (w)
			folder_watch_fini(&w->w);
		free(w);
		return r;
	}
	w->end = &w->first;
	w->next = watches.all;
	watches.all = w;
	*ret = w;
	return 0;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&watches.lock);
	for (struct watch **p = &watches.all; *p; p = &(*p)->next)
		if (*p == w) {
			*p = w->next;
			break;
		}
	while (w->first)
		request_end(w->f, request_take(w, &w->first), STATUS_NOTIFY_CLEANUP, 0);
	pthread_mutex_unlock(&watches.lock);
	folder_watch_fini(&w->w);
	free(w);
}

bool watch_cancel(struct file *f, const struct overlapped *o, const struct object *thread)
{
	bool any = false;
	pthread_mutex_lock(&watches.lock);
	struct watch *w = f->watch;
	for (struct request **p = w ? &w->first : NULL; p && *p;) {
		const struct request *r = *p;
		if ((o && r->o != o) || (thread && r->thread != thread)) {
			p = &(*p)->next;
			continue;
		}
		request_end(f, request_take(w, p), STATUS_CANCELLED, 0);
		any = true;
	}
	pthread_mutex_unlock(&watches.lock);
	return any;
}

/* ---- ReadDirectoryChangesW ---- */

/* Under the lock. False: no memory. */
static bool request_add(struct watch *w, const struct request *given)
{
	struct request *r = malloc(sizeof *r);
	if (!r || !watches_wake()) {
		free(r);
		return false;
	}
	*r = *given;
	object_ref(r->thread);
	*w->end = r;
	w->end = &r->next;
	return true;
}

/* Wait for changes: bytes given, 0 as changes_give has it. */
static uint32_t changes_wait(struct watch *w, uint8_t *buf, uint32_t cap)
{
	struct pollfd p = {.fd = w->w.fd, .events = POLLIN};
	struct thread *t = thread_self();
	for (;;) {
		pthread_mutex_lock(&watches.lock);
		folder_watch_read(&w->w);
		bool any = anything(w);
		uint32_t n = any ? changes_give(&w->w, buf, cap) : 0;
		pthread_mutex_unlock(&watches.lock);
		if (any)
			return n;
		atomic_store(&t->blocked, 1);
		poll(&p, 1, -1);
		atomic_store(&t->blocked, 0);
	}
}

/* The folder's watch: what is to be seen of it is what the first call says. 0 or an error. */
static uint32_t watch_of(struct file *f, bool deep, uint32_t filter)
{
	int r = 0;
	pthread_mutex_lock(&watches.lock);
	if (!f->watch && (r = watch_new(&f->watch, f->path, deep, filter)) == 0)
		f->watch->f = f;
	pthread_mutex_unlock(&watches.lock);
	return r < 0 ? error_of(-r) : 0;
}

static uint32_t changes_ask(struct file *f, const struct request *r, uint32_t *ret_n)
{
	if (f->overlapped && r->o) {
		if (r->fn)
			r->o->status = STATUS_PENDING;
		else
			overlapped_begin(r->o);
		pthread_mutex_lock(&watches.lock);
		bool ok = request_add(f->watch, r);
		pthread_mutex_unlock(&watches.lock);
		return ok ? 0 : ERROR_NOT_ENOUGH_MEMORY;
	}
	*ret_n = changes_wait(f->watch, r->buf, r->cap);
	if (r->o)
		overlapped_end(f, r->o, *ret_n ? STATUS_SUCCESS : STATUS_NOTIFY_ENUM_DIR, *ret_n,
			       true);
	return 0;
}

API(uint32_t, k32_ReadDirectoryChangesW, handle h, uint8_t *buf, uint32_t cap, uint32_t deep,
    uint32_t filter, uint32_t *ret_n, struct overlapped *o, uint64_t fn)
{
	struct request r = {o, buf, cap, o ? fn : 0, thread_self()->object, NULL};
	uint32_t got = 0;
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return 0;
	uint32_t bad = !f->folder || !filter || filter & ~(uint32_t)NOTIFY_ALL
			   ? ERROR_INVALID_PARAMETER
		       : (uintptr_t)buf % 4 ? ERROR_NOACCESS
		       : !(f->access & (FILE_READ_DATA | GENERIC_READ | GENERIC_ALL))
			   ? ERROR_ACCESS_DENIED
			   : watch_of(f, deep != 0, filter);
	if (!bad)
		bad = changes_ask(f, &r, &got);
	if (ret_n)
		*ret_n = got;
	object_unref(&f->o);
	return bad ? fail(bad) : 1;
}

/* ---- FindFirstChangeNotification ---- */

static void notification_fini(struct object *o)
{
	watch_free(((struct notification *)(void *)o)->watch);
}

/* Under the lock. */
static bool notification_arm(struct notification *n)
{
	n->watch->signal = &n->o;
	return watches_wake();
}

API(handle, k32_FindFirstChangeNotificationA, const char *path, uint32_t deep, uint32_t filter)
{
	struct stat st;
	autofree char *host = path_linux(path);
	struct notification *n = NULL;
	uint32_t bad = !filter || filter & ~(uint32_t)NOTIFY_ALL         ? ERROR_INVALID_PARAMETER
		       : !host                                           ? last_error()
		       : stat(host, &st) < 0                             ? path_missing(host)
		       : !S_ISDIR(st.st_mode)                            ? ERROR_DIRECTORY
		       : !(n = object_new(KIND_NOTIFICATION, sizeof *n)) ? ERROR_NOT_ENOUGH_MEMORY
									 : 0;
	if (n) {
		n->o.manual = true;
		n->o.fini = notification_fini;
		pthread_mutex_lock(&watches.lock);
		int r = watch_new(&n->watch, host, deep != 0, filter);
		if (r == 0 && !notification_arm(n))
			r = -ENOMEM;
		pthread_mutex_unlock(&watches.lock);
		bad = r < 0 ? error_of(-r) : 0;
	}
	if (bad) {
		object_unref(n ? &n->o : NULL);
		last_error_set(bad);
		return HANDLE_BAD;
	}
	handle h = object_handle(&n->o, false);
	return h ? h : HANDLE_BAD;
}

API(handle, k32_FindFirstChangeNotificationW, const wide *path, uint32_t deep, uint32_t filter)
{
	autofree char *p = text_from(path, SIZE_MAX);
	return k32_FindFirstChangeNotificationA(p ? p : "", deep, filter);
}

API(uint32_t, k32_FindNextChangeNotification, handle h)
{
	struct notification *n = object_get(h, KIND_NOTIFICATION);
	if (!n)
		return 0;
	wait_signal(&n->o, 0);
	pthread_mutex_lock(&watches.lock);
	bool ok = notification_arm(n);
	pthread_mutex_unlock(&watches.lock);
	object_unref(&n->o);
	return ok ? 1 : fail(ERROR_NOT_ENOUGH_MEMORY);
}

API(uint32_t, k32_FindCloseChangeNotification, handle h)
{
	struct notification *n = object_get(h, KIND_NOTIFICATION);
	object_unref(n ? &n->o : NULL);
	return n && object_close(h);
}
