/* SPDX-License-Identifier: Apache-2.0 */
/* What of the functions that a program takes could lead it to sockets. Few take any, and most of a
 * start is a network of the guest's own. */
#include "win/internal.h"

/* Of kernel32, ntdll and the C runtimes: those that make sockets, find functions that were not
 * taken, or start programs, which may take others. Sorted as strcmp(3) has it. */
static const char *const leads[] = {
    "CreateNamedPipeA", "CreateNamedPipeW",
    "CreateProcessA",   "CreateProcessW",
    "GetProcAddress",   "LoadLibraryA",
    "LoadLibraryExA",   "LoadLibraryExW",
    "LoadLibraryW",     "NtCreateNamedPipeFile",
    "WinExec",          "_popen",
    "_spawnl",          "_spawnlp",
    "_spawnv",          "_spawnvp",
    "_wpopen",          "_wspawnv",
    "_wspawnvp",        "_wsystem",
    "system",
};

bool library_leads(const char *name)
{
	for (size_t i = 0; i < countof(leads); i++)
		if (!strcmp(name, leads[i]))
			return true;
	return false;
}

/* One by number is not looked up. One that is nowhere ends the guest when it is called. */
static bool leads_nowhere(void *arg, const char *dll, const char *name)
{
	(void)arg;
	return name && library_plain(dll) && !library_leads(name);
}

bool win_may_connect(const struct pe *head, const uint8_t *file, uint64_t len)
{
	return !pe_file_imports_all(head, file, len, leads_nowhere, NULL);
}
