/* SPDX-License-Identifier: Apache-2.0 */
/* What a test wants of a program, by its first argument. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <winsock2.h>

#include <io.h>
#include <windows.h>

static int reach(void)
{
	static const char *const paths[] = {"\\etc\\passwd",
					    "C:\\..\\..\\etc\\passwd",
					    "Z:\\etc\\passwd",
					    "\\\\?\\C:\\..\\..\\etc\\passwd",
					    "D:\\..\\secret",
					    "D:\\link",
					    "D:/../secret",
					    "\\\\.\\C:\\..\\secret",
					    "C:\\proc\\self\\environ",
					    "\\dev\\null",
					    "\\\\host\\share\\x"};
	for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++) {
		HANDLE h = CreateFileA(paths[i], GENERIC_READ, 7, NULL, OPEN_EXISTING, 0, NULL);
		printf("%s: %s\n", paths[i], h == INVALID_HANDLE_VALUE ? "no" : "REACHED");
	}
	printf("variable: %s\n", getenv("LODGE_TEST_SECRET") ? "REACHED" : "no");
	printf("process: %s\n", OpenProcess(PROCESS_ALL_ACCESS, FALSE, 1) ? "REACHED" : "no");
	return 0;
}

static void told(const char *what, int reached)
{
	printf("%s: %s\n", what, reached ? "REACHED" : "no");
}

/* What is of the host's devices. */
static int devices(void)
{
	static const char *const names[] = {"\\\\.\\PhysicalDrive0",
					    "\\\\.\\Z:",
					    "\\\\.\\CdRom0",
					    "COM1",
					    "LPT1",
					    "\\\\.\\COM1",
					    "PRN",
					    "AUX",
					    "\\\\.\\pipe\\docker_engine",
					    "\\\\.\\GLOBALROOT\\Device\\Null",
					    "\\\\?\\GLOBALROOT\\Device\\HarddiskVolume1",
					    "\\dev\\kmsg",
					    "\\dev\\mem",
					    "\\dev\\tty",
					    "\\dev\\vda",
					    "C:\\dev\\null",
					    "\\sys\\kernel",
					    "C:\\sys\\kernel\\uevent_seqnum",
					    "\\proc\\1\\environ",
					    "C:\\proc\\self\\root\\etc\\passwd",
					    "\\\\localhost\\C$\\etc\\passwd",
					    "\\\\127.0.0.1\\root"};
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		HANDLE h = CreateFileA(names[i], GENERIC_READ, 7, NULL, OPEN_EXISTING,
				       FILE_FLAG_BACKUP_SEMANTICS, NULL);
		told(names[i], h != INVALID_HANDLE_VALUE);
	}
	return 0;
}

/* Ways out of the folders that it has: by links that it makes itself, by names, by moving. */
static int ways(void)
{
	static const char *const to[] = {"/etc/passwd",         "..\\..\\..\\etc\\passwd",
					 "\\etc\\passwd",       "../secret",
					 "C:\\..\\etc\\passwd", "/proc/self/root/etc/passwd"};
	char text[64];
	for (unsigned i = 0; i < sizeof to / sizeof *to; i++) {
		CreateSymbolicLinkA("C:\\Temp\\way", to[i], 2);
		HANDLE h =
		    CreateFileA("C:\\Temp\\way", GENERIC_READ, 7, NULL, OPEN_EXISTING, 0, NULL);
		sprintf(text, "a link to %s", to[i]);
		told(text, h != INVALID_HANDLE_VALUE);
		DeleteFileA("C:\\Temp\\way");
	}
	CreateSymbolicLinkA("C:\\Temp\\out", "/", 3);
	told("a link to the root",
	     GetFileAttributesA("C:\\Temp\\out\\etc\\passwd") != INVALID_FILE_ATTRIBUTES);
	told("written above",
	     CreateFileA("D:\\..\\made-by-guest", GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL) !=
		     INVALID_HANDLE_VALUE &&
		 GetFileAttributesA("D:\\made-by-guest") == INVALID_FILE_ATTRIBUTES);
	told("moved out", MoveFileA("D:\\nocrt.exe", "Z:\\nocrt.exe"));
	told("a hard link from outside", CreateHardLinkA("D:\\hard", "D:\\..\\secret", NULL));
	WIN32_FIND_DATAA d;
	HANDLE f = FindFirstFileA("D:\\..\\*", &d);
	int seen = 0;
	do
		seen |= f != INVALID_HANDLE_VALUE && !strcmp(d.cFileName, "secret");
	while (f != INVALID_HANDLE_VALUE && FindNextFileA(f, &d));
	told("listed above", seen);
	SetCurrentDirectoryA("D:\\..\\..");
	told("from a folder above", GetFileAttributesA("etc\\passwd") != INVALID_FILE_ATTRIBUTES);
	return 0;
}

/* @port: the host's, of 127.0.0.1, where somebody listens. */
static int sockets(int port)
{
	WSADATA w;
	WSAStartup(0x202, &w);
	static const char *const hosts[] = {"127.0.0.1", "10.0.2.2",        "192.168.0.1",
					    "8.8.8.8",   "169.254.169.254", "0.0.0.0"};
	for (unsigned i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		struct sockaddr_in a = {.sin_family = AF_INET,
					.sin_port = htons(i < 2 ? port : 80)};
		a.sin_addr.s_addr = inet_addr(hosts[i]);
		SOCKET s = socket(AF_INET, SOCK_STREAM, 0);
		u_long on = 1;
		ioctlsocket(s, FIONBIO, &on);
		int asked = connect(s, (void *)&a, sizeof a) == 0 ||
			    WSAGetLastError() == WSAEWOULDBLOCK;
		fd_set set;
		FD_ZERO(&set);
		FD_SET(s, &set);
		struct timeval soon = {0, 200000};
		int got = select(0, NULL, &set, NULL, &soon), error = 0, len = sizeof error;
		getsockopt(s, SOL_SOCKET, SO_ERROR, (char *)&error, &len);
		told(hosts[i], asked && got == 1 && !error);
		struct sockaddr_in any = {.sin_family = AF_INET,
					  .sin_addr.s_addr = inet_addr("255.255.255.255"),
					  .sin_port = htons(9)};
		closesocket(s);
		s = socket(AF_INET, SOCK_DGRAM, 0);
		if (i == 0)
			told("a broadcast", sendto(s, "x", 1, 0, (void *)&any, sizeof any) > 0);
		closesocket(s);
	}
	told("a raw socket", socket(AF_INET, SOCK_RAW, 1) != INVALID_SOCKET);
	told("a socket of files", socket(AF_UNIX, SOCK_STREAM, 0) != INVALID_SOCKET);
	told("the host's name", !gethostbyname("example.com") ? 0 : 1);
	return 0;
}

/* @pid: of the host, a shell that waits for this. */
static int processes(int pid)
{
	told("the shell", OpenProcess(PROCESS_QUERY_INFORMATION, FALSE, pid) != NULL);
	told("to end the shell", TerminateProcess(OpenProcess(PROCESS_TERMINATE, FALSE, pid), 1));
	unsigned reached = 0;
	for (int i = 1; i < 5000; i++)
		reached += i != GetCurrentProcessId() &&
			   OpenProcess(PROCESS_QUERY_INFORMATION, FALSE, i) != NULL;
	told("5,000 numbers", reached);
	char text[16];
	int got = 0;
	for (int fd = 3; fd < 64; fd++)
		got |= _read(fd, text, sizeof text) > 0;
	told("descriptors of the caller", got);
	got = 0;
	for (UINT_PTR h = 4; h < 4096; h += 4) {
		DWORD n = 0;
		if ((HANDLE)h != GetStdHandle(STD_INPUT_HANDLE))
			got |= ReadFile((HANDLE)h, text, sizeof text, &n, NULL) && n >= 6 &&
			       !memcmp(text, "secret", 6);
	}
	told("handles that it guesses", got);
	told("a program of the host",
	     WinExec("/bin/true", 0) > 31 || WinExec("\\bin\\true", 0) > 31);
	return 0;
}

static int deep(int n)
{
	volatile char space[4096];
	space[0] = (char)n;
	return n < 0 ? 0 : deep(n + 1) + space[0];
}

static LONG CALLBACK raise_again(EXCEPTION_POINTERS *p)
{
	(void)p;
	*(volatile int *)8 = 1;
	return EXCEPTION_CONTINUE_SEARCH;
}

static DWORD WINAPI sleeper(void *unused)
{
	(void)unused;
	Sleep(INFINITE);
	return 0;
}

/* ---- what damages it from within ---- */

static LONG CALLBACK raise_other(EXCEPTION_POINTERS *p)
{
	RaiseException(p->ExceptionRecord->ExceptionCode + 1, 0, 0, NULL);
	return EXCEPTION_CONTINUE_EXECUTION;
}

static LONG CALLBACK overflow(EXCEPTION_POINTERS *p) { return p->ContextRecord->Rip ? deep(1) : 0; }

static LONG CALLBACK wild_context(EXCEPTION_POINTERS *p)
{
	memset(p->ContextRecord, 0xee, sizeof *p->ContextRecord);
	return EXCEPTION_CONTINUE_EXECUTION;
}

static LONG CALLBACK exits(EXCEPTION_POINTERS *p)
{
	ExitProcess(p->ExceptionRecord->ExceptionCode & 63);
}

static DWORD WINAPI faults(void *what)
{
	*(volatile int *)what = 1;
	return 0;
}

static DWORD WINAPI storms(void *unused)
{
	for (;;)
		RaiseException(0xe0000001, 0, 0, NULL);
	return unused != NULL;
}
static LONG CALLBACK goes_on(EXCEPTION_POINTERS *p)
{
	static LONG n;
	if (InterlockedIncrement(&n) > 20000)
		ExitProcess(21);
	return p ? EXCEPTION_CONTINUE_EXECUTION : 0;
}

static int handlers(const char *how)
{
	if (!strcmp(how, "other")) {
		AddVectoredExceptionHandler(1, raise_other);
	} else if (!strcmp(how, "overflow")) {
		AddVectoredExceptionHandler(1, overflow);
	} else if (!strcmp(how, "context")) {
		AddVectoredExceptionHandler(1, wild_context);
	} else if (!strcmp(how, "nowhere")) {
		AddVectoredExceptionHandler(1, (PVECTORED_EXCEPTION_HANDLER)(INT_PTR)0x1234);
	} else if (!strcmp(how, "filter")) {
		SetUnhandledExceptionFilter(raise_again);
	} else if (!strcmp(how, "exit")) {
		AddVectoredExceptionHandler(1, exits);
	} else if (!strcmp(how, "storm")) {
		AddVectoredExceptionHandler(1, goes_on);
		for (int i = 0; i < 4; i++)
			CreateThread(NULL, 0, storms, NULL, 0, NULL);
		Sleep(INFINITE);
	}
	RaiseException(0xe0000013, 0, 0, NULL);
	return 3;
}

/* Of the PEB: what functions look up there, then the functions. */
static int peb(unsigned char with)
{
	unsigned char *p = *(unsigned char **)((char *)NtCurrentTeb() + 0x60);
	char text[300];
	memset(p, with, 0x1000);
	GetModuleHandleA(NULL);
	LoadLibraryA("nosuch.dll");
	GetEnvironmentVariableA("PATH", text, sizeof text);
	GetModuleFileNameA(NULL, text, sizeof text);
	HANDLE h = CreateThread(NULL, 0, sleeper, NULL, 0, NULL);
	HeapFree(GetProcessHeap(), 0, HeapAlloc(GetProcessHeap(), 0, 100));
	SYSTEM_INFO si;
	GetSystemInfo(&si);
	return h ? 23 : 24;
}

static int stack_bounds(void)
{
	volatile char *teb = (char *)NtCurrentTeb();
	*(void *volatile *)(teb + 8) = (void *)(INT_PTR)-1;
	*(void *volatile *)(teb + 16) = NULL;
	*(void *volatile *)(teb + 0x1478) = (void *)(INT_PTR)0x500000000000;
	RaiseException(0xe0000001, 0, 0, NULL);
	return 3;
}

static DWORD WINAPI scribbles(void *unused)
{
	memset(NtCurrentTeb(), 0xee, 0x1800);
	return unused != NULL;
}

static int thread_teb(void)
{
	HANDLE h = CreateThread(NULL, 0, scribbles, NULL, 0, NULL);
	WaitForSingleObject(h, 2000);
	return 25;
}

static int memory(void)
{
	unsigned long long n = 0;
	for (size_t size = (size_t)1 << 46; size >= 65536; size /= 2)
		while (VirtualAlloc(NULL, size, MEM_RESERVE, PAGE_NOACCESS))
			n++;
	printf("reserved: %s, then %lu\n", n ? "much" : "nothing", GetLastError());
	for (n = 0; n < 1000000 && malloc(1 << 20); n++)
		continue;
	printf("malloc: %s\n", n < 1000000 ? "ends" : "never");
	HANDLE h = CreateThread(NULL, 0, sleeper, NULL, 0, NULL);
	printf("thread: %s\n", h ? "yes" : "no");
	return 26;
}

static int threads(void)
{
	unsigned n = 0;
	while (n < 100000 && CreateThread(NULL, 1 << 20, sleeper, NULL, 0, NULL))
		n++;
	printf("threads: %s, %lu\n", n < 100000 ? "bounded" : "never", GetLastError());
	return 27;
}

/* What is Lodge's cannot be had by its addresses. */
static int ours(void)
{
	char *lodge = (char *)(INT_PTR)GetProcAddress(GetModuleHandleA("kernel32"), "Sleep");
	DWORD old;
	SIZE_T n = 0;
	MEMORY_BASIC_INFORMATION m;
	printf("protect: %s\n",
	       VirtualProtect(lodge, 4096, PAGE_EXECUTE_READWRITE, &old) ? "REACHED" : "no");
	printf("free: %s\n", VirtualFree(lodge, 0, MEM_RELEASE) ? "REACHED" : "no");
	printf("alloc: %s\n", VirtualAlloc((void *)(INT_PTR)0x500000000000, 4096,
					   MEM_RESERVE | MEM_COMMIT, PAGE_EXECUTE_READWRITE)
				  ? "REACHED"
				  : "no");
	printf("alloc there: %s\n", VirtualAlloc((void *)((INT_PTR)lodge & ~0xffff), 4096,
						 MEM_RESERVE | MEM_COMMIT, PAGE_EXECUTE_READWRITE)
					? "REACHED"
					: "no");
	HANDLE s =
	    CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_EXECUTE_READWRITE, 0, 65536, NULL);
	printf("map: %s\n", MapViewOfFileEx(s, FILE_MAP_WRITE | FILE_MAP_EXECUTE, 0, 0, 65536,
					    (void *)(INT_PTR)0x500000000000)
				? "REACHED"
				: "no");
	printf("unmap: %s\n", UnmapViewOfFile(lodge) ? "REACHED" : "no");
	printf("query: %s\n",
	       VirtualQuery(lodge, &m, sizeof m) && m.State == MEM_COMMIT && m.Protect & 0xcc
		   ? "REACHED"
		   : "no");
	fflush(stdout);
	*(volatile char *)lodge = 1;
	return 3;
}

/* System calls from code that was made, or made writable, while it ran. */
static int made(const char *how)
{
	static const unsigned char code[] = {0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3};
	static unsigned char data[4096] __attribute__((aligned(4096)));
	static char stack[64];
	DWORD old;
	unsigned char *p = data;
	if (!strcmp(how, "rwx")) {
		p = VirtualAlloc(NULL, 4096, MEM_RESERVE | MEM_COMMIT, PAGE_EXECUTE_READWRITE);
	} else if (!strcmp(how, "text")) {
		p = (unsigned char *)(INT_PTR)made;
		VirtualProtect(p, 64, PAGE_EXECUTE_READWRITE, &old);
	} else if (!strcmp(how, "section")) {
		HANDLE s = CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_EXECUTE_READWRITE, 0,
					      65536, NULL);
		p = MapViewOfFile(s, FILE_MAP_WRITE | FILE_MAP_EXECUTE, 0, 0, 65536);
	} else if (!strcmp(how, "heap")) {
		p = malloc(8192);
		VirtualProtect(p, 64, PAGE_EXECUTE_READWRITE, &old);
	}
	if (!p)
		return 3;
	memcpy(p, code, sizeof code);
	if (p == data)
		VirtualProtect(p, 4096, PAGE_EXECUTE_READ, &old);
	long r = ((long (*)(void))p)();
	return printf("went through: %ld%.0s\n", r, stack) < 0;
}

static int exhaust(void)
{
	unsigned n;
	HANDLE h = NULL;
	for (n = 0; n < 100 && CreateThread(NULL, 0, sleeper, NULL, 0, NULL); n++)
		continue;
	printf("threads: %u\n", n);
	for (n = 0; n < 10000000 && (h = CreateEventA(NULL, 0, 0, NULL)); n++)
		continue;
	printf("handles: %s\n", h ? "unbounded" : "bounded");
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	if (!strcmp(what, "args")) {
		for (int i = 1; i < argc; i++)
			printf("[%s]\n", argv[i]);
		return 42;
	}
	if (!strcmp(what, "cat")) {
		char line[256];
		while (fgets(line, sizeof line, stdin))
			printf("<%s", line);
		fprintf(stderr, "to stderr\n");
		return 0;
	}
	if (!strcmp(what, "exit"))
		return atoi(argv[2]);
	if (!strcmp(what, "reach"))
		return reach();
	if (!strcmp(what, "devices"))
		return devices();
	if (!strcmp(what, "ways"))
		return ways();
	if (!strcmp(what, "sockets"))
		return sockets(atoi(argv[2]));
	if (!strcmp(what, "processes"))
		return processes(atoi(argv[2]));
	if (!strcmp(what, "env"))
		return printf("%s\n", getenv(argv[2]) ? getenv(argv[2]) : "(none)") < 0;
	if (!strcmp(what, "write")) {
		FILE *f = fopen(argv[2], "wb");
		return f && fputs("written", f) >= 0 && fclose(f) == 0 ? 0 : 9;
	}
	if (!strcmp(what, "cwd")) {
		char buf[300];
		GetCurrentDirectoryA(sizeof buf, buf);
		return puts(buf) < 0;
	}
	if (!strcmp(what, "syscall")) {
		long r = 39; /* getpid */
		__asm__ volatile("syscall" : "+a"(r) : : "rcx", "r11", "memory");
		return printf("went through: %ld\n", r) < 0;
	}
	if (!strcmp(what, "int80")) {
		long r = 20;
		__asm__ volatile("int $0x80" : "+a"(r) : : "memory");
		return printf("went through: %ld\n", r) < 0;
	}
	if (!strcmp(what, "null"))
		*(volatile int *)0 = 1;
	if (!strcmp(what, "jump"))
		((void (*)(void))16)();
	if (!strcmp(what, "stack"))
		return deep(1);
	if (!strcmp(what, "fast")) { /* __fastfail(7): the handler would go on without an end */
		AddVectoredExceptionHandler(1, raise_again);
		__asm__ volatile("int $0x29" : : "c"(7));
	}
	if (!strcmp(what, "zero"))
		return argc / (argc - 2);
	if (!strcmp(what, "again")) {
		AddVectoredExceptionHandler(1, raise_again);
		*(volatile int *)0 = 1;
	}
	if (!strcmp(what, "teb")) {
		unsigned char *teb = (unsigned char *)NtCurrentTeb();
		memset(teb, 0xee, 0x1800);
		memset(*(void **)(teb + 0x60) == NULL ? teb : teb, 0xee, 16);
		CreateFileA("x", 0, 0, 0, 0, 0, 0);
		return 3;
	}
	if (!strcmp(what, "exhaust"))
		return exhaust();
	if (!strcmp(what, "handlers"))
		return handlers(argv[2]);
	if (!strcmp(what, "peb"))
		return peb((unsigned char)atoi(argv[2]));
	if (!strcmp(what, "bounds"))
		return stack_bounds();
	if (!strcmp(what, "thread-teb"))
		return thread_teb();
	if (!strcmp(what, "thread-fault")) {
		WaitForSingleObject(CreateThread(NULL, 0, faults, (void *)8, 0, NULL), INFINITE);
		return 3;
	}
	if (!strcmp(what, "memory"))
		return memory();
	if (!strcmp(what, "threads"))
		return threads();
	if (!strcmp(what, "ours"))
		return ours();
	if (!strcmp(what, "made"))
		return made(argv[2]);
	if (!strcmp(what, "missing"))
		ReplaceFileA("a", "b", NULL, 0, NULL, NULL);
	if (!strcmp(what, "sleep"))
		Sleep(INFINITE);
	if (!strcmp(what, "throw"))
		RaiseException(0xe0000001, 0, 0, NULL);
	return 0;
}
