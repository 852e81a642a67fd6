/* SPDX-License-Identifier: Apache-2.0 */
/* Going on from the state of a program: any sections become a process that could be run, or an
 * error. Each input has a process of its own, since going on changes all of it: memory,
 * descriptors, signals, limits. The input: a byte that names a section, two of length, content, and
 * so on. The first byte also says how long vector registers are. */
#include "level/process/saved.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { RAM_PAGES = 8 };
static const char *const names[] = {
    "process/maps",  "process/pages",  "process/files", "process/watches",
    "process/texts", "process/pipe/0", "process",       "process/thread/0",
    "process/sockets", "process/socket/0", "process/timers", "process/signals", "process/file/0",
    "process/kin", "process/inotify",
};
enum { TIMERS = 10, KIN = 13 };

/* The first byte says whether there are two processes: then every second section is of the other
 * one. */
static bool several;

static const char *name_put(char to[64], unsigned tree, unsigned which)
{
	if (several)
		snprintf(to, 64, TREE_PREFIX "%s", tree, names[which]);
	else
		snprintf(to, 64, "%s", names[which]);
	return to;
}

/* Fields of @t with @len bytes of @p over them: what only the right process can have is set. */
static void fields_put(struct save_out *o, unsigned tree, bool thread, unsigned vlen,
		       const uint8_t *p, size_t len)
{
	char name[64];
	if (thread) {
		struct saved_thread s = {.tid = 0};
		memcpy(&s, p, min_u64(len, sizeof s));
		s.tid = (uint64_t)getpid() + tree;
		save_out_fields(o, name_put(name, tree, 7), saved_thread_fields, &s);
	} else {
		struct saved_process s = {.pid = 0};
		memcpy(&s, p, min_u64(len, sizeof s));
		s.pid = (uint64_t)getpid() + tree;
		s.threads = 1;
		s.vlen = vlen;
		memset(s.limits, 0xff, sizeof s.limits); /* one of CPU time would end us */
		memset(s.timers, 0, sizeof s.timers);    /* so would their signals */
		save_out_fields(o, name_put(name, tree, 6), saved_process_fields, &s);
	}
}

/* Of one process, or of the first two: who is whose, so that they can be. */
static void kin_tame(uint8_t *p, size_t len, unsigned tree)
{
	const uint64_t lead = (uint64_t)getpid();
	if (len < 8 * KIN_WORDS)
		return;
	le64_put(p + 8 * KIN_PID, lead + tree);
	le64_put(p + 8 * KIN_END, KIN_LIVES);
	if (tree == 0) {
		le64_put(p + 8 * KIN_PARENT, 1);
		le64_put(p + 8 * KIN_GROUP, lead);
		le64_put(p + 8 * KIN_SESSION, lead);
	}
	if (tree == 0 || len < 16 * KIN_WORDS)
		return;
	le64_put(p + 8 * (KIN_WORDS + KIN_PARENT), lead + tree);
}

/* A timer may end the process, as the program wants it: here by a signal that is ignored. */
static void timers_tame(uint8_t *p, size_t len)
{
	for (; len >= 8 * TIMER_WORDS; p += 8 * TIMER_WORDS, len -= 8 * TIMER_WORDS)
		if (le64_at(p + 8 * TIMER_SIGNAL) - 1 < 63)
			le64_put(p + 8 * TIMER_SIGNAL, SIGURG);
}

static void sections_put(struct save_out *o, unsigned vlen, const uint8_t *p, size_t len)
{
	unsigned seen[2] = {0, 0};
	several = len && p[0] & 0x80;
	for (unsigned turn = 0; len >= 3; turn++) {
		unsigned which = (p[0] & 0x7f) % countof(names), tree = several ? turn & 1 : 0;
		size_t n = min_u64(le16_at(p + 1), len - 3);
		bool once = !(seen[tree] & 1u << which);
		char name[64];
		if (once && (which == 6 || which == 7))
			fields_put(o, tree, which == 7, vlen, p + 3, n);
		else if (once) {
			uint8_t *to = save_out_section(o, name_put(name, tree, which), n);
			if (to)
				memcpy(to, p + 3, n);
			if (to && which == TIMERS)
				timers_tame(to, n);
			if (to && which == KIN)
				kin_tame(to, n, tree);
		}
		seen[tree] |= 1u << which;
		p += 3 + n;
		len -= 3 + n;
	}
	for (unsigned tree = 0; tree < (several ? 2 : 1); tree++)
		for (unsigned which = 6; which <= 7; which++)
			if (!(seen[tree] & 1u << which))
				fields_put(o, tree, which == 7, vlen, p, 0);
}

/* How far it got, for the fuzzer, which sees nothing of another process: memory of both. */
enum { COUNTERS = 4096 };
__attribute__((section("__libfuzzer_extra_counters"),
               aligned(4096))) static uint8_t counters[COUNTERS];

static void counters_share(void)
{
	static bool done;
	if (!done && mmap(counters, COUNTERS, PROT_READ | PROT_WRITE,
	                  MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		abort();
	done = true;
}

/* By what it says, without the numbers in it. */
static void reached(const char *what)
{
	uint32_t h = 1;
	for (; *what; what++)
		if (*what < '0' || *what > '9')
			h = h * 31 + (uint8_t)*what;
	counters[h % COUNTERS] = 1;
}

static _Noreturn void child(const uint8_t *data, size_t len)
{
	static uint8_t ram[RAM_PAGES * 4096];
	static const char *const options[] = { "vlen=128", "vlen=256", "vlen=512" };
	const char *const *vlen = &options[len ? (data[0] >> 3) % countof(options) : 0];
	const struct lodge_config c = {.size = sizeof c, .accel = "interpret", .options = vlen,
		.noptions = 1};
	struct save_out *o = NULL;
	struct save_in in = {.nsections = 0};
	struct tree *tree = NULL;
	struct task *t = NULL;
	const uint8_t *bytes;
	size_t n;
	alarm(30);
	if (save_out_new(&o, "process", NULL) < 0)
		_exit(0);
	sections_put(o, rv_vlen_named(*vlen + 5), data, len);
	if (save_out_bytes(o, &bytes, &n, NULL) < 0 || save_in_parse(&in, bytes, n, NULL) < 0)
		_exit(0);
	struct lodge_err e = {.msg = ""};
	int r = tree_new(&tree, &in, &e);
	for (unsigned i = 0; r == 0 && i < tree->n; i++) {
		tree->each[i].ram = ram;
		tree->each[i].ram_pages = RAM_PAGES;
	}
	if (r == 0)
		r = files_make(tree, &e);
	if (r == 0 && process_remake(&t, &c, &e) == 0 &&
	    restore_run(&tree->each[0], t, &e) == 0 && !rv_vector_valid(t->h))
		__builtin_trap();
	reached(e.msg);
	_exit(0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	int status;
	counters_share();
	pid_t pid = fork();
	if (pid == 0)
		child(data, len);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		fprintf(stderr, "the process ended with status 0x%x\n", (unsigned)status);
		__builtin_trap();
	}
	return 0;
}
