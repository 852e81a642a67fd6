/* SPDX-License-Identifier: Apache-2.0 */
/* health: a program in a container that says now and then whether it is well. */
#pragma once
#include "image/image.h"
#include "life/life.h"

struct health;
/* What @c's options ask for, else the image @m (NULL: none) as docker has it: HEALTHCHECK. *@ret is
 * NULL when nothing is to be asked. EINVAL. */
int health_new(struct health **ret, const struct level_env *env, const struct lodge_config *c,
               const struct image_health *m, struct lodge_err *e) MUST;
/* Are the options such that health_new takes them? */
int health_check(const struct lodge_config *c, struct lodge_err *e) MUST;
/* The container @id below @states runs from now on; both are copied. */
int health_start(struct health *h, const char *states, const char *id, struct lodge_err *e) MUST;
void health_stop(struct health *h); /* it does not any more */
void health_free(struct health *h); /* NULL is fine */
void health_describe(const struct health *h, struct json_object *out);
