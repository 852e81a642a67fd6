/* SPDX-License-Identifier: Apache-2.0 */
#include "linux/guest_test.h"

TEST(linux_copies_are_guarded)
{
	struct guest *g = guest_new();
	const struct linux_proc *p = &g->proc;
	char buf[16];
	CHECK(!linux_write(p, GUEST, "hello", 6));
	CHECK(!linux_read(p, buf, GUEST, 6) && !strcmp(buf, "hello"));
	CHECK(linux_read(p, buf, GUEST + GUEST_BYTES - 4, 8) == -EFAULT);
	CHECK(linux_read(p, buf, 0, 1) == -EFAULT);
	CHECK(linux_read(p, buf, ptr(g), 1) == -EFAULT); /* Lodge's */
	CHECK(linux_write(p, UINT64_MAX, buf, 2) == -EFAULT);
	CHECK(linux_string(p, buf, GUEST, sizeof buf) == 5);
	CHECK(linux_string(p, buf, GUEST, 6) == 5);
	CHECK(linux_string(p, buf, GUEST, 5) == -ENAMETOOLONG);
	memset(guest_at(GUEST_BYTES - 4), 'x', 4);
	CHECK(linux_string(p, buf, GUEST + GUEST_BYTES - 4, sizeof buf) == -EFAULT);
	guest_free(g);
}

TEST(linux_calls_check_pointers)
{
	struct guest *g = guest_new();
	CHECK(CALL(g, getpid) == getpid());
	CHECK(CALL(g, getrandom, GUEST, 16, 0) == 16);
	CHECK(CALL(g, getrandom, ptr(g), 16, 0) == -EFAULT);
	CHECK(CALL(g, getrandom, USER_END - 8, 16, 0) == -EFAULT);
	CHECK(CALL(g, getrandom, UINT64_MAX, 1, 0) == -EFAULT);
	CHECK(CALL(g, write, 99, GUEST, 1) == -EBADF);
	CHECK(CALL(g, fstat, 0, ptr(g), 0) == -EFAULT);
	CHECK(CALL(g, uname, 8) == -EFAULT);
	CHECK(CALL(g, seccomp, 0, 0, 0) == -ENOSYS);
	CHECK(CALL(g, brk, 0) == -ENOSYS); /* the level's */
	CHECK(linux_call(&g->task, 100000, (const uint64_t[6]){ 0 }) == -ENOSYS);
	guest_free(g);
}

/* Every pointer of every call, above the guest's end: none is followed. */
TEST(linux_no_call_follows_a_pointer_of_lodge)
{
	struct guest *g = guest_new();
	static uint64_t secret[1024];
	unsigned calls = 0;
	for (unsigned nr = 0; nr < 600; nr++) {
		const struct linux_row *r = linux_row(nr);
		for (unsigned i = 0; r && i < r->n_args; i++) {
			uint64_t a[6] = { 0 };
			unsigned kind = r->arg[i].kind;
			if (r->error || kind < LINUX_IN || kind > LINUX_PATH)
				continue;
			for (unsigned k = 0; k < 6; k++)
				a[k] = r->arg[k].kind == LINUX_FD || r->arg[k].kind == LINUX_DIR
					   ? UINT64_MAX
					   : 1;
			a[i] = ptr(secret);
			calls += linux_call(&g->task, nr, a) < 0;
		}
	}
	for (size_t i = 0; i < countof(secret); i++)
		CHECK(!secret[i]);
	CHECK(calls > 200); /* a few look at no pointer, and succeed */
	guest_free(g);
}

TEST(linux_table_is_whole_and_sorted)
{
	static const struct { unsigned nr; const char *name; } rows[] = {
#define ROW(nr, name) { nr, #name },
#define PASS(nr, name, ...) ROW(nr, name)
#define WAIT(nr, name, ...) ROW(nr, name)
#define SAME(nr, name, ...) ROW(nr, name)
#define SAME_WAIT(nr, name, ...) ROW(nr, name)
#define OWN(nr, name, ...) ROW(nr, name)
#define LEVEL(nr, name, ...) ROW(nr, name)
#define NONE(nr, name, ...) ROW(nr, name)
#include "linux/calls.def"
	};
	/* the holes of asm-generic/unistd.h as of Linux 6.18: calls of 32-bit machines, of other
	 * architectures, and what it never had */
	unsigned next = 0;
	for (size_t i = 0; i < countof(rows); i++, next++) {
		CHECK(rows[i].nr >= next);
		for (; next < rows[i].nr; next++)
			CHECK(next == 38 || (next >= 244 && next <= 257) ||
			      (next >= 295 && next <= 423));
		const struct linux_row *r = linux_row(next);
		CHECK(r && !strcmp(r->name, rows[i].name));
		CHECK((r->how == HOW_NONE || r->how == HOW_LEVEL) == (r->error > 0));
		for (unsigned k = 0; k < r->n_args; k++)
			CHECK(r->arg[k].name[0] && r->arg[k].count <= r->n_args);
	}
	CHECK(next == 470 && !linux_row(next));
}

TEST(linux_calls_print)
{
	struct guest *g = guest_new();
	char line[200];
	uint64_t a[6] = { (uint64_t)AT_FDCWD, guest_text(g, 0, "/a\nb"), 0x80000, 0644 };
	int64_t done = -ENOENT;
	linux_print(line, sizeof line, &g->task, call_nr("openat"), a, &done);
	CHECK(!strcmp(line,
		      "openat(dir=AT_FDCWD, path=\"/a\\nb\", flags=0x80000, mode=0644) = -ENOENT"));
	CHECK(linux_print_result(line, sizeof line, -ENOENT) == 10 && !strcmp(line, " = -ENOENT"));
	CHECK(linux_print(line, 10, &g->task, call_nr("openat"), a, NULL) == 9 && !line[9]);
	a[1] = ptr(g);
	linux_print(line, sizeof line, &g->task, call_nr("write"), a, NULL);
	CHECK(strstr(line, "buf=0x"));
	linux_print(line, sizeof line, &g->task, 9999, a, &done);
	CHECK(!strncmp(line, "call_9999(", 10));
	guest_free(g);
}

TEST(linux_own_descriptors_are_out_of_reach)
{
	struct guest *g = guest_new();
	int fd = dup(1), own = linux_fd_own(&g->proc, fd);
	CHECK(own >= g->proc.fd_own && own != fd && fcntl(own, F_GETFD) == FD_CLOEXEC);
	CHECK(CALL(g, close, (uint64_t)own) == -EBADF);
	CHECK(CALL(g, dup3, 1, (uint64_t)own, 0) == -EBADF);
	CHECK(CALL(g, fcntl, 1, F_DUPFD, (uint64_t)own) == -EINVAL);
	pid_t child = fork();
	if (!child) { /* closes what the test's own process needs */
		bool ok = CALL(g, close_range, (uint64_t)own - 3, UINT32_MAX, 0) == 0 &&
		          fcntl(own, F_GETFD) == FD_CLOEXEC &&
		          CALL(g, close_range, 5, 4, 0) == -EINVAL;
		_exit(!ok);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	linux_fd_close(&g->proc, own);
	CHECK(CALL(g, close, (uint64_t)own) == -EBADF && !fd_hidden(&g->proc, (uint64_t)own));
	guest_free(g);
}

TEST(linux_limits_are_the_guests_view)
{
	struct guest *g = guest_new();
	struct rlimit small = { 1 << 20, 1 << 20 }, now;
	memcpy(guest_at(0), &small, sizeof small);
	CHECK(!CALL(g, prlimit64, 0, RLIMIT_AS, GUEST, GUEST + 64));
	CHECK(!CALL(g, getrlimit, RLIMIT_AS, GUEST + 128));
	CHECK(!memcmp(guest_at(128), &small, sizeof small));
	CHECK(!getrlimit(RLIMIT_AS, &now) && now.rlim_cur != small.rlim_cur);
	CHECK(linux_limit(&g->proc, RLIMIT_AS).rlim_cur == small.rlim_cur);
	small.rlim_cur++;
	memcpy(guest_at(0), &small, sizeof small);
	CHECK(CALL(g, setrlimit, RLIMIT_AS, GUEST) == -EINVAL);
	CHECK(CALL(g, setrlimit, RLIM_NLIMITS, GUEST) == -EINVAL);
	CHECK(CALL(g, getrlimit, RLIMIT_AS, 0) == -EFAULT);
	guest_free(g);
}
