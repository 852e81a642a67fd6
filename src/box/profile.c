/* SPDX-License-Identifier: Apache-2.0 */
/* The seccomp profile of a configuration as a program of the kernel's. Making it takes longer than
 * all the rest of a start, so it is kept, under a name that says what it was made from. What newer
 * kernels have and a profile could not know is answered with ENOSYS, as if it were not there yet,
 * for with any other answer C libraries give up. OCI-RT 1.2 config-linux.md "Seccomp", seccomp(2)
 */
#include "box/internal.h"
#include <ctype.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { MAGIC = 0x1062c0de, FORMAT = 2, PROGRAM_MAX = 1 << 16, PROLOGUE = 6, OWN_ERRNO = EPERM };

/* ---- its name ---- */

struct text {
	char *at;
	size_t n, cap;
	bool bad;
};

static void text_add(struct text *t, const void *p, size_t n)
{
	if (t->n + n > t->cap) {
		size_t cap = (t->cap + n) * 2;
		char *at = realloc(t->at, cap);
		if (!at) {
			t->bad = true;
			return;
		}
		t->at = at;
		t->cap = cap;
	}
	memcpy(t->at + t->n, p, n);
	t->n += n;
}

static void number_add(struct text *t, uint64_t v) { text_add(t, &v, sizeof v); }

static void texts_add(struct text *t, const struct oci_texts *l)
{
	number_add(t, l->n);
	for (size_t i = 0; i < l->n; i++)
		text_add(t, l->at[i], strlen(l->at[i]) + 1);
}

static void call_add(struct text *t, const struct oci_seccomp_call *c)
{
	texts_add(t, &c->names);
	number_add(t, c->action | (uint64_t)c->errno_ret.set << 32);
	number_add(t, c->errno_ret.v);
	number_add(t, c->args.n);
	for (size_t k = 0; k < c->args.n; k++) {
		const struct oci_seccomp_arg *a = &c->args.at[k];
		number_add(t, a->index.v | (uint64_t)a->op << 32);
		number_add(t, a->value.v);
		number_add(t, a->value_two.v);
	}
}

static int name_make(const struct oci_seccomp *s, char name[72], struct lodge_err *e)
{
	struct text t = {0};
	uint8_t hash[32];
	number_add(&t, (uint64_t)MAGIC << 32 | FORMAT);
	number_add(&t, SCMP_VER_MAJOR << 16 | SCMP_VER_MINOR << 8 | SCMP_VER_MICRO);
	number_add(&t, s->default_action | (uint64_t)s->default_errno_ret.set << 32);
	number_add(&t, s->default_errno_ret.v);
	texts_add(&t, &s->architectures);
	for (size_t i = 0; i < s->syscalls.n; i++)
		call_add(&t, &s->syscalls.at[i]);
	if (t.bad) {
		free(t.at);
		return err_set(e, ENOMEM, "out of memory");
	}
	sha256(t.at, t.n, hash);
	free(t.at);
	for (unsigned i = 0; i < sizeof hash; i++)
		snprintf(name + 2 * i, 3, "%02x", hash[i]);
	return 0;
}

/* ---- its making ---- */

static uint32_t action_of(unsigned action, const struct oci_uint *ret)
{
	uint16_t code = (uint16_t)(ret->set ? ret->v : OWN_ERRNO);
	switch ((enum oci_action)action) {
	case OCI_KILL:
	case OCI_KILL_THREAD: return SCMP_ACT_KILL_THREAD;
	case OCI_KILL_PROCESS: return SCMP_ACT_KILL_PROCESS;
	case OCI_TRAP: return SCMP_ACT_TRAP;
	case OCI_ERRNO: return SCMP_ACT_ERRNO(code);
	case OCI_TRACE: return SCMP_ACT_TRACE(code);
	case OCI_ALLOW: return SCMP_ACT_ALLOW;
	case OCI_LOG: return SCMP_ACT_LOG;
	case OCI_NOTIFY: return SCMP_ACT_NOTIFY;
	}
	return SCMP_ACT_KILL_PROCESS;
}

static struct scmp_arg_cmp condition_of(const struct oci_seccomp_arg *a)
{
	static const enum scmp_compare ops[] = {
	    [OCI_NE] = SCMP_CMP_NE, [OCI_LT] = SCMP_CMP_LT, [OCI_LE] = SCMP_CMP_LE,
	    [OCI_EQ] = SCMP_CMP_EQ, [OCI_GE] = SCMP_CMP_GE, [OCI_GT] = SCMP_CMP_GT,
	    [OCI_MASKED_EQ] = SCMP_CMP_MASKED_EQ};
	return (struct scmp_arg_cmp){(unsigned)a->index.v, ops[a->op], a->value.v, a->value_two.v};
}

static int rule_add(scmp_filter_ctx f, uint32_t action, int nr, const struct oci_seccomp_call *c)
{
	struct scmp_arg_cmp all[6];
	unsigned seen = 0, n = 0;
	bool twice = c->args.n > countof(all);
	for (size_t i = 0; !twice && i < c->args.n; i++) {
		unsigned bit = 1u << c->args.at[i].index.v;
		twice = seen & bit;
		seen |= bit;
		all[n++] = condition_of(&c->args.at[i]);
	}
	if (!twice)
		return seccomp_rule_add_array(f, action, nr, n, all);
	/* of one argument twice: either will do, as others read it */
	int r = 0;
	for (size_t i = 0; r == 0 && i < c->args.n; i++) {
		all[0] = condition_of(&c->args.at[i]);
		r = seccomp_rule_add_array(f, action, nr, 1, all);
	}
	return r;
}

static int calls_add(scmp_filter_ctx f, const struct oci_seccomp *s, uint32_t otherwise,
                     int *ret_last, struct lodge_err *e)
{
	for (size_t i = 0; i < s->syscalls.n; i++) {
		const struct oci_seccomp_call *c = &s->syscalls.at[i];
		uint32_t action = action_of(c->action, &c->errno_ret);
		for (size_t k = 0; k < c->names.n; k++) {
			int nr = seccomp_syscall_resolve_name(c->names.at[k]);
			if (nr == __NR_SCMP_ERROR)
				continue; /* of another kernel or architecture */
			*ret_last = nr > *ret_last ? nr : *ret_last;
			if (action == otherwise)
				continue;
			int r = rule_add(f, action, nr, c);
			if (r < 0)
				return err_set(e, -r, ".linux.seccomp.syscalls[%zu]: %s: %s", i,
				               c->names.at[k], strerror(-r));
		}
	}
	return 0;
}

static int architectures_add(scmp_filter_ctx f, const struct oci_seccomp *s, struct lodge_err *e)
{
	for (size_t i = 0; i < s->architectures.n; i++) {
		char name[32];
		const char *a = s->architectures.at[i];
		size_t n = 0;
		if (!strncmp(a, "SCMP_ARCH_", 10))
			a += 10;
		for (; a[n] && n + 1 < sizeof name; n++)
			name[n] = (char)tolower((unsigned char)a[n]);
		name[n] = 0;
		uint32_t token = seccomp_arch_resolve_name(name);
		if (!token)
			return err_set(e, EINVAL,
				       ".linux.seccomp.architectures[%zu]: '%.40s' is unknown", i,
				       s->architectures.at[i]);
		int r = seccomp_arch_add(f, token);
		if (r < 0 && r != -EEXIST)
			return err_set(e, -r, ".linux.seccomp.architectures[%zu]: %s", i,
				       strerror(-r));
	}
	return 0;
}

/* The program in a memory file, after room for what goes before it. */
static int program_export(scmp_filter_ctx f, struct box_profile *ret, struct lodge_err *e)
{
	struct stat st;
	autoclose int fd = (int)memfd_create("seccomp", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : seccomp_export_bpf(f, fd);
	if (r < 0 || fstat(fd, &st) < 0)
		return err_set(e, r < 0 ? -r : errno, "making the filter of system calls");
	size_t n = (size_t)st.st_size / sizeof(struct sock_filter);
	struct sock_filter *at = calloc(n + PROLOGUE, sizeof *at);
	if (!at)
		return err_set(e, ENOMEM, "out of memory");
	if (!host_pread(fd, at + PROLOGUE, n * sizeof *at, 0)) {
		free(at);
		return err_set(e, EIO, "making the filter of system calls");
	}
	ret->program = at;
	ret->n = n + PROLOGUE;
	return 0;
}

#ifdef __x86_64__
static const uint32_t native = AUDIT_ARCH_X86_64, calls_end = 0x40000000; /* above: x32 */
#elif defined __aarch64__
static const uint32_t native = AUDIT_ARCH_AARCH64, calls_end = 0x7fffffff;
#else
static const uint32_t native, calls_end;
#endif

/* Calls of this architecture above @last: ENOSYS. The jumps of what follows are relative. */
static void prologue_make(struct box_profile *p, int last, bool wanted)
{
	const struct sock_filter with[PROLOGUE] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, native, 0, 4),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, calls_end, 2, 0),
	    BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)last, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	};
	struct sock_filter *at = p->program;
	if (wanted && native) {
		memcpy(at, with, sizeof with);
		return;
	}
	p->n -= PROLOGUE;
	memmove(at, at + PROLOGUE, p->n * sizeof *at);
}

static int profile_make(struct box_profile *ret, const struct oci_seccomp *s, struct lodge_err *e)
{
	uint32_t otherwise = action_of(s->default_action, &s->default_errno_ret);
	int last = -1, r = host_library_load(&box_seccomp, e);
	if (r < 0)
		return r;
	scmp_filter_ctx f = seccomp_init(otherwise);
	if (!f)
		return err_set(e, ENOMEM, "making the filter of system calls");
	r = architectures_add(f, s, e);
	if (r == 0)
		r = calls_add(f, s, otherwise, &last, e);
	if (r == 0)
		(void)!seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* as a tree */
	if (r == 0)
		r = program_export(f, ret, e);
	seccomp_release(f);
	if (r == 0)
		prologue_make(ret, last, s->default_action == OCI_ERRNO && last >= 0 &&
		                         !(s->default_errno_ret.set &&
		                           s->default_errno_ret.v == ENOSYS));
	return r;
}

/* ---- kept ---- */

struct kept {
	uint32_t magic, n;
	char name[72];    /* what it was made from: under another name it is nothing */
	uint8_t hash[32]; /* of the program */
};

static bool kept_read(struct box_profile *ret, int cache, const char name[72])
{
	struct kept k;
	struct stat st;
	uint8_t hash[32];
	autoclose int fd = openat(cache, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
	    st.st_mode & 022 || !host_pread(fd, &k, sizeof k, 0) || k.magic != MAGIC || !k.n ||
	    k.n > PROGRAM_MAX || memcmp(k.name, name, sizeof k.name) != 0 ||
	    (size_t)st.st_size != sizeof k + k.n * sizeof(struct sock_filter))
		return false;
	struct sock_filter *at = malloc(k.n * sizeof *at);
	if (!at || !host_pread(fd, at, k.n * sizeof *at, sizeof k)) {
		free(at);
		return false;
	}
	sha256(at, k.n * sizeof *at, hash);
	if (memcmp(hash, k.hash, sizeof hash) != 0) {
		free(at);
		return false;
	}
	ret->program = at;
	ret->n = k.n;
	return true;
}

/* Whole or not at all; that it could not be kept is no error. */
static void kept_write(const struct box_profile *p, int cache, const char name[72])
{
	char temporary[96];
	struct kept k = {.magic = MAGIC, .n = (uint32_t)p->n};
	const struct sock_filter *at = p->program;
	snprintf(temporary, sizeof temporary, ".%.64s.%d", name, (int)getpid());
	memcpy(k.name, name, sizeof k.name);
	sha256(at, p->n * sizeof *at, k.hash);
	autoclose int fd = openat(cache, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (!host_pwrite(fd, &k, sizeof k, 0) ||
	    !host_pwrite(fd, at, p->n * sizeof *at, sizeof k) ||
	    renameat(cache, temporary, cache, name) < 0)
		(void)!unlinkat(cache, temporary, 0);
}

/* ---- the door ---- */

static const struct {
	const char *name;
	unsigned bit;
} flags[] = {{"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
	     {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
	     {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
	     {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 1u << 5}};

const char *box_profile_flag_at(size_t i) { return i < countof(flags) ? flags[i].name : NULL; }

static int flags_read(struct box_profile *p, const struct oci_seccomp *s, struct lodge_err *e)
{
	p->flags = s->flags.set ? 0 : SECCOMP_FILTER_FLAG_SPEC_ALLOW; /* as others take it */
	for (size_t i = 0; i < s->flags.n; i++) {
		size_t k = 0;
		while (k < countof(flags) && strcmp(flags[k].name, s->flags.at[i]) != 0)
			k++;
		if (k == countof(flags))
			return err_set(e, EINVAL,
				       ".linux.seccomp.flags[%zu]: '%.60s' is unknown", i,
			               s->flags.at[i]);
		p->flags |= flags[k].bit;
	}
	for (size_t i = 0; i < s->syscalls.n; i++)
		p->notify |= s->syscalls.at[i].action == OCI_NOTIFY;
	if (p->notify) /* the two together need one more flag */
		p->flags = (p->flags & ~(unsigned)SECCOMP_FILTER_FLAG_TSYNC) |
		           SECCOMP_FILTER_FLAG_NEW_LISTENER;
	return 0;
}

int box_profile_open(struct box_profile *ret, const struct oci_seccomp *s, int cache,
                     struct lodge_err *e)
{
	char name[72] = "";
	struct box_profile p = {0};
	int r = flags_read(&p, s, e);
	if (r == 0)
		r = name_make(s, name, e);
	if (r == 0 && (cache < 0 || !kept_read(&p, cache, name))) {
		r = profile_make(&p, s, e);
		if (r == 0 && cache >= 0)
			kept_write(&p, cache, name);
	}
	if (r == 0)
		*ret = p;
	return r;
}

void box_profile_fini(struct box_profile *p)
{
	free(p->program);
	*p = (struct box_profile){0};
}

int box_profile_load(const struct box_profile *p)
{
	struct sock_fprog prog = {.len = (unsigned short)p->n, .filter = p->program};
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, p->flags, &prog);
}
