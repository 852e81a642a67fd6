// SPDX-License-Identifier: Apache-2.0
// The public header in C++11, and a program that uses the library as an embedder would.
#include <lodge/lodge.h>
#include <lodge/wasm.h>
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
	static const char text[] = "(func (export \"f\") (result i32) i32.const 7)";
	lodge_wasm_module *m = nullptr;
	lodge_wasm *w = nullptr;
	lodge_wasm_config wc;
	lodge_wasm_value v;
	std::memset(&wc, 0, sizeof wc);
	wc.size = sizeof wc;
	if (lodge_wasm_module_new(&m, "f", text, sizeof text - 1, &e) < 0 ||
	    lodge_wasm_new(&w, m, &wc, &e) < 0 ||
	    lodge_wasm_call(w, "f", nullptr, 0, &v, 1, &e) < 0 || v.of.i32 != 7)
		return 4;
	lodge_wasm_free(w);
	lodge_wasm_module_free(m);
	return std::strlen(lodge_version()) > 0 ? 0 : 3;
}
