/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a device: made, reset, mapped, saved, freed; the same for every class. */
#include "dev/dev.h"

#define DEVICE(n) extern const struct dev_class dev_##n;
#include "dev/devices.def"
static const struct dev_class *const classes[] = {
#define DEVICE(n) &dev_##n,
#include "dev/devices.def"
};

const struct dev_class *dev_class_at(size_t i) { return i < countof(classes) ? classes[i] : NULL; }

const struct dev_class *dev_class_find(const char *name)
{
	for (size_t i = 0; i < countof(classes); i++)
		if (!strcmp(classes[i]->name, name))
			return classes[i];
	return NULL;
}

int dev_new(struct dev **ret, const struct dev_class *c, const struct dev_setup *s,
            struct lodge_err *e)
{
	struct dev *d = calloc(1, c->size);
	struct irq *irqs = calloc(s->nirqs + 1, sizeof *irqs);
	char *options = strdup(s->options ? s->options : "");
	if (!d || !irqs || !options) {
		free(d);
		free(irqs);
		free(options);
		return err_set(e, ENOMEM, "out of memory");
	}
	if (s->nirqs)
		memcpy(irqs, s->irqs, s->nirqs * sizeof *irqs);
	d->class = c;
	d->s = *s;
	d->s.irqs = irqs; /* owned from here on, as are the options */
	d->s.options = options;
	d->irq = irqs[0];
	pthread_mutex_init(&d->lock, NULL);
	int r = c->init ? c->init(d, e) : 0;
	if (r < 0) {
		dev_free(d);
		return err_in(e, r, "%s", c->name);
	}
	dev_reset(d);
	*ret = d;
	return 0;
}

void dev_free(struct dev *d)
{
	if (!d)
		return;
	if (d->mapped)
		bus_unmap(d->s.bus, d->base);
	if (d->class->fini)
		d->class->fini(d);
	pthread_mutex_destroy(&d->lock);
	free((void *)(uintptr_t)d->s.irqs);
	free((void *)(uintptr_t)d->s.options);
	free(d);
}

void dev_reset(struct dev *d)
{
	pthread_mutex_lock(&d->lock);
	d->class->reset(d);
	pthread_mutex_unlock(&d->lock);
}

void dev_resume(struct dev *d)
{
	pthread_mutex_lock(&d->lock);
	if (d->class->loaded && !d->class->loaded(d))
		d->class->reset(d);
	pthread_mutex_unlock(&d->lock);
}

/* {u32 length of the table's part, the table's part, the rest} */
static size_t dev_save_both(struct dev *d, uint8_t *buf, size_t cap)
{
	size_t n = state_save(d->class->state, d, NULL, 0);
	size_t need = 4 + n + d->class->save_more(d, NULL, 0);
	if (need > cap)
		return need;
	le32_put(buf, (uint32_t)n);
	state_save(d->class->state, d, buf + 4, n);
	d->class->save_more(d, buf + 4 + n, cap - 4 - n);
	return need;
}

size_t dev_save(struct dev *d, uint8_t *buf, size_t cap)
{
	pthread_mutex_lock(&d->lock);
	size_t n = d->class->save_more ? dev_save_both(d, buf, cap)
	                               : state_save(d->class->state, d, buf, cap);
	pthread_mutex_unlock(&d->lock);
	return n;
}

static bool dev_load_both(struct dev *d, const uint8_t *buf, size_t len)
{
	if (len < 4 || le32_at(buf) > len - 4)
		return false;
	size_t n = le32_at(buf);
	return state_load(d->class->state, d, buf + 4, n) &&
	       d->class->load_more(d, buf + 4 + n, len - 4 - n);
}

bool dev_load(struct dev *d, const uint8_t *buf, size_t len)
{
	pthread_mutex_lock(&d->lock);
	bool ok = d->class->load_more ? dev_load_both(d, buf, len)
	                              : state_load(d->class->state, d, buf, len);
	if (ok && d->class->loaded)
		ok = d->class->loaded(d);
	if (!ok)
		d->class->reset(d);
	pthread_mutex_unlock(&d->lock);
	return ok;
}

static uint64_t dev_bus_read(void *dev, uint64_t off, unsigned width)
{
	struct dev *d = dev;
	return d->class->read(d, off, width);
}

static void dev_bus_write(void *dev, uint64_t off, unsigned width, uint64_t val)
{
	struct dev *d = dev;
	d->class->write(d, off, width, val);
}

int dev_map(struct dev *d, struct gpa base, struct lodge_err *e)
{
	const struct dev_class *c = d->class;
	if (!d->s.bus || !c->mmio || d->mapped)
		return err_set(e, EINVAL, "%s cannot be mapped", c->name);
	d->ops = (struct bus_ops){ dev_bus_read, dev_bus_write, c->width_min, c->width_max };
	int r = bus_map(d->s.bus, base, c->mmio, &d->ops, d, c->locks_itself ? NULL : &d->lock, e);
	if (r < 0)
		return err_in(e, r, "%s", c->name);
	d->base = base;
	d->mapped = true;
	return 0;
}

/* ---- options: "key=value,key=value" ---- */

bool dev_option(const struct dev *d, const char *key, char *buf, size_t cap)
{
	size_t klen = strlen(key);
	for (const char *p = d->s.options; p && *p;) {
		const char *end = strchrnul(p, ',');
		if ((size_t)(end - p) > klen && !strncmp(p, key, klen) && p[klen] == '=') {
			p += klen + 1;
			size_t n = (size_t)(end - p);
			if (n >= cap)
				return false;
			memcpy(buf, p, n);
			buf[n] = 0;
			return true;
		}
		p = *end ? end + 1 : end;
	}
	return false;
}

int dev_option_u64(const struct dev *d, const char *key, uint64_t def, uint64_t min, uint64_t max,
                   uint64_t *ret_val, struct lodge_err *e)
{
	char buf[32], *end;
	if (!dev_option(d, key, buf, sizeof buf)) {
		*ret_val = def;
		return 0;
	}
	errno = 0;
	unsigned long long v = strtoull(buf, &end, 0);
	if (errno || end == buf || *end || buf[0] == '-' || v < min || v > max)
		return err_set(e, EINVAL, "option %s=%s is not a number %llu to %llu", key, buf,
		               (unsigned long long)min, (unsigned long long)max);
	*ret_val = v;
	return 0;
}
