/* SPDX-License-Identifier: Apache-2.0 */
/* From what the user asked for to what a level can run: images get a disk of their own in the
 * guest's folder, sizes become sparse files, images that only can be read get an overlay. */
#include "lib/lib.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/stat.h>

/* Set @key of the JSON configuration; NULL is left out. */
static void put(struct json_object *o, const char *key, const char *v)
{
	if (v)
		json_object_object_add(o, key, json_object_new_string(v));
}

static bool is_qcow2(const char *path)
{
	uint8_t magic[4];
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd >= 0 && read(fd, magic, 4) == 4 && !memcmp(magic, "QFI\xfb", 4);
}

/* A new sparse disk "disk<n>.raw". Its spec, malloc'ed. */
static int disk_new(struct instance *i, const struct life_disk *d, size_t n, char **ret,
		    struct lodge_err *e)
{
	char name[32];
	snprintf(name, sizeof name, "disk%zu.raw", n);
	autoclose int fd = openat(i->dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)d->size) < 0)
		return err_sys(e, "making a disk of %llu bytes", (unsigned long long)d->size);
	if (asprintf(ret, "%s/%s,format=raw%s%s%s", i->dir, name, d->bus ? ",bus=" : "",
		     d->bus ? d->bus : "", d->readonly ? ",ro" : "") < 0)
		return err_set(e, ENOMEM, "out of memory");
	return 0;
}

/* @spec (absolute) as a level shall get it. */
static int disk_prepare(struct instance *i, const char *spec, size_t n, char **ret,
			struct lodge_err *e)
{
	struct life_disk d = {0};
	int r = life_disk_parse(&d, spec, e);
	if (r < 0)
		return r;
	bool qcow2 = d.path && (d.format ? !strcmp(d.format, "qcow2") : is_qcow2(d.path));
	if (!d.path) {
		r = disk_new(i, &d, n, ret, e);
	} else if (qcow2 && !d.readonly && !d.overlay) {
		/* Writes to a qcow2 image go to an overlay of ours; the guest's folder is its
		 * place. */
		if (asprintf(ret, "%s,overlay=%s/disk%zu.overlay", spec, i->dir, n) < 0)
			r = err_set(e, ENOMEM, "out of memory");
	} else {
		*ret = strdup(spec);
		r = *ret ? 0 : err_set(e, ENOMEM, "out of memory");
	}
	life_disk_fini(&d);
	return r;
}

static int disks_prepare(struct instance *i, struct json_object *o, const char *first,
			 struct lodge_err *e)
{
	struct json_object *old = NULL, *list = json_object_new_array();
	if (first)
		json_object_array_add(list, json_object_new_string(first));
	json_object_object_get_ex(o, "disks", &old);
	size_t n = old ? json_object_array_length(old) : 0;
	for (size_t k = 0; k < n; k++) {
		autofree char *spec = NULL;
		const char *asked = json_object_get_string(json_object_array_get_idx(old, k));
		int r = disk_prepare(i, asked, k + (first != NULL), &spec, e);
		if (r < 0) {
			json_object_put(list);
			return r;
		}
		json_object_array_add(list, json_object_new_string(spec));
	}
	json_object_object_add(o, "disks", list);
	return 0;
}

/* @text as base64 (RFC 4648 §4); malloc'ed. */
static char *base64(const char *text)
{
	static const char digit[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = strlen(text), o = 0;
	char *ret = malloc((n + 2) / 3 * 4 + 1);
	if (!ret)
		return NULL;
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)(uint8_t)text[i] << 16;
		v |= i + 1 < n ? (uint32_t)(uint8_t)text[i + 1] << 8 : 0;
		v |= i + 2 < n ? (uint32_t)(uint8_t)text[i + 2] : 0;
		ret[o++] = digit[v >> 18 & 63];
		ret[o++] = digit[v >> 12 & 63];
		ret[o++] = i + 1 < n ? digit[v >> 6 & 63] : '=';
		ret[o++] = i + 2 < n ? digit[v & 63] : '=';
	}
	ret[o] = 0;
	return ret;
}

/* The arguments as one shell command: each quoted, or, when there is one only, as it is. */
static char *shell_command(const struct lodge_config *c)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	if (!f)
		return NULL;
	for (size_t i = 0; i < c->argc; i++) {
		if (c->argc == 1) {
			fputs(c->argv[0], f);
			break;
		}
		fputs(i ? " '" : "'", f);
		for (const char *p = c->argv[i]; *p; p++)
			fputs(*p == '\'' ? "'\\''" : (char[]){*p, 0}, f);
		fputc('\'', f);
	}
	return fclose(f) == 0 ? text : NULL;
}

/* The image's initramfs mounts what the command line names (guest/fetch). */
static int volumes_append(const struct lodge_config *c, FILE *f, struct lodge_err *e)
{
	for (size_t i = 0; i < c->nvolumes; i++) {
		struct life_volume v = {0};
		int r = life_volume_parse(&v, c->volumes[i], e);
		if (r < 0)
			return r;
		if (strpbrk(v.target, " \t\"'\\*?["))
			r = err_set(e, EINVAL,
				    "--volume %s: blanks, quotes and wildcards cannot be "
				    "in the guest's path",
				    c->volumes[i]);
		else
			fprintf(f, " lodge.mount=lodge%zu:%s%s", i, v.target,
				v.readonly ? ":ro" : "");
		life_volume_fini(&v);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The kernel command line: the image's, what carries the arguments, the user's. */
static int append_prepare(const struct image *m, const struct lodge_config *c,
			  struct json_object *o, struct lodge_err *e)
{
	autofree char *command = c->argc && !m->disk ? shell_command(c) : NULL;
	autofree char *coded = command ? base64(command) : NULL;
	autofree char *text = NULL;
	size_t len = 0;
	if (c->argc && !m->disk && !coded)
		return err_set(e, ENOMEM, "out of memory");
	FILE *f = open_memstream(&text, &len);
	if (!f)
		return err_set(e, ENOMEM, "out of memory");
	fputs(m->append, f);
	if (coded)
		fprintf(f, " quiet lodge.run64=%s", coded);
	for (size_t i = 0; i < c->nenv; i++)
		fprintf(f, strpbrk(c->env[i], " \t") ? " \"lodge.env=%s\"" : " lodge.env=%s",
			c->env[i]);
	int r = volumes_append(c, f, e);
	if (c->append)
		fprintf(f, " %s", c->append);
	if (fclose(f) != 0)
		return err_set(e, ENOMEM, "out of memory");
	if (r == 0)
		put(o, "append", text);
	return r;
}

static int image_missing(const struct image *m, struct lodge_err *e)
{
	return err_set(e, ENOENT, "the image %s is not in the cache; get it with: lodge pull %s",
		       m->name, m->name);
}

static int image_prepare(struct instance *i, const struct image *m, const struct lodge_config *c,
			 struct json_object *o, struct lodge_err *e)
{
	if (!image_ready(m))
		return image_missing(m, e);
	autofree char *kernel = image_file(m, m->kernel);
	autofree char *initrd = image_file(m, m->initrd);
	autofree char *disk = m->disk ? image_file(m, m->disk) : NULL;
	autofree char *spec = NULL;
	if (!kernel || !initrd || (m->disk && !disk))
		return err_set(e, ENOMEM, "out of memory");
	if (!c->kernel)
		put(o, "kernel", kernel);
	if (!c->initrd)
		put(o, "initrd", initrd);
	int r = append_prepare(m, c, o, e);
	if (r == 0 && disk) {
		r = copy_sparse(disk, i->dirfd, "root.raw", 0, e);
		if (r == 0 && asprintf(&spec, "%s/root.raw,format=raw", i->dir) < 0)
			r = err_set(e, ENOMEM, "out of memory");
	}
	return r < 0 ? r : disks_prepare(i, o, spec, e);
}

/* A program in a machine of its own: the kernel, and the modules that its root needs. */
static int root_prepare(struct instance *i, const struct lodge_config *c, struct json_object *o,
			struct lodge_err *e)
{
	/* What a machine that is made for one program, and looks at nobody's signatures, can do
	 * without: two thirds of the instructions that a boot takes are tests of algorithms. */
	static const char quick[] = "quiet cryptomgr.notests lsm=landlock,yama initcall_blacklist="
				    "jent_mod_init,load_system_certificate_list,crypto_kdf108_init,"
				    "init_encrypted,init_kprobe_trace";
	const struct image *m = image_of_roots();
	autofree char *text = NULL;
	if (!c->kernel) {
		if (!image_ready(m))
			return image_missing(m, e);
		autofree char *kernel = image_file(m, m->kernel);
		autofree char *modules = image_file(m, "initrd-root");
		if (!kernel || !modules)
			return err_set(e, ENOMEM, "out of memory");
		put(o, "kernel", kernel);
		put(o, "initrd", modules);
	}
	if (asprintf(&text, "%s%s%s", quick, c->append ? " " : "", c->append ? c->append : "") < 0)
		return err_set(e, ENOMEM, "out of memory");
	put(o, "append", text);
	return disks_prepare(i, o, NULL, e);
}

int prepare_config(struct instance *i, const struct lodge_config *c, struct json_object **ret,
		   struct lodge_err *e)
{
	struct json_object *o = life_config_json(c);
	bool rooted = lodge_has_first(c);
	const struct image *m = c->guest && !rooted ? image_find(c->guest) : NULL;
	put(o, "name", i->name);
	int r = rooted ? root_prepare(i, c, o, e)
		: m    ? image_prepare(i, m, c, o, e)
		       : disks_prepare(i, o, NULL, e);
	if (r < 0) {
		json_object_put(o);
		return r;
	}
	*ret = o;
	return 0;
}
