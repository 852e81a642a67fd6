/* SPDX-License-Identifier: Apache-2.0 */
/* Rules for devices as a program on a group of version 2: the last rule that fits decides, so they
 * are asked from the last to the first; none: no. bpf(2), cgroup-v2.rst "Device controller" */
#include "cgroup/internal.h"
#include <linux/bpf.h>
#include <fcntl.h>
#include <sys/syscall.h>

enum { PER_RULE = 12, HEAD = 8, TAIL = 2, OLD_MAX = 64 };
enum { R0, R1, R_TYPE, R_ACCESS, R_MAJOR, R_MINOR, R_TEMP };

struct program {
	struct bpf_insn *at;
	size_t n;
};

static void insn(struct program *p, unsigned code, unsigned dst, unsigned src, int off, int imm)
{
	p->at[p->n++] = (struct bpf_insn){.code = (uint8_t)code, .dst_reg = dst & 15,
	                                  .src_reg = src & 15, .off = (int16_t)off, .imm = imm};
}

/* The context has access << 16 | type, major, minor. */
static void head_make(struct program *p)
{
	insn(p, BPF_LDX | BPF_MEM | BPF_W, R_TYPE, R1, 0, 0);
	insn(p, BPF_ALU | BPF_MOV | BPF_X, R_ACCESS, R_TYPE, 0, 0);
	insn(p, BPF_ALU | BPF_AND | BPF_K, R_TYPE, 0, 0, 0xffff);
	insn(p, BPF_ALU | BPF_RSH | BPF_K, R_ACCESS, 0, 0, 16);
	insn(p, BPF_LDX | BPF_MEM | BPF_W, R_MAJOR, R1, 4, 0);
	insn(p, BPF_LDX | BPF_MEM | BPF_W, R_MINOR, R1, 8, 0);
}

static void return_make(struct program *p, int value)
{
	insn(p, BPF_ALU64 | BPF_MOV | BPF_K, R0, 0, 0, value);
	insn(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static int access_bits(const char *access)
{
	int bits = 0;
	for (const char *c = access && *access ? access : "rwm"; *c; c++)
		bits |= *c == 'r' ? BPF_DEVCG_ACC_READ
		        : *c == 'w' ? BPF_DEVCG_ACC_WRITE : BPF_DEVCG_ACC_MKNOD;
	return bits;
}

/* A test that fails jumps to the end of its rule. True: it has none, so nothing comes after it,
 * which the kernel insists on. */
static bool rule_make(struct program *p, const struct oci_device_rule *d)
{
	size_t jumps[5], n = 0;
	int bits = access_bits(d->access);
	if (d->type == OCI_RULE_CHAR || d->type == OCI_RULE_BLOCK) {
		jumps[n++] = p->n;
		insn(p, BPF_JMP | BPF_JNE | BPF_K, R_TYPE, 0, 0,
		     d->type == OCI_RULE_CHAR ? BPF_DEVCG_DEV_CHAR : BPF_DEVCG_DEV_BLOCK);
	}
	if (bits != (BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE | BPF_DEVCG_ACC_MKNOD)) {
		/* what is asked for must be all among what the rule is about */
		insn(p, BPF_ALU | BPF_MOV | BPF_X, R_TEMP, R_ACCESS, 0, 0);
		insn(p, BPF_ALU | BPF_AND | BPF_K, R_TEMP, 0, 0, d->allow ? ~bits : bits);
		jumps[n++] = p->n;
		insn(p, BPF_JMP | (d->allow ? BPF_JNE : BPF_JEQ) | BPF_K, R_TEMP, 0, 0, 0);
	}
	if (d->major.set && d->major.v >= 0) {
		jumps[n++] = p->n;
		insn(p, BPF_JMP | BPF_JNE | BPF_K, R_MAJOR, 0, 0, (int)d->major.v);
	}
	if (d->minor.set && d->minor.v >= 0) {
		jumps[n++] = p->n;
		insn(p, BPF_JMP | BPF_JNE | BPF_K, R_MINOR, 0, 0, (int)d->minor.v);
	}
	return_make(p, d->allow);
	for (size_t i = 0; i < n; i++)
		p->at[jumps[i]].off = (int16_t)(p->n - jumps[i] - 1);
	return n == 0;
}

static int bpf(int cmd, union bpf_attr *a) { return (int)syscall(SYS_bpf, cmd, a, sizeof *a); }

/* Those that were there go once the new one is: a new set of rules, not one more. */
static void old_detach(int fd, const uint32_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		union bpf_attr get = {.prog_id = ids[i]};
		autoclose int old = bpf(BPF_PROG_GET_FD_BY_ID, &get);
		union bpf_attr off = {.target_fd = (uint32_t)fd, .attach_bpf_fd = (uint32_t)old,
		                      .attach_type = BPF_CGROUP_DEVICE};
		if (old >= 0)
			(void)!bpf(BPF_PROG_DETACH, &off);
	}
}

static int program_attach(int fd, const struct program *p)
{
	static const char license[] = "Apache-2.0";
	uint32_t ids[OLD_MAX] = {0};
	union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
	                       .insns = (uint64_t)(uintptr_t)p->at,
	                       .insn_cnt = (uint32_t)p->n,
	                       .license = (uint64_t)(uintptr_t)license};
	autoclose int prog = bpf(BPF_PROG_LOAD, &load);
	if (prog < 0)
		return -1;
	union bpf_attr query = {.query = {.target_fd = (uint32_t)fd,
	                                  .attach_type = BPF_CGROUP_DEVICE,
	                                  .prog_ids = (uint64_t)(uintptr_t)ids,
	                                  .prog_cnt = OLD_MAX}};
	size_t old = bpf(BPF_PROG_QUERY, &query) == 0 ? query.query.prog_cnt : 0;
	union bpf_attr attach = {.target_fd = (uint32_t)fd, .attach_bpf_fd = (uint32_t)prog,
	                         .attach_type = BPF_CGROUP_DEVICE,
	                         .attach_flags = BPF_F_ALLOW_MULTI};
	if (bpf(BPF_PROG_ATTACH, &attach) < 0)
		return -1;
	old_detach(fd, ids, old < OLD_MAX ? old : OLD_MAX);
	return 0;
}

int cgroup_devices_attach(const struct cgroup_part *part, const struct oci_device_rule *rules,
                          size_t n, struct lodge_err *e)
{
	struct program p = {.at = calloc(n * PER_RULE + HEAD + TAIL, sizeof *p.at)};
	if (!p.at)
		return err_set(e, ENOMEM, "out of memory");
	head_make(&p);
	bool last = false;
	for (size_t i = n; i-- > 0 && !last;)
		last = rule_make(&p, &rules[i]);
	if (!last)
		return_make(&p, 0);
	autoclose int fd = openat(part->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -1 : program_attach(fd, &p);
	int why = errno;
	free(p.at);
	errno = why;
	return r < 0 ? err_sys(e, ".linux.resources.devices: a program on control group %.200s",
	                       part->dir) : 0;
}
