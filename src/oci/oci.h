/* SPDX-License-Identifier: Apache-2.0 */
/* oci: config.json of the runtime specification, and the parts of it that come alone (process.json
 * of exec, resources of update), as typed structs. No side effects: nothing here looks at the host.
 * What is wrong is refused with its place in the document: ".linux.namespaces[2].type: ...".
 * Unknown fields are ignored, as the specification says. OCI-RT 1.2 */
#pragma once
#include "base/base.h"

struct oci_int {
	int64_t v;
	bool set;
};
struct oci_uint {
	uint64_t v;
	bool set;
};
/* at[n] is NULL; at itself is NULL for an absent or empty list. */
struct oci_texts {
	const char **at;
	size_t n;
	bool set;
};
struct oci_numbers {
	uint32_t *at;
	size_t n;
};
struct oci_pair {
	const char *key, *value;
};
struct oci_pairs {
	struct oci_pair *at;
	size_t n;
};

#define OBJECT(o) struct oci_##o {
#define TEXT(o, m, name, need) const char *m;
#define FLAG(o, m, name) bool m;
#define INT(o, m, name, lo, hi, need) struct oci_int m;
#define UINT(o, m, name, hi, need) struct oci_uint m;
#define WORD(o, m, name, words, need) unsigned m;
#define TEXTS(o, m, name, need) struct oci_texts m;
#define NUMBERS(o, m, name, need) struct oci_numbers m;
#define PAIRS(o, m, name) struct oci_pairs m;
#define PART(o, m, name, of, need) struct oci_##of *m;
#define LIST(o, m, name, of, need)                                                                 \
	struct {                                                                                   \
		struct oci_##of *at;                                                               \
		size_t n;                                                                          \
	} m;
#define NAMED(o, m, name, of) LIST(o, m, name, of, 0)
#define KEY(o) const char *key;
#define END(o) };
#include "oci/spec.def"

/* Words that a field may be, in the order of their values. */
#define WORDS(name) extern const char *const oci_words_##name[];
#include "oci/words.def"
enum oci_space {
	OCI_PID = 1, OCI_NETWORK, OCI_MOUNT, OCI_IPC, OCI_UTS, OCI_USER, OCI_CGROUP, OCI_TIME,
	OCI_NAMESPACES
};
enum oci_device_type { OCI_CHAR = 1, OCI_BLOCK, OCI_UNBUFFERED, OCI_FIFO };
enum oci_rule_type { OCI_RULE_ALL = 1, OCI_RULE_CHAR, OCI_RULE_BLOCK };
enum oci_policy {
	OCI_SCHED_OTHER = 1, OCI_SCHED_FIFO, OCI_SCHED_RR, OCI_SCHED_BATCH, OCI_SCHED_ISO,
	OCI_SCHED_IDLE, OCI_SCHED_DEADLINE
};
enum oci_io_class { OCI_IO_RT = 1, OCI_IO_BE, OCI_IO_IDLE };
enum oci_action {
	OCI_KILL = 1, OCI_KILL_PROCESS, OCI_KILL_THREAD, OCI_TRAP, OCI_ERRNO, OCI_TRACE, OCI_ALLOW,
	OCI_LOG, OCI_NOTIFY
};
enum oci_op {
	OCI_NE = 1, OCI_LT, OCI_LE, OCI_EQ, OCI_GE, OCI_GT, OCI_MASKED_EQ
};
enum oci_domain { OCI_LINUX = 1, OCI_LINUX32 };

/* What was read; all of it goes at once. */
struct oci_doc {
	struct oci_spec *spec;           /* of oci_spec_read */
	struct oci_process *process;     /* of oci_process_read, or spec->process */
	struct oci_resources *resources; /* of oci_resources_read */
	struct oci_owner *owner;         /* private */
};
/* @text need not end in 0. Types and values are checked, and what the specification asks of their
 * combinations. *@ret is set on success only. EINVAL, ENOMEM. Thread: any. */
int oci_spec_read(struct oci_doc *ret, const char *text, size_t len, struct lodge_err *e) MUST;
int oci_process_read(struct oci_doc *ret, const char *text, size_t len, struct lodge_err *e) MUST;
int oci_resources_read(struct oci_doc *ret, const char *text, size_t len,
                       struct lodge_err *e) MUST;
void oci_doc_fini(struct oci_doc *d); /* zeroed is fine */
/* Zeroed memory, and a copy of @text, that live as long as @d. NULL: out of memory. */
void *oci_doc_alloc(struct oci_doc *d, size_t n);
char *oci_doc_text(struct oci_doc *d, const char *text);

/* The namespace of @type in @s; NULL: the container shares that of the runtime. */
const struct oci_namespace *oci_namespace_of(const struct oci_spec *s, enum oci_space type);
/* NULL: none. */
const char *oci_annotation(const struct oci_spec *s, const char *key);
/* One more than the index of @word in @words, 0: it is none of them. */
unsigned oci_word(const char *const *words, const char *word);

/* The configuration that `spec` writes: a shell in "rootfs". Owned by the caller (free); NULL: out
 * of memory. @rootless: for who is not root: @uid and @gid become root of a user namespace. */
char *oci_default(bool rootless, unsigned uid, unsigned gid);
