/* SPDX-License-Identifier: Apache-2.0 */
/* Writes to files of proc that concern this process or its namespaces: labels of AppArmor and
 * SELinux, sysctl. Only through the descriptor of a proc that was checked to be one, and never
 * over a link or onto another mount: what covers a file of proc might be anybody's.
 * OCI-RT 1.2 config.md "apparmorProfile", config-linux.md "Sysctl" */
#include "box/internal.h"
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

enum { ROOT_INODE = 1, PATH_BYTES = 256 };

int box_proc_open(struct lodge_err *e)
{
	struct stat st;
	autoclose int fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "/proc");
	if (!box_is_on(fd, PROC_SUPER_MAGIC) || st.st_ino != ROOT_INODE)
		return err_set(e, ENODEV, "/proc is not the proc file system");
	return take_fd(&fd);
}

/* A proc that nobody has mounted anything upon, for where the host's is covered. */
static int proc_fresh(void)
{
	autoclose int fs = fsopen("proc", FSOPEN_CLOEXEC);
	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return fsmount(fs, FSMOUNT_CLOEXEC, 0);
}

int box_proc_write(int proc, const char *path, const char *text)
{
	const uint64_t how = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
	autoclose int fd = proc < 0 ? -1 : box_open_how(proc, path, O_WRONLY, how);
	if (proc < 0 || (fd < 0 && (errno == EXDEV || errno == EROFS))) {
		autoclose int fresh = proc_fresh();
		fd = fresh < 0 ? -1 : box_open_how(fresh, path, O_WRONLY, how);
	}
	if (fd < 0)
		return -1;
	if (!box_is_on(fd, PROC_SUPER_MAGIC)) {
		errno = ENODEV;
		return -1;
	}
	return host_text_write(fd, text);
}

/* ---- labels ---- */

static bool apparmor_on(void)
{
	char c = 0;
	autoclose int fd = open("/sys/module/apparmor/parameters/enabled", O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, &c, 1) == 1 && c == 'Y';
}

int box_labels_check(const struct oci_process *p, struct lodge_err *e)
{
	if (p->apparmor_profile && *p->apparmor_profile && !apparmor_on())
		return err_set(e, ENOTSUP,
			       ".process.apparmorProfile: AppArmor is not enabled on this "
			       "host");
	if (p->selinux_label && *p->selinux_label && access("/sys/fs/selinux/enforce", F_OK) < 0)
		return err_set(e, ENOTSUP,
			       ".process.selinuxLabel: SELinux is not enabled on this host");
	return 0;
}

int box_labels_set(int proc, const struct oci_process *p, struct lodge_err *e)
{
	char text[PATH_BYTES + 8];
	if (p->selinux_label && *p->selinux_label &&
	    box_proc_write(proc, "thread-self/attr/exec", p->selinux_label) < 0)
		return err_sys(e, ".process.selinuxLabel: %.200s", p->selinux_label);
	if (!p->apparmor_profile || !*p->apparmor_profile)
		return 0;
	if (snprintf(text, sizeof text, "exec %s", p->apparmor_profile) >= (int)sizeof text)
		return err_set(e, EINVAL, ".process.apparmorProfile: too long");
	if (box_proc_write(proc, "thread-self/attr/apparmor/exec", text) < 0 &&
	    box_proc_write(proc, "thread-self/attr/exec", text) < 0)
		return err_sys(e, ".process.apparmorProfile: %.200s", p->apparmor_profile);
	return 0;
}

/* ---- sysctl ---- */

static const struct {
	const char *name;
	bool below; /* those that begin so */
	enum oci_space in;
} settable[] = {
    {"kernel.msgmax", false, OCI_IPC},     {"kernel.msgmnb", false, OCI_IPC},
    {"kernel.msgmni", false, OCI_IPC},     {"kernel.sem", false, OCI_IPC},
    {"kernel.shmall", false, OCI_IPC},     {"kernel.shmmax", false, OCI_IPC},
    {"kernel.shmmni", false, OCI_IPC},     {"kernel.shm_rmid_forced", false, OCI_IPC},
    {"fs.mqueue.", true, OCI_IPC},         {"net.", true, OCI_NETWORK},
    {"kernel.domainname", false, OCI_UTS}, {"kernel.hostname", false, OCI_UTS},
    {"user.", true, OCI_USER},
};

/* A name may be written with '.' or '/' between its parts; the first one says which. */
static void name_normal(char *name)
{
	char *first = name + strcspn(name, "./");
	if (*first != '/')
		return;
	for (char *p = name; *p; p++)
		*p = *p == '/' ? '.' : *p == '.' ? '/' : *p;
}

static int sysctl_check(const struct oci_spec *s, const char *name, struct lodge_err *e)
{
	for (size_t i = 0; i < countof(settable); i++) {
		size_t n = strlen(settable[i].name);
		if (settable[i].below ? strncmp(name, settable[i].name, n)
				      : strcmp(name, settable[i].name))
			continue;
		if (!oci_namespace_of(s, settable[i].in))
			return err_set(e, EINVAL,
				       ".linux.sysctl: sysctl \"%.100s\" is not in a separate "
			               "kernel namespace (%s)", name,
			               oci_words_namespaces[settable[i].in - 1]);
		return 0;
	}
	return err_set(e, EINVAL, ".linux.sysctl: sysctl \"%.100s\" is not in a separate kernel "
	               "namespace: it would be the host's", name);
}

int box_sysctl_check(const struct oci_spec *s, struct lodge_err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && s->lin && i < s->lin->sysctl.n; i++) {
		char name[PATH_BYTES];
		const char *key = s->lin->sysctl.at[i].key;
		if (snprintf(name, sizeof name,
			       "%s", key) >= (int)sizeof name || strstr(key, "..") ||
		    strstr(key, "//"))
			return err_set(e, EINVAL, ".linux.sysctl: '%.100s' is not a name", key);
		name_normal(name);
		r = sysctl_check(s, name, e);
	}
	return r;
}

int box_sysctl_set(int proc, const struct oci_spec *s, struct lodge_err *e)
{
	for (size_t i = 0; s->lin && i < s->lin->sysctl.n; i++) {
		char path[PATH_BYTES + 8] = "sys/";
		const struct oci_pair *p = &s->lin->sysctl.at[i];
		snprintf(path + 4, sizeof path - 4, "%s", p->key);
		name_normal(path + 4);
		for (char *c = path + 4; *c; c++)
			*c = *c == '.' ? '/' : *c == '/' ? '.' : *c;
		if (box_proc_write(proc, path, p->value) < 0)
			return err_sys(e, ".linux.sysctl: %.100s", p->key);
	}
	return 0;
}
