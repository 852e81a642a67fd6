/* SPDX-License-Identifier: Apache-2.0 */
/* The user's terminal: raw while a guest has it, and put back on every way out. */
#include "cli/cli.h"
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>

/* A signal handler finds what it needs only here. */
static struct termios term_saved;
static volatile sig_atomic_t term_is_raw;

void term_restore(void)
{
	if (!term_is_raw)
		return;
	term_is_raw = 0;
	tcsetattr(0, TCSADRAIN, &term_saved);
}

static void term_signal(int number)
{
	if (term_is_raw)
		tcsetattr(0, TCSANOW, &term_saved);
	signal(number, SIG_DFL);
	raise(number);
}

void term_raw(void)
{
	static const int fatal[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV,
				    SIGBUS,  SIGFPE, SIGILL, SIGPIPE, SIGALRM};
	struct termios t;
	if (term_is_raw || tcgetattr(0, &term_saved) < 0)
		return;
	t = term_saved;
	cfmakeraw(&t);
	atexit(term_restore);
	for (size_t i = 0; i < countof(fatal); i++)
		signal(fatal[i], term_signal);
	term_is_raw = 1;
	tcsetattr(0, TCSADRAIN, &t);
}

void term_size(unsigned *ret_rows, unsigned *ret_columns)
{
	struct winsize w = {0};
	*ret_rows = *ret_columns = 0;
	if (ioctl(0, TIOCGWINSZ, &w) < 0 && ioctl(1, TIOCGWINSZ, &w) < 0)
		return;
	*ret_rows = w.ws_row;
	*ret_columns = w.ws_col;
}
