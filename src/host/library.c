/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries that are loaded when they are first wanted: linking them took longer than a small
 * program runs. */
#include "host/host.h"
#include <dlfcn.h>

static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

static int library_bind(const struct host_library *l, struct lodge_err *e)
{
	void *lib = dlopen(l->file, RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return err_set(e, ENOENT, "%s is needed for this: install the package %s (%s)",
		               l->file, l->package, dlerror());
	size_t n = 0;
	/* the first one last: it says that all are there */
	for (const char *name = l->names; *name; name += strlen(name) + 1, n++) {
		void *at = dlsym(lib, name);
		if (!at)
			return err_set(e, ENOENT, "%s has no %s: the package %s is too old or new",
			               l->file, name, l->package);
		if (n)
			l->at[n] = at;
	}
	__atomic_store_n(&l->at[0], dlsym(lib, l->names), __ATOMIC_RELEASE);
	return 0;
}

int host_library_load(const struct host_library *l, struct lodge_err *e)
{
	if (__atomic_load_n(&l->at[0], __ATOMIC_ACQUIRE))
		return 0;
	pthread_mutex_lock(&loading);
	int r = l->at[0] ? 0 : library_bind(l, e);
	pthread_mutex_unlock(&loading);
	return r;
}

/* Filled before main, only read afterwards. */
static struct host_library_node *listed;

void host_library_list(struct host_library_node *n)
{
	n->next = listed;
	listed = n;
}

void host_libraries_load(void)
{
	for (const struct host_library_node *n = listed; n; n = n->next)
		(void)!host_library_load(n->lib, NULL); /* who needs it says what is missing */
}
