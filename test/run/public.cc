// SPDX-License-Identifier: Apache-2.0
// The public header in C++11, and a program that uses the library as an embedder would.
#include <lodge/lodge.h>
#include <cstring>

int main()
{
	lodge_config c;
	lodge_err e;
	lodge_guest *g = nullptr;
	std::memset(&c, 0, sizeof c);
	c.size = sizeof c;
	if (lodge_create(&g, &c, &e) == 0 || e.code == 0 || !std::strstr(e.msg, "nothing to run"))
		return 1;
	if (lodge_open(&g, "no-such-guest", &e) == 0)
		return 2;
	lodge_close(nullptr);
	return std::strlen(lodge_version()) > 0 ? 0 : 3;
}
