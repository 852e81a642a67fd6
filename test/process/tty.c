/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals: a pair of its own. */
#include "say.h"
#include <sys/ioctl.h>
#include <termios.h>

int main(void)
{
	struct termios t, u;
	struct winsize w = { 24, 80, 0, 0 }, x;
	char buf[64] = { 0 }, name[64];
	int m = (int)SAY(open("/dev/ptmx", O_RDWR | O_NOCTTY)), n, zero = 0;
	if (m < 0)
		return 0;
	SAY(ioctl(m, TIOCSPTLCK, &zero));
	SAY(ioctl(m, TIOCGPTN, &n));
	snprintf(name, sizeof name, "/dev/pts/%d", n);
	int s = (int)SAY(open(name, O_RDWR | O_NOCTTY));
	SAY(isatty(s));
	SAY(isatty(open("/dev/null", O_RDWR)));
	SAY(tcgetattr(s, &t));
	printf("termios %x %x %x %x speed %d\n", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag,
	       (int)cfgetospeed(&t));
	say_bytes("cc", t.c_cc, 19);
	SAY(ioctl(s, TIOCSWINSZ, &w));
	SAY(ioctl(m, TIOCGWINSZ, &x));
	printf("size %d %d\n", x.ws_row, x.ws_col);
	SAY(ioctl(m, TIOCGWINSZ, KERNEL));
	SAY(ioctl(m, TIOCGWINSZ, BAD));
	SAY(write(m, "line\n", 5));
	SAY(read(s, buf, sizeof buf));
	say_bytes("echo", buf, (size_t)read(m, buf, sizeof buf));
	cfmakeraw(&t);
	SAY(tcsetattr(s, TCSANOW, &t));
	SAY(tcsetattr(s, TCSADRAIN, &t));
	SAY(tcgetattr(m, &u));
	SAY(u.c_lflag == t.c_lflag && u.c_iflag == t.c_iflag);
	SAY(write(m, "\003raw", 4));
	/* it arrives by way of a kernel thread */
	for (n = 0; n < 4; usleep(1000))
		if (ioctl(s, FIONREAD, &n) < 0)
			return 1;
	SAY(ioctl(s, FIONREAD, &n));
	SAY(n);
	SAY(read(s, buf, sizeof buf));
	say_bytes("raw", buf, 4);
	SAY(tcflush(s, TCIOFLUSH));
	SAY(tcdrain(s));
	SAY(tcsendbreak(s, 0));
	SAY(ioctl(s, TCXONC, TCOON));
	SAY(ioctl(s, TIOCOUTQ, &n));
	SAY(n);
	SAY(ioctl(s, TIOCGPGRP, &n) == -1 ? errno == ENOTTY : 1);
	SAY(ioctl(s, TIOCEXCL));
	SAY(ioctl(s, TIOCNXCL));
	close(s);
	SAY(read(m, buf, sizeof buf));
	return 0;
}
