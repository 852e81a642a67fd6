/* SPDX-License-Identifier: Apache-2.0 */
/* System V and POSIX message queues, semaphores, shared memory, keys. */
#include "say.h"
#include <linux/keyctl.h>
#include <mqueue.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>

static void messages(void)
{
	struct { long type; char text[16]; } m = { 7, "message" };
	struct msqid_ds ds;
	int q = msgget(IPC_PRIVATE, 0600);
	IS(q >= 0);
	SAY(msgsnd(q, &m, 8, 0));
	SAY(msgsnd(q, KERNEL, 8, 0));
	SAY(msgsnd(q, BAD, 8, 0));
	m.type = 0;
	SAY(msgsnd(q, &m, 8, 0));
	SAY(msgctl(q, IPC_STAT, &ds));
	SAY(ds.msg_qnum);
	SAY(ds.msg_perm.mode);
	IS(ds.msg_lspid == getpid() && ds.msg_ctime > 1700000000);
	SAY(msgctl(q, IPC_STAT, KERNEL));
	SAY(msgrcv(q, &m, 2, 0, 0));
	SAY(msgrcv(q, &m, 16, 3, IPC_NOWAIT));
	SAY(msgrcv(q, &m, 16, -9, IPC_NOWAIT));
	SAY(m.type);
	say_bytes("text", m.text, 7);
	ds.msg_perm.mode = 0640;
	SAY(msgctl(q, IPC_SET, &ds));
	SAY(msgctl(q, IPC_RMID, NULL));
	SAY(msgctl(q, IPC_STAT, &ds) == -1 ? 1 : 0);
}

static void semaphores(void)
{
	union { int val; struct semid_ds *ds; unsigned short *array; void *p; } u;
	struct semid_ds ds;
	unsigned short values[3] = { 1, 2, 3 }, got[3] = { 0 };
	int s = semget(IPC_PRIVATE, 3, 0600);
	IS(s >= 0);
	u.array = values;
	SAY(semctl(s, 0, SETALL, u));
	u.array = got;
	SAY(semctl(s, 0, GETALL, u));
	printf("values %d %d %d\n", got[0], got[1], got[2]);
	struct sembuf ops[2] = { { 0, -1, 0 }, { 2, 4, 0 } }, no = { 0, -1, IPC_NOWAIT };
	SAY(semop(s, ops, 2));
	SAY(semop(s, &no, 1));
	SAY(semtimedop(s, ops, 1, &(struct timespec){ 0, 1000000 }));
	SAY(semop(s, KERNEL, 1));
	SAY(semop(s, ops, 0));
	SAY(semctl(s, 2, GETVAL));
	u.val = 9;
	SAY(semctl(s, 1, SETVAL, u));
	u.val = -9;
	SAY(semctl(s, 1, SETVAL, u));
	SAY(semctl(s, 1, GETVAL));
	IS(semctl(s, 2, GETPID) == getpid());
	SAY(semctl(s, 9, GETVAL));
	u.ds = &ds;
	SAY(semctl(s, 0, IPC_STAT, u));
	SAY(ds.sem_nsems);
	SAY(ds.sem_perm.mode);
	IS(ds.sem_otime > 1700000000 && ds.sem_ctime > 1700000000);
	ds.sem_perm.mode = 0640;
	SAY(semctl(s, 0, IPC_SET, u));
	SAY(semctl(s, 0, IPC_STAT, u));
	SAY(ds.sem_perm.mode);
	u.p = KERNEL;
	SAY(semctl(s, 0, IPC_STAT, u));
	SAY(semctl(s, 0, GETALL, u));
	SAY(semctl(s, 0, IPC_RMID));
}

static void shared(void)
{
	struct shmid_ds ds;
	int m = shmget(IPC_PRIVATE, 5000, 0600);
	IS(m >= 0);
	SAY(shmctl(m, IPC_STAT, &ds));
	SAY(ds.shm_segsz);
	SAY(ds.shm_nattch);
	IS(ds.shm_cpid == getpid());
	ds.shm_perm.mode = 0640;
	SAY(shmctl(m, IPC_SET, &ds));
	SAY(shmctl(m, IPC_STAT, KERNEL));
	SAY(shmctl(m, IPC_RMID, NULL));
}

/* How a child ends that writes to @at. */
static int write_by_child(volatile char *at)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		*at = 'c';
		_exit(3);
	}
	waitpid(pid, &status, 0);
	return status;
}

static long attached(int m)
{
	struct shmid_ds ds;
	return shmctl(m, IPC_STAT, &ds) == 0 ? (long)ds.shm_nattch : -1;
}

static void attachments(void)
{
	enum { PAGE = 4096, LEN = 3 * PAGE };
	int m = shmget(IPC_PRIVATE, LEN - 100, 0600);
	char *at = shmat(m, NULL, 0), *again = shmat(m, NULL, SHM_RDONLY);
	IS(at != (void *)-1 && again != (void *)-1);
	SAY(attached(m));
	strcpy(at + PAGE, "here");
	IS(strcmp(again + PAGE, "here") == 0);
	SAY(write_by_child(at));
	SAY(again[0]);
	SAY(WTERMSIG(write_by_child(again)));
	SAY(shmdt(again + 1));
	SAY(shmdt(again + PAGE));
	SAY(shmdt(again));
	SAY(shmdt(again));
	SAY(WTERMSIG(write_by_child(again)));
	SAY(attached(m));
	/* where we say */
	char *hole = mmap(NULL, 2 * LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	SAY((long)shmat(m, hole, 0));
	SAY((long)shmat(m, hole + 5, 0));
	SAY((long)shmat(m, hole + 5, SHM_REMAP));
	SAY((long)shmat(m, NULL, SHM_REMAP));
	SAY((long)shmat(m, (void *)5, SHM_RND | SHM_REMAP));
	SAY((long)shmat(m, KERNEL, 0));
	IS(shmat(m, hole + PAGE + 5, SHM_RND | SHM_REMAP) == hole + PAGE);
	SAY(hole[PAGE]);
	munmap(hole, 2 * LEN);
	SAY(attached(m));
	IS(shmat(m, hole, 0) == hole);
	IS(shmat(m, hole, 0) == (void *)-1);
	/* a hole in it, and a part that went elsewhere */
	SAY(munmap(hole + PAGE, PAGE));
	SAY(attached(m));
	SAY(mprotect(hole + 2 * PAGE, PAGE, PROT_READ));
	SAY(shmdt(hole));
	SAY(attached(m));
	IS(mmap(hole, LEN, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
	        0) == hole);
	SAY(shmdt(hole));
	char *moved = mremap(at, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, hole);
	IS(moved == hole);
	SAY(moved[PAGE]);
	SAY(shmdt(at));
	SAY(shmdt(moved));
	SAY(attached(m));
	SAY(shmctl(m, IPC_RMID, NULL));
	SAY((long)shmat(m, NULL, 0));
	SAY((long)shmat(-1, NULL, 0));
	SAY(shmdt(BAD));
	SAY(shmdt(KERNEL));
}

static void queues(void)
{
	struct mq_attr a = { .mq_maxmsg = 4, .mq_msgsize = 32 }, got;
	char buf[32], name[64];
	unsigned prio;
	snprintf(name, sizeof name, "/lodge-test-%d", getpid());
	mqd_t q = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600, &a);
	if (q == -1 && (errno == ENOSYS || errno == EACCES))
		return;
	SAY(mq_open("/lodge-none", O_RDONLY));
	SAY(mq_send(q, "one", 3, 1));
	SAY(mq_send(q, "two", 3, 2));
	SAY(mq_getattr(q, &got));
	SAY(got.mq_curmsgs);
	SAY(mq_receive(q, buf, sizeof buf, &prio));
	SAY(prio);
	SAY(mq_receive(q, buf, 8, &prio));
	SAY(mq_receive(q, buf, sizeof buf, NULL));
	SAY(mq_timedreceive(q, buf, sizeof buf, NULL, &(struct timespec){ 1, 0 }));
	SAY(mq_close(q));
	SAY(mq_unlink(name));
	SAY(mq_unlink(name));
}

static void keys(void)
{
	char buf[32];
	long ring = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1);
	if (ring < 0)
		return; /* not for this user */
	long key = syscall(SYS_add_key, "user", "lodge:test", "secret", 6L, ring);
	IS(key > 0);
	SAY(syscall(SYS_keyctl, KEYCTL_READ, key, buf, sizeof buf));
	say_bytes("key", buf, 6);
	SAY(syscall(SYS_keyctl, KEYCTL_READ, key, KERNEL, 32L));
	SAY(syscall(SYS_add_key, "user", "x", KERNEL, 6L, ring));
	SAY(syscall(SYS_keyctl, KEYCTL_REVOKE, key));
	SAY(syscall(SYS_keyctl, KEYCTL_READ, key, buf, sizeof buf));
	SAY(syscall(SYS_keyctl, 12345));
}

int main(void)
{
	messages();
	semaphores();
	shared();
	attachments();
	queues();
	keys();
	return 0;
}
