/* SPDX-License-Identifier: Apache-2.0 */
/* Does the host kernel really give what it seems to? Each probe does the thing once.
 * Spec: Linux Documentation/virt/kvm/api.rst */
#include "host/host.h"
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* One page of guest: mov al,42; out 0x10,al; hlt, in real mode at address 0x1000. */
#if defined __x86_64__
static const uint8_t tiny_guest[] = {0xb0, 42, 0xe6, 0x10, 0xf4};
enum { TINY_AT = 0x1000, TINY_PAGE = 4096 };

static int tiny_registers(int vcpu)
{
	struct kvm_sregs s;
	struct kvm_regs r = {.rip = TINY_AT, .rflags = 2};
	if (ioctl(vcpu, KVM_GET_SREGS, &s) < 0)
		return -errno;
	s.cs.base = 0;
	s.cs.selector = 0;
	if (ioctl(vcpu, KVM_SET_SREGS, &s) < 0 || ioctl(vcpu, KVM_SET_REGS, &r) < 0)
		return -errno;
	return 0;
}

static int tiny_loop(int vcpu, struct kvm_run *run, struct lodge_err *e)
{
	bool said = false;
	for (int exits = 0; exits < 16; exits++) {
		if (ioctl(vcpu, KVM_RUN, 0) < 0 && errno != EINTR)
			return err_sys(e, "KVM_RUN");
		if (run->exit_reason == KVM_EXIT_IO && run->io.port == 0x10)
			said = *((uint8_t *)run + run->io.data_offset) == 42;
		else if (run->exit_reason == KVM_EXIT_HLT)
			return said ? 0 : err_set(e, EIO, "the guest halted without its output");
		else
			return err_set(e, EIO, "the guest ended with exit reason %u",
				       run->exit_reason);
	}
	return err_set(e, EIO, "the guest did not halt");
}

static int tiny_run(int vm, int vcpu, size_t run_bytes, uint8_t *page, struct lodge_err *e)
{
	struct kvm_userspace_memory_region m = {.guest_phys_addr = TINY_AT,
						.memory_size = TINY_PAGE,
						.userspace_addr = (uintptr_t)page};
	memcpy(page, tiny_guest, sizeof tiny_guest);
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &m) < 0)
		return err_sys(e, "KVM_SET_USER_MEMORY_REGION");
	void *run = mmap(NULL, run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		return err_sys(e, "mapping a vCPU");
	int r = tiny_registers(vcpu);
	r = r < 0 ? err_set(e, -r, "setting registers: %s", strerror(-r)) : tiny_loop(vcpu, run, e);
	munmap(run, run_bytes);
	return r;
}

static int kvm_try(int kvm, struct lodge_err *e)
{
	int bytes = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	autoclose int vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		return err_sys(e, "KVM_CREATE_VM");
	autoclose int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0 || bytes <= 0)
		return err_sys(e, "KVM_CREATE_VCPU");
	uint8_t *page =
	    mmap(NULL, TINY_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return err_sys(e, "memory");
	int r = tiny_run(vm, vcpu, (size_t)bytes, page, e);
	munmap(page, TINY_PAGE);
	return r;
}
#else
static int kvm_try(int kvm, struct lodge_err *e)
{
	(void)kvm;
	return err_set(e, EOPNOTSUPP, "no tiny guest exists for this processor");
}
#endif

int host_probe_kvm(struct lodge_err *e)
{
	autoclose int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		return err_sys(e, "opening /dev/kvm");
	int version = ioctl(kvm, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION)
		return err_set(e, ENOTSUP, "/dev/kvm speaks version %d", version);
	return kvm_try(kvm, e);
}

int host_probe_io_uring(struct lodge_err *e)
{
	struct io_uring_params p = {0};
	autoclose int fd = (int)syscall(SYS_io_uring_setup, 2, &p);
	return fd < 0 ? err_sys(e, "io_uring_setup") : 0;
}

/* In a child, because a process cannot leave the namespace again. */
int host_probe_userns(struct lodge_err *e)
{
	pid_t child = fork();
	if (child < 0)
		return err_sys(e, "fork");
	if (child == 0)
		_exit(unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET) < 0 ? errno
											     : 0);
	int status = host_reap(child);
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	return code ? err_set(e, code, "unshare: %s", strerror(code)) : 0;
}

int host_probe_tun(struct lodge_err *e)
{
	struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	autoclose int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "opening /dev/net/tun");
	return ioctl(fd, TUNSETIFF, &r) < 0 ? err_sys(e, "making a tap interface") : 0;
}

int host_probe_ping(struct lodge_err *e)
{
	autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);
	return fd < 0 ? err_sys(e, "an ICMP socket") : 0;
}
