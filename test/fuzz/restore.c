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
};
enum { TIMERS = 10 };

/* Fields of @t with @len bytes of @p over them: what only the right process can have is set. */
static void fields_put(struct save_out *o, bool thread, unsigned vlen, const uint8_t *p, size_t len)
{
	if (thread) {
		struct saved_thread s = {.tid = 0};
		memcpy(&s, p, min_u64(len, sizeof s));
		s.tid = (uint64_t)getpid();
		save_out_fields(o, "process/thread/0", saved_thread_fields, &s);
	} else {
		struct saved_process s = {.pid = 0};
		memcpy(&s, p, min_u64(len, sizeof s));
		s.pid = (uint64_t)getpid();
		s.threads = 1;
		s.vlen = vlen;
		memset(s.limits, 0xff, sizeof s.limits); /* one of CPU time would end us */
		save_out_fields(o, "process", saved_process_fields, &s);
	}
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
	unsigned seen = 0;
	while (len >= 3) {
		unsigned which = p[0] % countof(names);
		size_t n = min_u64(le16_at(p + 1), len - 3);
		if (!(seen & 1u << which) && (which == 6 || which == 7))
			fields_put(o, which == 7, vlen, p + 3, n);
		else if (!(seen & 1u << which)) {
			uint8_t *to = save_out_section(o, names[which], n);
			if (to)
				memcpy(to, p + 3, n);
			if (to && which == TIMERS)
				timers_tame(to, n);
		}
		seen |= 1u << which;
		p += 3 + n;
		len -= 3 + n;
	}
	if (!(seen & 1u << 6))
		fields_put(o, false, vlen, p, 0);
	if (!(seen & 1u << 7))
		fields_put(o, true, vlen, p, 0);
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
	struct restore r = {.in = &in, .ram = ram, .ram_pages = RAM_PAGES};
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
	if (process_remake(&t, &c, &e) == 0 && restore_run(&r, t, &e) == 0 &&
	    !rv_vector_valid(t->h))
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
