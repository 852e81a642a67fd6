// SPDX-License-Identifier: Apache-2.0
// Exceptions of C++, through frames with destructors, in several threads.
#include <cstdio>
#include <stdexcept>
#include <windows.h>

struct Noisy {
	int n;
	explicit Noisy(int v) : n(v) {}
	~Noisy() { sum += n; }
	static thread_local int sum;
};
thread_local int Noisy::sum = 0;

static void down(int n)
{
	Noisy noisy(n);
	if (n == 0)
		throw std::runtime_error("bottom");
	down(n - 1);
}

static DWORD WINAPI thread(void *)
{
	for (int i = 0; i < 100; i++) {
		try {
			down(10);
		} catch (const std::exception &e) {
		}
	}
	return Noisy::sum;
}

int main()
{
	try {
		down(3);
	} catch (const std::exception &e) {
		std::printf("caught %s after %d\n", e.what(), Noisy::sum);
	}
	try {
		try {
			throw 42;
		} catch (int x) {
			std::printf("int %d\n", x);
			throw;
		}
	} catch (...) {
		std::printf("again\n");
	}
	HANDLE t[4];
	DWORD code, all = 0;
	for (auto &h : t)
		h = CreateThread(nullptr, 0, thread, nullptr, 0, nullptr);
	for (auto h : t) {
		WaitForSingleObject(h, INFINITE);
		GetExitCodeThread(h, &code);
		all += code;
	}
	std::printf("threads %lu\n", all);
	return 5;
}
