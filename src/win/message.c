/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of windows: there are no windows, so none comes; and waiting for one, too. */
#include "win/internal.h"

extern WINAPI uint32_t k32_WaitForMultipleObjectsEx(uint32_t n, const handle *h, uint32_t all,
						    uint32_t ms, uint32_t alertable);
extern WINAPI uint32_t k32_SleepEx(uint32_t ms, uint32_t alertable);

API(int32_t, ole_PeekMessageW, void *ret, uint64_t window, uint32_t first, uint32_t last,
    uint32_t remove)
{
	(void)ret;
	(void)window;
	(void)first;
	(void)last;
	(void)remove;
	return 0;
}
API(int32_t, ole_TranslateMessage, const void *m)
{
	(void)m;
	return 0;
}
API(int64_t, ole_DispatchMessageW, const void *m)
{
	(void)m;
	return 0;
}

enum { MSG_WAIT_ALL = 1, MSG_ALERTABLE = 2 };

API(uint32_t, ole_MsgWaitForMultipleObjectsEx, uint32_t n, const handle *h, uint32_t ms,
    uint32_t what, uint32_t flags)
{
	(void)what;
	if (n)
		return k32_WaitForMultipleObjectsEx(n, h, flags & MSG_WAIT_ALL, ms,
						    (flags & MSG_ALERTABLE) != 0);
	return k32_SleepEx(ms, (flags & MSG_ALERTABLE) != 0) ? WAIT_IO_COMPLETION : WAIT_TIMEOUT;
}
API(uint32_t, ole_MsgWaitForMultipleObjects, uint32_t n, const handle *h, uint32_t all, uint32_t ms,
    uint32_t what)
{
	return ole_MsgWaitForMultipleObjectsEx(n, h, ms, what, all ? MSG_WAIT_ALL : 0);
}
