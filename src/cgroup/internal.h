/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the room cgroup share. */
#pragma once
#include "cgroup/cgroup.h"

/* Is @wanted among the words of @options? */
bool cgroup_options_match(const char *options, const char *wanted);
bool cgroup_path_good(const char *path); /* no ".." in it */
/* -1 and errno */
int cgroup_write(const struct cgroup_part *p, const char *file, const char *text);
bool cgroup_has(const struct cgroup_part *p, const char *file);
/* Write, or say that the host cannot: @what is the field of the configuration. */
int cgroup_put(const struct cgroup_part *p, const char *file, const char *text, const char *what,
               struct lodge_err *e) MUST;
/* The part that has @controller, or an error that names @what needs it. */
int cgroup_need(const struct cgroup *g, const char *controller, const char *what,
                const struct cgroup_part **ret, struct lodge_err *e) MUST;

/* device.c: rules, with those that each container has after them */
int cgroup_devices_set(const struct cgroup *g, const struct oci_resources *r,
                       struct lodge_err *e) MUST;
/* bpf.c: the same as a program on a version 2 group */
int cgroup_devices_attach(const struct cgroup_part *p, const struct oci_device_rule *rules,
                          size_t n, struct lodge_err *e) MUST;
