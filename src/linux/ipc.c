/* SPDX-License-Identifier: Apache-2.0 */
/* System V IPC. struct msqid64_ds, shmid64_ds, ipc64_perm are asm-generic's on x86-64 too;
 * semid64_ds has two more words there. Attaching shared memory is the level's, which knows what
 * addresses are free. */
#include "linux/internal.h"
#include <linux/sem.h>

struct semid_generic {
	struct ipc64_perm perm;
	int64_t otime, ctime;
	uint64_t n, unused[2];
};
_Static_assert(sizeof(struct semid_generic) == 88, "asm-generic/sembuf.h");
_Static_assert(sizeof(struct semid64_ds) == 104, "asm/sembuf.h of x86-64");

static int64_t sem_stat(struct linux_task *t, const uint64_t a[6])
{
	struct semid64_ds x;
	int64_t r = HOST(SYS_semctl, a[0], a[1], a[2], ptr(&x));
	struct semid_generic g = { .perm = x.sem_perm, .otime = x.sem_otime, .ctime = x.sem_ctime,
	                           .n = x.sem_nsems };
	return r >= 0 && linux_write(t->proc, a[3], &g, sizeof g) ? -EFAULT : r;
}

static int64_t sem_set(struct linux_task *t, const uint64_t a[6])
{
	struct semid_generic g;
	if (linux_read(t->proc, &g, a[3], sizeof g))
		return -EFAULT;
	struct semid64_ds x = { .sem_perm = g.perm };
	return HOST(SYS_semctl, a[0], a[1], a[2], ptr(&x));
}

int64_t call_semctl(struct linux_task *t, const uint64_t a[6])
{
	enum { SETVAL_ = 16 };
	switch ((int)a[2]) {
	case IPC_STAT:
	case SEM_STAT:
	case SEM_STAT_ANY: return sem_stat(t, a);
	case IPC_SET: return sem_set(t, a);
	case IPC_INFO:
	case SEM_INFO:
	case GETALL:
	case SETALL: return a[3] < t->proc->user_end ? linux_direct(SYS_semctl, a) : -EFAULT;
	case SETVAL_: return HOST(SYS_semctl, a[0], a[1], a[2], reg((int)a[3]));
	default: return HOST(SYS_semctl, a[0], a[1], a[2]);
	}
}

/* A message is its type, a long, and the text. */
static uint64_t message_for_host(const struct linux_proc *p, uint64_t at, uint64_t size)
{
	return range_ok(p, at, 8) && range_ok(p, at + 8, size) ? at : REFUSED;
}

int64_t call_msgsnd(struct linux_task *t, const uint64_t a[6])
{
	return HOST_WAIT(t, SYS_msgsnd, a[0], message_for_host(t->proc, a[1], a[2]), a[2], a[3]);
}

int64_t call_msgrcv(struct linux_task *t, const uint64_t a[6])
{
	return HOST_WAIT(t, SYS_msgrcv, a[0], message_for_host(t->proc, a[1], a[2]), a[2], a[3],
	                 a[4]);
}
