/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of an image as folders of the store. A process of its own does it: it may have a user and
 * a mount namespace, and what a hostile layer does to it is done to it alone. */
#include "image/layer.h"
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { CHAIN = 33 };

/* What the process says: how far it is, then how it ended. One write each. */
struct word {
	bool end;
	size_t layer;
	uint64_t done, bytes, devices, owners;
	struct lodge_err e; /* code 0: all is well */
};

struct work {
	struct unpack *u;
	int say;
	struct word w;
	bool privileged, overlay;
	uint64_t said_ns;
	char (*chain)[CHAIN]; /* of all layers */
	bool *fresh;          /* made by us, under its new name still */
};

/* The sum over a layer and those below: OCI-Image 1.1 §config, ChainID. Its first half will do. */
static void chains_make(const struct image_config *c, char (*ret)[CHAIN])
{
	char text[2 * DIGEST_TEXT + 1];
	struct digest chain = c->diffs[0];
	for (size_t i = 0; i < c->ndiffs; i++) {
		uint8_t sum[32];
		if (i) {
			int n = snprintf(text, sizeof text, "%s %s", chain.text, c->diffs[i].text);
			sha256(text, (size_t)n, sum);
			strcpy(chain.text, "sha256:");
			for (size_t k = 0; k < 32; k++)
				snprintf(chain.text + 7 + 2 * k, 3, "%02x", sum[k]);
		}
		snprintf(ret[i], CHAIN, "%.32s", digest_hex(&chain));
	}
}

static int work_say(struct work *w)
{
	return write(w->say, &w->w, sizeof w->w) == sizeof w->w ? 0 : 1;
}

static int work_progress(void *arg, uint64_t done)
{
	struct work *w = arg;
	uint64_t now = host_monotonic_ns();
	if (now - w->said_ns < 50000000)
		return 0;
	w->said_ns = now;
	w->w.done = done;
	return work_say(w); /* nobody listens any more: stop */
}

/* Names in the folder of layers. */
static void layer_name(const struct work *w, size_t i, const char *part, char ret[80])
{
	snprintf(ret, 80, "%s%s%s%s", w->fresh[i] ? ".new-" : "", w->chain[i], *part ? "/" : "",
		 part);
}

/* Where the layer @i shall be made, with what is below it there; a descriptor. */
static int root_make(struct work *w, size_t i, struct lodge_err *e)
{
	char fs[80], merged[80], scratch[80], below[80];
	int at = w->u->store->layers;
	layer_name(w, i, "fs", fs);
	if (i == 0)
		return openat(at, fs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	layer_name(w, i - 1, "fs", below);
	autoclose int from = openat(at, below, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclose int to = openat(at, fs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	if (from < 0 || to < 0 || fstat(from, &st) < 0)
		return err_sys(e, "the layer below");
	if (!w->overlay && i > 1 && !w->fresh[i - 1] &&
	    !layer_flat(w->u->store, w->chain[i - 1]))
		return err_set(e, EOPNOTSUPP,
			       "the layers below were unpacked by overlayfs, which is "
			       "not to be had now: delete the images that have them, or unpack it "
			       "where they were");
	if (!w->overlay) {
		int r = tree_copy(from, to, w->privileged, e);
		return r < 0 ? r : take_fd(&to);
	}
	/* The root of what is seen is the highest folder: as the one below, at first. */
	if (fchmod(to, st.st_mode & 07777) < 0 ||
	    (fchown(to, st.st_uid, st.st_gid) < 0 && w->privileged))
		return err_sys(e, "the layer's folder");
	layer_name(w, i, "merged", merged);
	layer_name(w, i, "work", scratch);
	if (mkdirat(at, merged, 0700) < 0 || mkdirat(at, scratch, 0700) < 0)
		return err_sys(e, "the layer's folder");
	const char *lower[IMAGE_LAYERS];
	char names[IMAGE_LAYERS][80];
	size_t n = 0, first = i - 1;
	while (first && !layer_flat(w->u->store, w->chain[first]))
		first--;
	for (size_t k = first; k < i; k++, n++) {
		layer_name(w, k, "fs", names[n]);
		lower[n] = names[n];
	}
	const struct overlay_top top = {fs, scratch, false};
	int r = overlay_mount(at, merged, lower, n, &top, e);
	if (r < 0)
		return r;
	r = openat(at, merged, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return r < 0 ? err_sys(e, "the layer's folder") : r;
}

/* The mount goes, and the folders that it needed. */
static int root_leave(struct work *w, size_t i, struct lodge_err *e)
{
	char merged[80], scratch[80];
	int at = w->u->store->layers;
	if (i == 0 || !w->overlay)
		return 0;
	layer_name(w, i, "merged", merged);
	layer_name(w, i, "work", scratch);
	if (fchdir(at) < 0 || umount2(merged, 0) < 0)
		return err_sys(e, "unmounting a layer");
	int r = file_remove_tree(at, scratch, e);
	return r < 0 ? r : file_remove_tree(at, merged, e);
}

static int layer_size(struct work *w, size_t i, uint64_t bytes, struct lodge_err *e)
{
	char path[80], text[32];
	layer_name(w, i, "size", path);
	int n = snprintf(text, sizeof text, "%llu\n", (unsigned long long)bytes);
	autoclose int fd = openat(w->u->store->layers, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || !host_pwrite(fd, text, (size_t)n, 0))
		return err_sys(e, "writing a layer's size");
	layer_name(w, i, "flat", path);
	if (!w->overlay && mkdirat(w->u->store->layers, path, 0700) < 0)
		return err_sys(e, "marking a layer");
	return 0;
}

static int layer_unpack(struct work *w, size_t i, struct lodge_err *e)
{
	struct unpack *u = w->u;
	char name[80], fs[80];
	layer_name(w, i, "", name);
	layer_name(w, i, "fs", fs);
	/* What a killed one has left of it. */
	int r = file_remove_tree(u->store->layers, name, e);
	if (r < 0)
		return r;
	if (mkdirat(u->store->layers, name, 0700) < 0 || mkdirat(u->store->layers, fs, 0755) < 0)
		return err_sys(e, "making a layer's folder");
	autoclose int blob = blob_open(u->store, &u->manifest->layers[i].digest, e);
	autoclose int root = blob < 0 ? blob : root_make(w, i, e);
	if (root < 0)
		return root;
	struct layer_job j = {.blob = blob,
			      .diff = &u->config->diffs[i],
			      .root = root,
			      .first = i == 0,
			      .privileged = w->privileged,
			      .limits = u->limits,
			      .progress = work_progress,
			      .arg = w};
	r = layer_apply(&j, e);
	auto_close(&root);
	root = -1;
	w->w.bytes += j.bytes;
	w->w.devices += j.devices;
	w->w.owners += j.owners;
	if (r == 0)
		r = root_leave(w, i, e);
	return r < 0 ? r : layer_size(w, i, j.bytes, e);
}

/* What was begun goes. */
static void work_undo(struct work *w)
{
	int at = w->u->store->layers;
	for (size_t i = 0; i < w->u->config->ndiffs; i++) {
		char name[80];
		if (!w->fresh[i])
			continue;
		layer_name(w, i, "merged", name);
		if (fchdir(at) == 0)
			umount2(name, MNT_DETACH);
		layer_name(w, i, "", name);
		(void)!file_remove_tree(at, name, NULL);
	}
}

static int work_layers(struct work *w, struct lodge_err *e)
{
	struct unpack *u = w->u;
	int at = u->store->layers, r = 0;
	bool any = false;
	for (size_t i = 0; r == 0 && i < u->config->ndiffs; i++) {
		w->fresh[i] = faccessat(at, w->chain[i], F_OK, 0) < 0;
		any |= w->fresh[i];
		w->w.layer = i;
		if (w->fresh[i])
			r = err_in(e, layer_unpack(w, i, e), "layer %zu of %zu", i + 1,
				   u->config->ndiffs);
	}
	/* All of it is on the disk before any of it has its name. */
	if (r == 0 && any && syncfs(at) < 0)
		r = err_sys(e, "writing the layers");
	for (size_t i = 0; r == 0 && i < u->config->ndiffs; i++) {
		char name[80];
		layer_name(w, i, "", name);
		if (w->fresh[i] && renameat(at, name, at, w->chain[i]) < 0)
			r = err_sys(e, "naming a layer");
	}
	if (r == 0 && any && fsync(at) < 0)
		r = err_sys(e, "the folder of layers");
	return r;
}

/* overlayfs takes folders of its own mount namespace only: one opened before is of another. */
static int layers_reopen(struct image_store *s, struct lodge_err *e)
{
	char path[PLACE_PATH];
	snprintf(path, sizeof path, "%.4000s/layers", s->path);
	auto_close(&s->layers);
	s->layers = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return s->layers < 0 ? err_sys(e, "%s", path) : 0;
}

/* Namespaces, as far as they are to be had. */
static int work_enter(struct work *w, struct lodge_err *e)
{
	struct host_ids ids;
	struct rlimit none = {0, 0};
	int r = 0;
	w->privileged = overlay_privileged();
	if (!w->privileged && geteuid() != 0) {
		(void)host_ids_given(&ids);
		r = host_userns_enter(CLONE_NEWNS, &ids, e);
	} else if (unshare(CLONE_NEWNS) == 0)
		w->overlay = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
	if (!w->privileged && geteuid() == 0 && r == 0)
		w->overlay = true;
	if (r == 0)
		r = layers_reopen(w->u->store, e);
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	umask(0);
	return r;
}

/* Can overlayfs be mounted on folders of this store? */
static void overlay_try(struct work *w)
{
	int at = w->u->store->layers;
	const char *lower[] = {".try/l"};
	const struct overlay_top top = {".try/u", ".try/w", false};
	(void)!file_remove_tree(at, ".try", NULL);
	bool ok = w->overlay && mkdirat(at, ".try", 0700) == 0 &&
		  mkdirat(at, ".try/l", 0700) == 0 && mkdirat(at, ".try/u", 0700) == 0 &&
		  mkdirat(at, ".try/w", 0700) == 0 && mkdirat(at, ".try/m", 0700) == 0 &&
		  overlay_mount(at, ".try/m", lower, 1, &top, NULL) == 0;
	if (ok && fchdir(at) == 0)
		ok = umount2(".try/m", 0) == 0;
	(void)!file_remove_tree(at, ".try", NULL);
	w->overlay = ok;
}

static void work_child(struct work *w)
{
	struct lodge_err e = {0};
	/* One at a time, so that what is under a new name is nobody else's. */
	autoclose int lock =
	    openat(w->u->store->layers, ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int r = lock < 0 ? err_sys(&e, "the lock of layers") : 0;
	while (r == 0 && flock(lock, LOCK_EX) < 0 && errno == EINTR)
		continue;
	if (r == 0)
		r = work_enter(w, &e);
	if (r == 0) {
		overlay_try(w);
		r = work_layers(w, &e);
		if (r < 0)
			work_undo(w);
	}
	w->w.end = true;
	w->w.e = e;
	if (r == 0)
		w->w.e.code = 0;
	_exit(work_say(w));
}

/* Until the process has said how it ended. */
static int work_follow(struct work *w, int hear, pid_t child, struct lodge_err *e)
{
	struct unpack *u = w->u;
	struct word word = {0};
	bool stopped = false;
	while (!word.end && read(hear, &word, sizeof word) == sizeof word) {
		char text[64];
		snprintf(text, sizeof text, "unpacking layer %zu of %zu", word.layer + 1,
			 u->config->ndiffs);
		if (!word.end && !stopped && word.layer < u->manifest->nlayers && u->progress &&
		    u->progress(u->user, text, word.done, u->manifest->layers[word.layer].size)) {
			stopped = true;
			close(hear);
			hear = -1;
			break;
		}
	}
	auto_close(&hear);
	int status = host_reap(child);
	if (stopped)
		return err_set(e, ECANCELED, "unpacking was stopped");
	if (!word.end)
		return err_set(e, EIO, "the process that unpacks ended by signal %d",
			       WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	u->bytes = word.bytes;
	u->devices = word.devices;
	u->owners = word.owners;
	return word.e.code ? err_set(e, word.e.code, "%s", word.e.msg) : 0;
}

static int work_fork(struct work *w, struct lodge_err *e)
{
	int ends[2];
	/* before: the child has no more than it needs, and finds no library in another root */
	int r = host_library_load(&image_archive, e);
	if (r == 0)
		r = host_library_load(&image_crypto, e);
	if (r < 0)
		return r;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "a pipe");
	w->say = ends[1];
	pid_t child = fork();
	if (child == 0) {
		host_signals_default();
		signal(SIGPIPE, SIG_IGN);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		work_child(w);
	}
	close(ends[1]);
	if (child < 0) {
		close(ends[0]);
		return err_sys(e, "a process that unpacks");
	}
	return work_follow(w, ends[0], child, e);
}

uint64_t layer_bytes(struct image_store *s, const char *chain)
{
	char path[80];
	autofree char *text = NULL;
	size_t len;
	snprintf(path, sizeof path, "%.64s/size", chain);
	return file_load(s->layers, path, 32, &text, &len, NULL) < 0 ? 0 : strtoull(text, NULL, 10);
}

int unpack_run(struct unpack *u, struct lodge_err *e)
{
	const struct image_config *c = u->config;
	if (c->ndiffs != u->manifest->nlayers)
		return err_set(e, EINVAL,
			       "the image's configuration speaks of %zu layers, its "
			       "manifest of %zu",
			       c->ndiffs, u->manifest->nlayers);
	struct work w = {.u = u,
			 .chain = calloc(c->ndiffs + 1, CHAIN),
			 .fresh = calloc(c->ndiffs + 1, sizeof *w.fresh)};
	int r = w.chain && w.fresh ? 0 : err_set(e, ENOMEM, "out of memory");
	if (r == 0 && c->ndiffs)
		chains_make(c, w.chain);
	for (size_t i = 0; r == 0 && i < c->ndiffs; i++)
		r = texts_add(&u->chains, w.chain[i]);
	bool all = true;
	for (size_t i = 0; r == 0 && i < c->ndiffs; i++)
		all &= faccessat(u->store->layers, w.chain[i], F_OK, 0) == 0;
	if (r == 0 && !all)
		r = work_fork(&w, e);
	free(w.chain);
	free(w.fresh);
	return r;
}

void unpack_fini(struct unpack *u) { image_texts_fini(&u->chains); }
