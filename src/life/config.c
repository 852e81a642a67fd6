/* SPDX-License-Identifier: Apache-2.0 */
/* What a user may write: names, sizes, times, disks, volumes, ports; all checked here. */
#include "life/internal.h"
#include <ctype.h>
#include <stdio.h>
#include <sys/stat.h>

enum { CPUS_MAX = 1024, ITEMS_MAX = 256, TEXT_MAX = 65536 };
static const uint64_t MEMORY_MAX = 1ull << 48;

bool life_name_good(const char *name)
{
	size_t n = strlen(name);
	if (n == 0 || n > LIFE_NAME_MAX || !isalnum((unsigned char)name[0]))
		return false;
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("_.-", *p))
			return false;
	return true;
}

/* Decimal digits, with up to nine after a point: value = whole + part / 10^9. */
static const char *number_read(const char *p, uint64_t *ret_whole, uint64_t *ret_part)
{
	uint64_t whole = 0, part = 0, scale = 100000000;
	if (!isdigit((unsigned char)*p))
		return NULL;
	for (; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(whole, 10u, &whole) ||
		    __builtin_add_overflow(whole, (uint64_t)(*p - '0'), &whole))
			return NULL;
	if (*p == '.' && isdigit((unsigned char)p[1]))
		for (p++; isdigit((unsigned char)*p); p++, scale /= 10)
			part += scale * (uint64_t)(*p - '0');
	*ret_whole = whole;
	*ret_part = part;
	return p;
}

/* (whole + part / 10^9) * unit; false: too large. */
static bool number_scale(uint64_t whole, uint64_t part, uint64_t unit, uint64_t *ret)
{
	unsigned __int128 v = (unsigned __int128)whole * unit;
	v += (unsigned __int128)part * unit / 1000000000u;
	*ret = (uint64_t)v;
	return v <= INT64_MAX;
}

int life_parse_size(const char *text, uint64_t *ret, struct lodge_err *e)
{
	static const char units[] = "KMGTP";
	uint64_t whole, part, v, unit = 1;
	const char *p = number_read(text, &whole, &part);
	const char *u = p && *p ? strchr(units, toupper((unsigned char)*p)) : NULL;
	if (u) {
		unit = 1ull << (10 * (u - units + 1));
		p++;
		if (*p == 'i')
			p++;
	}
	if (p && toupper((unsigned char)*p) == 'B')
		p++;
	if (!p || *p || (part && unit == 1) || !number_scale(whole, part, unit, &v))
		return err_set(e, EINVAL, "'%s' is not a size; write for example 512M or 8G", text);
	*ret = v;
	return 0;
}

static uint64_t time_unit(const char **p)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {{"ms", 1000000},   {"us", 1000},       {"ns", 1},
		     {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000}};
	for (size_t i = 0; i < countof(units); i++)
		if (!strncmp(*p, units[i].name, strlen(units[i].name))) {
			*p += strlen(units[i].name);
			return units[i].ns;
		}
	return **p ? 0 : 1000000000;
}

int life_parse_time(const char *text, uint64_t *ret_ns, struct lodge_err *e)
{
	uint64_t sum = 0;
	const char *p = text;
	do {
		uint64_t whole, part, v, unit;
		p = number_read(p, &whole, &part);
		unit = p ? time_unit(&p) : 0;
		if (!unit || !number_scale(whole, part, unit, &v) ||
		    __builtin_add_overflow(sum, v, &sum) || sum > INT64_MAX)
			return err_set(e, EINVAL, "'%s' is not a time; write for example 90s or 5m",
				       text);
	} while (*p);
	*ret_ns = sum;
	return 0;
}

/* ---- disks and volumes ---- */

void life_disk_fini(struct life_disk *d)
{
	free(d->path);
	free(d->format);
	free(d->bus);
	free(d->overlay);
	*d = (struct life_disk){0};
}

static int disk_word(struct life_disk *d, const char *word, struct lodge_err *e)
{
	const char *eq = strchr(word, '=');
	size_t n = eq ? (size_t)(eq - word) : strlen(word);
	char **to = NULL;
	if (!eq && !strcmp(word, "ro")) {
		d->readonly = true;
		return 0;
	}
	if (eq && n == 6 && !strncmp(word, "format", n)) {
		if (strcmp(eq + 1, "raw") && strcmp(eq + 1, "qcow2") && strcmp(eq + 1, "overlay"))
			return err_set(e, EINVAL, "disk format '%s'; raw, qcow2 and overlay exist",
				       eq + 1);
		to = &d->format;
	} else if (eq && n == 3 && !strncmp(word, "bus", n)) {
		if (strcmp(eq + 1, "mmio") && strcmp(eq + 1, "pci"))
			return err_set(e, EINVAL, "disk bus '%s'; mmio and pci exist", eq + 1);
		to = &d->bus;
	} else if (eq && n == 7 && !strncmp(word, "overlay", n) && eq[1]) {
		to = &d->overlay;
	}
	if (!to)
		return err_set(e, EINVAL, "disk option '%s'; format=, bus=, overlay= and ro exist",
			       word);
	free(*to);
	*to = strdup(eq + 1);
	return *to ? 0 : err_set(e, ENOMEM, "out of memory");
}

static int disk_fill(struct life_disk *d, char *copy, struct lodge_err *e)
{
	char *rest = strchr(copy, ',');
	if (rest)
		*rest++ = 0;
	if (!*copy)
		return err_set(e, EINVAL, "a disk needs a file or a size");
	struct stat st;
	/* What reads as a size is one, unless a file has that name. */
	if (!isdigit((unsigned char)*copy) || stat(copy, &st) == 0 ||
	    life_parse_size(copy, &d->size, NULL) < 0) {
		d->size = 0;
		d->path = strdup(copy);
		if (!d->path)
			return err_set(e, ENOMEM, "out of memory");
	} else if (d->size < 512 || d->size % 512) {
		return err_set(e, EINVAL, "a disk of %s is not a whole number of 512-byte sectors",
			       copy);
	}
	for (char *word; (word = strsep(&rest, ","));) {
		int r = disk_word(d, word, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int life_disk_parse(struct life_disk *ret, const char *spec, struct lodge_err *e)
{
	struct life_disk d = {0};
	autofree char *copy = strdup(spec);
	if (!copy)
		return err_set(e, ENOMEM, "out of memory");
	int r = disk_fill(&d, copy, e);
	if (r < 0) {
		life_disk_fini(&d);
		return err_in(e, r, "--disk %s", spec);
	}
	*ret = d;
	return 0;
}

const char *life_option(const struct lodge_config *c, const char *key)
{
	size_t n = strlen(key);
	for (size_t i = c->noptions; i-- > 0;)
		if (!strncmp(c->options[i], key, n) && c->options[i][n] == '=')
			return c->options[i] + n + 1;
	return NULL;
}

/* ---- the whole ---- */

static bool port_good(const char *p, size_t n)
{
	unsigned v = 0;
	if (n == 0 || n > 5)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!isdigit((unsigned char)p[i]))
			return false;
		v = v * 10 + (unsigned)(p[i] - '0');
	}
	return v >= 1 && v <= 65535;
}

/* [BIND:]HOST:GUEST[/tcp|/udp]; BIND is the net room's to understand. */
static int publish_check(const char *s, struct lodge_err *e)
{
	size_t n = strcspn(s, "/");
	const char *guest = memrchr(s, ':', n);
	bool good = guest && (!s[n] || !strcmp(s + n, "/tcp") || !strcmp(s + n, "/udp"));
	if (good) {
		const char *host = memrchr(s, ':', (size_t)(guest - s));
		host = host ? host + 1 : s;
		good = port_good(host, (size_t)(guest - host)) &&
		       port_good(guest + 1, n - (size_t)(guest + 1 - s));
	}
	if (!good)
		return err_set(e, EINVAL,
			       "--publish %s: write [BIND:]HOST:GUEST[/udp], ports from 1 to 65535",
			       s);
	return 0;
}

static int pair_check(const char *what, const char *s, struct lodge_err *e)
{
	const char *eq = strchr(s, '=');
	if (!eq || eq == s)
		return err_set(e, EINVAL, "--%s %s: write KEY=VALUE", what, s);
	return 0;
}
static int env_check(const char *s, struct lodge_err *e) { return pair_check("env", s, e); }
static int label_check(const char *s, struct lodge_err *e)
{
	return *s && *s != '=' ? 0 : err_set(e, EINVAL, "--label %s: write KEY or KEY=VALUE", s);
}
static int option_check(const char *s, struct lodge_err *e) { return pair_check("option", s, e); }
static int text_check(const char *s, struct lodge_err *e)
{
	(void)s;
	(void)e;
	return 0;
}

static int disk_check(const char *s, struct lodge_err *e)
{
	struct life_disk d = {0};
	int r = life_disk_parse(&d, s, e);
	if (r == 0 && d.path && access(d.path, d.readonly || d.overlay ? R_OK : R_OK | W_OK) < 0)
		r = err_sys(e, "--disk %s", d.path);
	life_disk_fini(&d);
	return r;
}

static int volume_check(const char *s, struct lodge_err *e)
{
	struct life_volume v = {0};
	struct stat st;
	int r = life_volume_parse_any(&v, s, e);
	if (r == 0 && stat(v.source, &st) < 0)
		r = err_sys(e, "--volume %s", v.source);
	else if (r == 0 && !S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		r = err_set(e, ENOTDIR, "--volume %s: neither a folder nor a file", v.source);
	life_volume_fini(&v);
	return r;
}

int life_volumes_folders(const struct lodge_config *c, struct lodge_err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < c->nvolumes; i++) {
		struct life_volume v = {0};
		struct stat st;
		r = life_volume_parse(&v, c->volumes[i], e);
		if (r == 0 && stat(v.source, &st) == 0 && !S_ISDIR(st.st_mode))
			r = err_set(e, ENOTDIR, "--volume %s: not a folder", v.source);
		life_volume_fini(&v);
	}
	return r;
}

static int file_check(const char *what, const char *path, struct lodge_err *e)
{
	struct stat st;
	if (!path)
		return 0;
	if (stat(path, &st) < 0 || access(path, R_OK) < 0)
		return err_sys(e, "--%s %s", what, path);
	if (S_ISDIR(st.st_mode))
		return err_set(e, EISDIR, "--%s %s: is a folder", what, path);
	return 0;
}

/* @v is NULL or one of the words in @allowed ("a b c"). */
static int word_check(const char *what, const char *v, const char *allowed, struct lodge_err *e)
{
	if (!v)
		return 0;
	size_t n = strlen(v);
	for (const char *p = allowed; *p;) {
		size_t m = strcspn(p, " ");
		if (m == n && !strncmp(p, v, n))
			return 0;
		p += m + strspn(p + m, " ");
	}
	return err_set(e, EINVAL, "--%s %s: one of: %s", what, v, allowed);
}

static int list_check(const char *what, const char *const *v, size_t n,
		      int (*one)(const char *, struct lodge_err *), struct lodge_err *e)
{
	if (n > ITEMS_MAX)
		return err_set(e, E2BIG, "%zu times --%s; %d are allowed", n, what, ITEMS_MAX);
	for (size_t i = 0; i < n; i++) {
		if (strlen(v[i]) > TEXT_MAX)
			return err_set(e, E2BIG, "a --%s is too long", what);
		int r = one(v[i], e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int lists_check(const struct lodge_config *c, struct lodge_err *e)
{
	int r = list_check("disk", c->disks, c->ndisks, disk_check, e);
	if (r == 0)
		r = list_check("volume", c->volumes, c->nvolumes, volume_check, e);
	if (r == 0)
		r = list_check("publish", c->publish, c->npublish, publish_check, e);
	if (r == 0)
		r = list_check("env", c->env, c->nenv, env_check, e);
	if (r == 0)
		r = list_check("option", c->options, c->noptions, option_check, e);
	if (r == 0)
		r = list_check("label", c->labels, c->nlabels, label_check, e);
	return r ? r : list_check("argument", c->argv, c->argc, text_check, e);
}

bool life_net_is_network(const char *net)
{
	return net && strcmp(net, "user") != 0 && strcmp(net, "none") != 0 &&
	       strcmp(net, "host") != 0 && strncmp(net, "tap:", 4) != 0;
}

static int net_check(const char *net, struct lodge_err *e)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789_.-";
	bool tap = net && !strncmp(net, "tap:", 4);
	if (!net || (tap && net[4] && strlen(net + 4) < 16) ||
	    (!tap && *net && strspn(net, good) == strlen(net) && strlen(net) < 64))
		return 0;
	return err_set(e, EINVAL,
		       "--net %s: user, none, tap:NAME or, containers, host, bridge or the name of "
		       "a network", net);
}

int life_config_check(const struct lodge_config *c, struct lodge_err *e)
{
	int r = 0;
	if (c->name && !life_name_good(c->name))
		return err_set(e, EINVAL,
			       "'%s' cannot be a name: a letter or digit, then letters, digits and "
			       "_ . -, at most %d in all",
			       c->name, LIFE_NAME_MAX);
	if (!c->guest && !c->kernel && !c->firmware)
		return err_set(e, EINVAL, "nothing to run: name a guest, or give --kernel");
	if (c->memory && (c->memory < 1 << 20 || c->memory > MEMORY_MAX || c->memory % 4096))
		return err_set(e, EINVAL, "--memory must be from 1M to 256T, in whole pages of 4K");
	if (c->cpus > CPUS_MAX)
		return err_set(e, EINVAL, "--cpus %u is more than %d", c->cpus, CPUS_MAX);
	if ((r = word_check("accel", c->accel, "auto interpret translate direct kvm", e)) < 0 ||
	    (r = word_check("bus", c->bus, "mmio pci", e)) < 0 ||
	    (r = word_check("mmu", c->mmu, "sv39 sv48 sv57", e)) < 0 ||
	    (r = net_check(c->net, e)) < 0 || (r = file_check("kernel", c->kernel, e)) < 0 ||
	    (r = file_check("initrd", c->initrd, e)) < 0 ||
	    (r = file_check("firmware", c->firmware, e)) < 0)
		return r;
	if (c->append && strlen(c->append) > TEXT_MAX)
		return err_set(e, E2BIG, "--append is too long");
	r = life_limits_check(c, e);
	return r < 0 ? r : lists_check(c, e);
}
