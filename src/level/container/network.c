/* SPDX-License-Identifier: Apache-2.0 */
/* The folders of networks, and who has which address. A lease is a file that appears whole; it is
 * in use as long as its container's folder is locked, so nobody has to give one back. */
#include "level/container/network.h"
#include "host/host.h"
#include "level/container/container.h"
#include "level/container/stay.h"
#include "life/life.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

static const char usual[] = "bridge", json_name[] = "network.json";
enum { JSON_MAX = 65536, POOL = 0x0a4e0000 /* 10.78.0.0 */, POOL_PREFIX = 24, POOL_NETS = 256 };

/* ---- folders ---- */

static int name_check(const char *name, struct lodge_err *e)
{
	static const char *const words[] = {"user", "none", "host", "tap"};
	bool good = isalnum((unsigned char)name[0]) && strlen(name) < NETWORK_NAME;
	for (const char *p = name; good && *p; p++)
		good = isalnum((unsigned char)*p) || strchr("_.-", *p);
	if (!good)
		return err_set(e, EINVAL,
		               "'%.80s' is no name of a network: letters, digits, _ . and -, at "
		               "most %d", name, NETWORK_NAME - 1);
	for (size_t i = 0; i < countof(words); i++)
		if (!strcmp(name, words[i]))
			return err_set(e, EINVAL, "a network cannot be called %s, which --net has "
			               "for something else", name);
	return 0;
}

static int all_open(struct network *n, struct lodge_err *e)
{
	autofree char *data = life_home("data");
	if (!data || asprintf(&n->all, "%s/networks", data) < 0) {
		n->all = NULL;
		return err_set(e, ENOMEM, "out of memory");
	}
	int r = file_make_folders(n->all, 0700, 0700, e);
	if (r < 0)
		return r;
	n->lock = open(n->all, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (n->lock < 0)
		return err_sys(e, "%s", n->all);
	while (flock(n->lock, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_sys(e, "locking %s", n->all);
	return 0;
}

/* A name of the kernel's for it, which networks of other users and folders do not have. */
static int name_set(struct network *n, const char *name, struct lodge_err *e)
{
	uint8_t sum[32];
	int r = name_check(name, e);
	if (r < 0)
		return r;
	strcpy(n->name, name);
	if (asprintf(&n->dir, "%s/%s", n->all, name) < 0) {
		n->dir = NULL;
		return err_set(e, ENOMEM, "out of memory");
	}
	sha256(n->dir, strlen(n->dir), sum);
	snprintf(n->bridge, sizeof n->bridge, "lodge-%02x%02x%02x%02x", sum[0], sum[1], sum[2],
	         sum[3]);
	return 0;
}

static int network_load(struct network *n, struct lodge_err *e)
{
	autofree char *text = NULL;
	size_t len;
	struct json_object *v = NULL;
	autoclose int dir = open(n->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 && errno == ENOENT)
		return err_set(e, ENOENT, "there is no network '%s'; lodge network ls lists them",
		               n->name);
	int r = dir < 0 ? err_sys(e, "%s", n->dir) : file_load(dir, json_name, JSON_MAX, &text,
	                                                       &len, e);
	if (r < 0)
		return err_in(e, r, "the network %s", n->name);
	struct json_object *o = json_tokener_parse(text);
	const char *subnet = inspected_text(o, "subnet");
	r = link_net_parse(subnet ? subnet : "", &n->net, &n->prefix, e);
	n->chosen = json_object_object_get_ex(o, "chosen", &v) && json_object_get_boolean(v);
	json_object_put(o);
	return r < 0 ? err_in(e, r, "%s/%s", n->dir, json_name) : 0;
}

static int network_save(const struct network *n, struct lodge_err *e)
{
	char address[LINK_TEXT], subnet[LINK_TEXT + 4];
	int r = file_make_folders(n->dir, 0700, 0700, e);
	autoclose int dir = r < 0 ? -1 : open(n->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r < 0)
		return r;
	if (dir < 0 || (mkdirat(dir, "leases", 0700) < 0 && errno != EEXIST))
		return err_sys(e, "%s", n->dir);
	struct json_object *o = json_object_new_object();
	link_text(n->net, address);
	snprintf(subnet, sizeof subnet, "%s/%u", address, n->prefix);
	json_object_object_add(o, "subnet", json_object_new_string(subnet));
	json_object_object_add(o, "chosen", json_object_new_boolean(n->chosen));
	const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_NOSLASHESCAPE);
	r = file_replace(dir, json_name, text, strlen(text), e);
	json_object_put(o);
	return r;
}

void network_close(struct network *n)
{
	free(n->all);
	free(n->dir);
	auto_close(&n->lock);
	*n = NETWORK_NONE;
}

/* Names of networks, with the lock of all of them. */
static int names_each(const struct network *all, int (*fn)(void *arg, const char *name), void *arg)
{
	int r = 0;
	DIR *d = opendir(all->all);
	for (struct dirent *de; r == 0 && d && (de = readdir(d));)
		if (de->d_type == DT_DIR && name_check(de->d_name, NULL) == 0)
			r = fn(arg, de->d_name);
	if (d)
		closedir(d);
	return r;
}

struct overlap {
	const struct network *n;
	char with[NETWORK_NAME]; /* "": none */
};

static int overlap_look(void *arg, const char *name)
{
	struct overlap *o = arg;
	struct network other = {.lock = -1, .all = o->n->all};
	if (!strcmp(name, o->n->name))
		return 0;
	int r = name_set(&other, name, NULL);
	if (r == 0)
		r = network_load(&other, NULL);
	if (r == 0) {
		uint32_t mask = link_mask(o->n->prefix) & link_mask(other.prefix);
		if (!((o->n->net ^ other.net) & mask))
			strcpy(o->with, name);
	}
	free(other.dir);
	return o->with[0] != 0;
}

static bool net_free(const struct network *n, char with[NETWORK_NAME])
{
	struct overlap o = {.n = n};
	if (link_net_taken(n->net, n->prefix, n->bridge))
		strcpy(o.with, "the host");
	else
		(void)!names_each(n, overlap_look, &o);
	strcpy(with, o.with);
	return !o.with[0];
}

int network_choose(struct network *n, struct lodge_err *e)
{
	char with[NETWORK_NAME];
	n->chosen = true;
	n->prefix = POOL_PREFIX;
	for (uint32_t i = 0; i < POOL_NETS; i++) {
		n->net = POOL + (i << (32 - POOL_PREFIX));
		if (net_free(n, with))
			return network_save(n, e);
	}
	return err_set(e, EADDRNOTAVAIL, "no network of 10.78.0.0/16 is free: name another by "
	               "lodge network create --subnet");
}

int network_open(struct network *ret, const char *name, struct lodge_err *e)
{
	struct network n = NETWORK_NONE;
	int r = all_open(&n, e);
	if (r == 0)
		r = name_set(&n, name, e);
	if (r == 0) {
		r = network_load(&n, e);
		if (r == -ENOENT && !strcmp(name, usual))
			r = network_choose(&n, e);
	}
	if (r < 0)
		network_close(&n);
	else
		*ret = n;
	return r;
}

/* ---- leases ---- */

/* The folder of containers is beside that of networks. */
static bool container_lives(const struct network *n, const char *id)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%.3800s/../containers", n->all);
	return stay_lives(path, id);
}

static int leases_open(const struct network *n, struct lodge_err *e)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%.4000s/leases", n->dir);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, "%s", path) : fd;
}

static bool lease_read(int dir, const char *name, struct network_lease *l)
{
	autofree char *text = NULL;
	size_t len;
	struct in_addr a;
	*l = (struct network_lease){0};
	if (inet_pton(AF_INET, name, &a) != 1 || file_load(dir, name, 1024, &text, &len, NULL) < 0)
		return false;
	l->address = ntohl(a.s_addr);
	return sscanf(text, "%63s %63s %63s", l->id, l->host, l->guest) >= 2;
}

int network_leases(const struct network *n, int (*fn)(void *arg, const struct network_lease *l),
                   void *arg, struct lodge_err *e)
{
	int dir = leases_open(n, e), r = 0;
	DIR *d = dir < 0 ? NULL : fdopendir(dir);
	if (!d)
		return dir < 0 ? dir : err_sys(e, "%s", n->dir);
	for (struct dirent *de; r == 0 && (de = readdir(d));) {
		struct network_lease l;
		if (de->d_name[0] == '.')
			continue;
		if (!lease_read(dirfd(d), de->d_name, &l) || !container_lives(n, l.id))
			unlinkat(dirfd(d), de->d_name, 0);
		else
			r = fn(arg, &l);
	}
	closedir(d);
	return r;
}

static int lease_count(void *arg, const struct network_lease *l)
{
	(void)l;
	++*(unsigned *)arg;
	return 0;
}

unsigned network_members(const struct network *n)
{
	unsigned count = 0;
	(void)!network_leases(n, lease_count, &count, NULL); /* a damaged one has none */
	return count;
}

struct taken {
	const struct network *n;
	uint8_t *bits; /* of its addresses */
};

static int taken_add(void *arg, const struct network_lease *l)
{
	struct taken *t = arg;
	uint32_t at = l->address - t->n->net;
	if (!(at & link_mask(t->n->prefix)))
		t->bits[at / 8] |= (uint8_t)(1 << at % 8);
	return 0;
}

int network_lease(const struct network *n, struct network_lease *l, struct lodge_err *e)
{
	uint32_t all = ~link_mask(n->prefix), at = 2;
	char name[LINK_TEXT], text[4 * NETWORK_FIELD];
	struct taken t = {n, calloc(all / 8 + 1, 1)};
	int r = t.bits ? network_leases(n, taken_add, &t, e) : err_set(e, ENOMEM, "out of memory");
	while (r == 0 && at < all && t.bits[at / 8] >> at % 8 & 1)
		at++;
	free(t.bits);
	if (r < 0)
		return r;
	if (at >= all)
		return err_set(e, EADDRNOTAVAIL, "the network %s has no address left", n->name);
	l->address = n->net + at;
	link_text(l->address, name);
	snprintf(text, sizeof text, "%s %s %s\n", l->id, l->host, l->guest);
	autoclose int dir = leases_open(n, e);
	return dir < 0 ? dir : file_replace(dir, name, text, strlen(text), e);
}

void network_release(const struct network *n, uint32_t address)
{
	char name[LINK_TEXT];
	autoclose int dir = leases_open(n, NULL);
	link_text(address, name);
	if (dir >= 0)
		unlinkat(dir, name, 0);
}

/* ---- for people ---- */

int container_network_create(const char *name, const char *subnet, struct lodge_err *e)
{
	struct network n = NETWORK_NONE;
	char with[NETWORK_NAME];
	int r = all_open(&n, e);
	if (r == 0)
		r = name_set(&n, name, e);
	if (r == 0 && access(n.dir, F_OK) == 0)
		r = err_set(e, EEXIST, "there is a network '%s' already", name);
	if (r == 0 && !subnet)
		r = network_choose(&n, e);
	else if (r == 0)
		r = link_net_parse(subnet, &n.net, &n.prefix, e);
	if (r == 0 && subnet && !net_free(&n, with))
		r = err_set(e, EADDRINUSE, "%s: %s has addresses in it", subnet, with);
	if (r == 0 && subnet)
		r = network_save(&n, e);
	network_close(&n);
	return r;
}

static int lease_describe(void *arg, const struct network_lease *l)
{
	struct json_object *o = json_object_new_object();
	char address[LINK_TEXT];
	link_text(l->address, address);
	json_object_object_add(o, "address", json_object_new_string(address));
	json_object_object_add(o, "id", json_object_new_string(l->id));
	json_object_object_add(o, "hostname", json_object_new_string(l->host));
	if (l->guest[0])
		json_object_object_add(o, "guest", json_object_new_string(l->guest));
	return json_object_array_add(arg, o);
}

static struct json_object *network_describe(const struct network *n)
{
	struct json_object *o = json_object_new_object(), *members = json_object_new_array();
	char address[LINK_TEXT], subnet[LINK_TEXT + 4];
	json_object_object_add(o, "name", json_object_new_string(n->name));
	link_text(n->net, address);
	snprintf(subnet, sizeof subnet, "%s/%u", address, n->prefix);
	json_object_object_add(o, "subnet", json_object_new_string(subnet));
	link_text(network_gateway(n), address);
	json_object_object_add(o, "gateway", json_object_new_string(address));
	json_object_object_add(o, "interface", json_object_new_string(n->bridge));
	(void)!network_leases(n, lease_describe, members, NULL);
	json_object_object_add(o, "members", members);
	return o;
}

int container_network_inspect(const char *name, struct json_object **ret, struct lodge_err *e)
{
	struct network n;
	int r = network_open(&n, name, e);
	if (r < 0)
		return r;
	*ret = network_describe(&n);
	network_close(&n);
	return 0;
}

int container_network_check(const char *name, struct lodge_err *e)
{
	struct network n;
	if (!strcmp(name, usual))
		return 0;
	int r = network_open(&n, name, e);
	if (r == 0)
		network_close(&n);
	return r;
}

struct listing {
	const struct network *all;
	struct json_object *to;
};

static int listing_add(void *arg, const char *name)
{
	struct listing *l = arg;
	struct network n = {.lock = -1, .all = l->all->all};
	if (name_set(&n, name, NULL) == 0 && network_load(&n, NULL) == 0)
		json_object_array_add(l->to, network_describe(&n));
	free(n.dir);
	return 0;
}

static int listing_order(const void *a, const void *b)
{
	struct json_object *const *x = a, *const *y = b;
	return strcmp(json_object_get_string(json_object_object_get(*x, "name")),
	              json_object_get_string(json_object_object_get(*y, "name")));
}

int container_network_list(struct json_object **ret, struct lodge_err *e)
{
	struct network n = NETWORK_NONE;
	struct listing l = {&n, json_object_new_array()};
	int r = all_open(&n, e);
	if (r == 0)
		r = names_each(&n, listing_add, &l);
	network_close(&n);
	if (r < 0) {
		json_object_put(l.to);
		return r;
	}
	json_object_array_sort(l.to, listing_order);
	*ret = l.to;
	return 0;
}

int container_network_remove(const char *name, struct lodge_err *e)
{
	struct network n = NETWORK_NONE;
	int s, r = all_open(&n, e);
	if (r == 0)
		r = name_set(&n, name, e);
	if (r == 0 && access(n.dir, F_OK) < 0)
		r = err_set(e, ENOENT, "there is no network '%s'; lodge network ls lists them",
		            name);
	unsigned used = r == 0 ? network_members(&n) : 0;
	if (used)
		r = err_set(e, EBUSY, "%u container%s in the network %s", used,
		            used == 1 ? " is" : "s are", name);
	if (r == 0)
		r = file_remove_tree(AT_FDCWD, n.dir, e);
	if (r == 0 && geteuid() == 0 && link_open(&s, -1, NULL) == 0) {
		(void)!link_remove(s, n.bridge, NULL); /* which killed ones may have left */
		close(s);
	}
	network_close(&n);
	return r;
}
