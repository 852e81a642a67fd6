/* SPDX-License-Identifier: Apache-2.0 */
/* The words that fields may have. OCI-RT 1.2 */
#include "oci/oci.h"

/* The kernel's numbers of them follow each other in this order: getrlimit(2). */
const char *const oci_words_rlimits[] = {
	"RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS",
	"RLIMIT_NPROC", "RLIMIT_NOFILE", "RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS",
	"RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME",
	NULL,
};
const char *const oci_words_policies[] = {
	"SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE",
	"SCHED_DEADLINE", NULL,
};
const char *const oci_words_io_classes[] = {
	"IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE", NULL,
};
const char *const oci_words_namespaces[] = {
	"pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time", NULL,
};
const char *const oci_words_devices[] = { "c", "b", "u", "p", NULL };
const char *const oci_words_device_rules[] = { "a", "c", "b", NULL };
const char *const oci_words_seccomp_ops[] = {
	"SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT",
	"SCMP_CMP_MASKED_EQ", NULL,
};
const char *const oci_words_seccomp_actions[] = {
	"SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP",
	"SCMP_ACT_ERRNO", "SCMP_ACT_TRACE", "SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY",
	NULL,
};
const char *const oci_words_domains[] = { "LINUX", "LINUX32", NULL };
const char *const oci_words_propagations[] = {
	"private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable",
	NULL,
};

unsigned oci_word(const char *const *words, const char *word)
{
	for (unsigned i = 0; words[i]; i++)
		if (!strcmp(words[i], word))
			return i + 1;
	return 0;
}
