/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates: any bytes give parts that are inside of them, or an error. */
#include "win/x509.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct x509 x;
	size_t used, sum = 0;
	if (x509_read(&x, data, len, &used) < 0)
		return 0;
	const struct der parts[] = {x.serial, x.issuer, x.subject, x.key, x.signature.parameters};
	for (size_t i = 0; i < countof(parts); i++) {
		if (parts[i].len &&
		    (parts[i].at < data || parts[i].at + parts[i].len > data + used))
			__builtin_trap();
		for (size_t k = 0; k < parts[i].len; k++)
			sum += parts[i].at[k];
	}
	for (unsigned i = 0; i < x.nextensions; i++)
		for (size_t k = 0; k < x.extensions[i].value.len; k++)
			sum += x.extensions[i].value.at[k];
	return used > len || sum == SIZE_MAX ? __builtin_trap(), 0 : 0;
}
