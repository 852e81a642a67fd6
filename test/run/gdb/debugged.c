/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the gdb stub look into. Line numbers do not matter; names do. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int total = 5, signals;
volatile int going = 1;

static __attribute__((noinline)) int add(int a, int b)
{
	int sum = a + b;
	return sum;
}

static void on_signal(int sig) { signals += sig; }

static void *worker(void *p)
{
	for (int i = 0; i < 3; i++)
		total = add(total, i);
	return p;
}

static void *spinner(void *p)
{
	while (going)
		add(1, 1);
	return p;
}

static int spin(void)
{
	pthread_t t[3];
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, spinner, NULL);
	printf("spinning\n");
	fflush(stdout);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	return 9;
}

static int child(void)
{
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(add(20, 3));
	waitpid(pid, &status, 0);
	return add(WEXITSTATUS(status), 1);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	pthread_t t;
	if (!strcmp(what, "spin"))
		return spin();
	if (!strcmp(what, "fork"))
		return child();
	if (!strcmp(what, "exec"))
		return execl("/proc/self/exe", "debugged", NULL);
	if (!strcmp(what, "fault"))
		*(volatile int *)8 = 1;
	printf("sum %d\n", add(3, 4));
	pthread_create(&t, NULL, worker, NULL);
	pthread_join(t, NULL);
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	printf("total %d signals %d\n", total, signals);
	return 17;
}
