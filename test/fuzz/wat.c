/* SPDX-License-Identifier: Apache-2.0 */
/* Modules of WebAssembly as text: any bytes are refused, with a place and a reason, or become a
 * module, the same one each time, which the decoder refuses or takes. */
#include "wasm/wasm.h"
#include "wat/wat.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct lodge_err e = {0};
	struct wasm_module *m;
	uint8_t *one, *two;
	size_t n1, n2;
	(void)wat_claims((const char *)data, len);
	int r = wat_encode("fuzz.wat", (const char *)data, len, &one, &n1, &e);
	if (r < 0) {
		if (r != -ENOMEM && memcmp(e.msg, "fuzz.wat:", 9) != 0)
			__builtin_trap();
		return 0;
	}
	if (wat_encode("fuzz.wat", (const char *)data, len, &two, &n2, NULL) < 0 || n1 != n2 ||
	    (n1 && memcmp(one, two, n1) != 0))
		__builtin_trap();
	free(two);
	if (wasm_module_new(&m, one, n1, 0, NULL) == 0)
		wasm_module_free(m);
	free(one);
	return 0;
}
