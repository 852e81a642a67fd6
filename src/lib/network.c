/* SPDX-License-Identifier: Apache-2.0 */
/* Networks that containers join: the public door to those of level/container. */
#include "level/container/container.h"
#include "lib/lib.h"
#include <json-c/json.h>

int lodge_network_create(const char *name, const char *subnet, struct lodge_err *e)
{
	return container_network_create(name, subnet, e);
}

int lodge_network_list(char **ret_json, struct lodge_err *e)
{
	struct json_object *a = NULL;
	int r = container_network_list(&a, e);
	return r < 0 ? r : json_give(a, ret_json, e);
}

int lodge_network_inspect(const char *name, char **ret_json, struct lodge_err *e)
{
	struct json_object *o = NULL;
	int r = container_network_inspect(name, &o, e);
	return r < 0 ? r : json_give(o, ret_json, e);
}

int lodge_network_remove(const char *name, struct lodge_err *e)
{
	return container_network_remove(name, e);
}
