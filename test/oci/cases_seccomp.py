# SPDX-License-Identifier: Apache-2.0
"""Cases: seccomp (config-linux.md)."""
import fcntl
import json
import os
import platform
import socket
import struct
import threading

from trial import Skip, case, eq, true

ARCH = {'x86_64': 'SCMP_ARCH_X86_64', 'aarch64': 'SCMP_ARCH_AARCH64'}.get(platform.machine())


def rules(t, *rows, default='SCMP_ACT_ALLOW', **more):
    """A profile: rows are (names, action, further keys)."""
    t.linux['seccomp'] = {
        'defaultAction': default,
        'architectures': [ARCH],
        'syscalls': [
            {'names': names.split(), 'action': f'SCMP_ACT_{action}', **keys}
            for names, action, keys in rows
        ],
        **more,
    }


def arg(index, op, value, two=None):
    return {
        'index': index,
        'value': value,
        'op': f'SCMP_CMP_{op}',
        **({'valueTwo': two} if two is not None else {}),
    }


@case('config-linux.md seccomp', 'errno, EPERM when no other is given')
def seccomp_errno(t):
    rules(t, ('mkdir', 'ERRNO', {}))
    t.sees(
        'probe call mkdir /tmp/x 0755; probe call getpid >/dev/null && echo others', 'EPERM\nothers'
    )


@case('config-linux.md seccomp', 'errnoRet')
def seccomp_errno_ret(t):
    rules(t, ('mkdir', 'ERRNO', {'errnoRet': 38}), ('sched_yield', 'ERRNO', {'errnoRet': 11}))
    t.sees('probe call mkdir /tmp/x 0755; probe call sched_yield', 'ENOSYS\nEAGAIN')


@case('config-linux.md seccomp', 'errnoRet of zero: the call succeeds and does nothing')
def seccomp_errno_zero(t):
    rules(t, ('mkdir', 'ERRNO', {'errnoRet': 0}))
    t.sees('probe call mkdir /tmp/x 0755; ls -d /tmp/x 2>/dev/null; echo end', '0\nend')


@case('config-linux.md seccomp', 'the mode is shown by the kernel')
def seccomp_mode(t):
    rules(t, ('mkdir', 'ERRNO', {}))
    eq(t.out('grep ^Seccomp: /proc/self/status').split()[-1], '2')


@case('config-linux.md seccomp', 'the profile of podman')
def seccomp_podman(t):
    path = '/usr/share/containers/seccomp.json'
    if not os.path.exists(path):
        raise Skip('no profile of podman here')
    with open(path) as f:
        profile = json.load(f)
    rows = [
        s for s in profile['syscalls'] if s['action'] == 'SCMP_ACT_ALLOW' and not s.get('includes')
    ]
    t.linux['seccomp'] = {
        'defaultAction': profile['defaultAction'],
        'architectures': [ARCH],
        'syscalls': [{k: s[k] for k in ('names', 'action', 'args') if s.get(k)} for s in rows]
        + [{'names': ['arch_prctl'], 'action': 'SCMP_ACT_ALLOW'}],
    }
    t.sees('echo x >/tmp/f && cat /tmp/f; probe call personality 0x40000', 'x\nEPERM')


@case('config-linux.md seccomp', 'defaultErrnoRet')
def seccomp_default_errno(t):
    everything = (
        'read write open openat close fstat stat lstat newfstatat statx mmap mprotect munmap brk '
        'rt_sigaction rt_sigprocmask rt_sigreturn ioctl readv writev access faccessat faccessat2 execve '
        'execveat exit exit_group wait4 fork vfork clone clone3 getpid getppid getuid geteuid getgid getegid '
        'arch_prctl set_tid_address set_robust_list rseq prlimit64 readlink readlinkat getrandom fcntl dup '
        'dup2 dup3 pipe pipe2 uname getcwd futex setuid setgid setgroups chdir capset capget prctl '
        'sigaltstack lseek getdents64 sendmsg recvmsg close_range gettid tgkill socket connect sendto '
        'epoll_create1 epoll_ctl epoll_pwait nanosleep clock_nanosleep sched_getaffinity madvise '
        'setresuid setresgid fchdir umask fstatfs statfs seccomp getsockname fchown poll ppoll '
        'setpgid getpgrp setsid keyctl'
    ).split()
    rules(t, (' '.join(everything), 'ALLOW', {}), default='SCMP_ACT_ERRNO', defaultErrnoRet=38)
    t.sees('probe call mkdir /tmp/x 0755', 'ENOSYS')


@case('config-linux.md seccomp', 'kill: the process dies by SIGSYS')
def seccomp_kill(t):
    rules(t, ('mkdir', 'KILL_PROCESS', {}))
    t.sees('probe call mkdir /tmp/x 0755; echo $?', '159')


@case('config-linux.md seccomp', 'trap: SIGSYS')
def seccomp_trap(t):
    rules(t, ('mkdir', 'TRAP', {}))
    t.sees('probe call mkdir /tmp/x 0755; echo $?', '159')


@case('config-linux.md seccomp', 'log: the call goes through')
def seccomp_log(t):
    rules(t, ('mkdir', 'LOG', {}))
    t.sees('probe call mkdir /tmp/x 0755', '0')


@case('config-linux.md seccomp', 'trace without a tracer: ENOSYS')
def seccomp_trace(t):
    rules(t, ('mkdir', 'TRACE', {'errnoRet': 5}))
    t.sees('probe call mkdir /tmp/x 0755', 'ENOSYS')


def compare(op, value, denied, allowed, two=None):
    """@op on the mode of chmod."""

    def check(t):
        rules(t, ('chmod', 'ERRNO', {'errnoRet': 5, 'args': [arg(1, op, value, two)]}))
        t.sees(
            f'touch /tmp/f; probe call chmod /tmp/f {denied}; probe call chmod /tmp/f {allowed}',
            'EIO\n0',
        )

    check.__name__ = f'seccomp_arg_{op.lower()}'
    case('config-linux.md seccomp', f'an argument by SCMP_CMP_{op}')(check)


compare('EQ', 0o600, 0o600, 0o601)
compare('NE', 0o600, 0o601, 0o600)
compare('LT', 0o600, 0o577, 0o600)
compare('LE', 0o600, 0o600, 0o601)
compare('GT', 0o600, 0o601, 0o600)
compare('GE', 0o600, 0o600, 0o577)
compare('MASKED_EQ', 0o700, 0o621, 0o421, 0o600)


@case('config-linux.md seccomp', 'several conditions: all have to hold')
def seccomp_args_all(t):
    rules(t, ('socket', 'ERRNO', {'errnoRet': 5, 'args': [arg(0, 'EQ', 1), arg(1, 'EQ', 2)]}))
    t.sees('probe call socket 1 2 0; probe call socket 1 1 0', 'EIO\n3')


@case('config-linux.md seccomp', 'two rules for the same call: either')
def seccomp_args_either(t):
    rules(
        t,
        ('chmod', 'ERRNO', {'errnoRet': 5, 'args': [arg(1, 'EQ', 0o600)]}),
        ('chmod', 'ERRNO', {'errnoRet': 5, 'args': [arg(1, 'EQ', 0o700)]}),
    )
    t.sees(
        'touch /tmp/f; for m in 0600 0700 0644; do probe call chmod /tmp/f $m; done', 'EIO\nEIO\n0'
    )


@case('config-linux.md seccomp', 'values of 64 bits')
def seccomp_args_wide(t):
    rules(t, ('umask', 'ERRNO', {'errnoRet': 5, 'args': [arg(0, 'EQ', 0x100000012)]}))
    t.sees('probe call umask 0x100000012; probe call umask 0x12', 'EIO\n18')


@case('config-linux.md seccomp', 'names the library does not know are passed over')
def seccomp_unknown_name(t):
    rules(t, ('no_such_call mkdir', 'ERRNO', {}))
    t.sees('probe call mkdir /tmp/x 0755', 'EPERM')


@case('config-linux.md seccomp', 'an unknown action is an error')
def seccomp_unknown_action(t):
    rules(t, ('mkdir', 'SMILE', {}))
    t.refused()


@case('config-linux.md seccomp', 'an unknown operator is an error')
def seccomp_unknown_op(t):
    rules(t, ('chmod', 'ERRNO', {'args': [arg(1, 'ALMOST', 1)]}))
    t.refused()


@case('config-linux.md seccomp', 'an unknown architecture is an error')
def seccomp_unknown_arch(t):
    rules(t, ('mkdir', 'ERRNO', {}), architectures=['SCMP_ARCH_ABACUS'])
    t.refused()


@case('config-linux.md seccomp', 'an unknown flag is an error')
def seccomp_unknown_flag(t):
    rules(t, ('mkdir', 'ERRNO', {}), flags=['SECCOMP_FILTER_FLAG_NONE_SUCH'])
    t.refused()


@case('config-linux.md seccomp', 'flags of the kernel')
def seccomp_flags(t):
    rules(
        t,
        ('mkdir', 'ERRNO', {}),
        flags=['SECCOMP_FILTER_FLAG_LOG', 'SECCOMP_FILTER_FLAG_SPEC_ALLOW'],
    )
    t.sees('probe call mkdir /tmp/x 0755', 'EPERM')


@case('config-linux.md seccomp', 'an empty list of names is an error')
def seccomp_no_names(t):
    rules(t, ('', 'ERRNO', {}))
    t.refused()


@case('config-linux.md seccomp', 'with noNewPrivileges, and as a user')
def seccomp_user(t):
    rules(t, ('mkdir', 'ERRNO', {}))
    t.process.update(noNewPrivileges=True, user={'uid': 1000, 'gid': 1000})
    t.caps()
    t.sees('probe call mkdir /tmp/x 0755; id -u', 'EPERM\n1000')


@case('config-linux.md seccomp', 'without noNewPrivileges, as a user')
def seccomp_user_privileges(t):
    rules(t, ('mkdir', 'ERRNO', {}))
    t.process.update(noNewPrivileges=False, user={'uid': 1000, 'gid': 1000})
    t.caps()
    t.sees(
        'probe call mkdir /tmp/x 0755; grep NoNewPrivs /proc/self/status', 'EPERM\nNoNewPrivs:\t0'
    )


@case('config-linux.md seccomp', 'holds for exec too')
def seccomp_exec(t):
    rules(t, ('mkdir', 'ERRNO', {}))
    t.running()
    eq(t.exec_out('probe call mkdir /tmp/x 0755'), 'EPERM')


@case('config-linux.md seccomp', 'the list may be empty')
def seccomp_empty(t):
    rules(t)
    t.sees('echo runs', 'runs')


def whole(text):
    try:
        return bool(json.loads(text))
    except ValueError:
        return False


class Agent(threading.Thread):
    """Receives a container process state and answers each notified call with errno 9 (EBADF)."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen()
        self.listener.settimeout(20)
        self.state, self.fds, self.why = None, 0, None
        self.got = threading.Event()
        self.start()

    def run(self):
        try:
            s = self.listener.accept()[0]
            s.settimeout(10)
            text, fds, _, _ = socket.recv_fds(s, 1 << 20, 4)
            while not whole(text):  # some runtimes close the connection only when they end
                text += s.recv(1 << 20)
            self.connection, self.fds, self.state = s, len(fds), json.loads(text)
            self.got.set()
            while True:
                call = fcntl.ioctl(fds[0], 0xC0502100, bytes(80))  # SECCOMP_IOCTL_NOTIF_RECV
                ident = struct.unpack_from('Q', call)[0]
                fcntl.ioctl(fds[0], 0xC0182101, struct.pack('QqiI', ident, 0, -9, 0))  # ..._SEND
        except OSError as e:
            self.why = str(e)


def notify(t, **more):
    agent = Agent(t.path('agent'))
    rules(t, ('mkdir', 'NOTIFY', {}), listenerPath=t.path('agent'), **more)
    return agent


@case('config-linux.md seccomp', 'notify: the agent gets the descriptor and decides')
def seccomp_notify(t):
    agent = notify(t)
    t.sees('probe call mkdir /tmp/x 0755', 'EBADF')
    eq(agent.fds, 1)


@case('config-linux.md containerProcessState', 'fields of the state; the connection is closed')
def seccomp_notify_state(t):
    agent = notify(t, listenerMetadata='some=data')
    t.config['annotations'] = {'org.example.a': 'b'}
    t.create('probe call mkdir /tmp/x 0755')
    t.start()
    true(agent.got.wait(10), f'no state comes ({agent.why})')
    s = agent.state
    eq(
        [
            s['fds'],
            s['metadata'],
            s['state']['id'],
            s['state']['bundle'],
            s['state']['annotations'],
        ],
        [['seccompFd'], 'some=data', t.id, t.dir, {'org.example.a': 'b'}],
    )
    eq(agent.connection.recv(10), b'', 'after the state')
    true(s['pid'] > 0 and s['ociVersion'], 'pid or ociVersion is missing')
    true(s['state']['status'] in ('creating', 'created'), s['state']['status'])


@case('config-linux.md seccomp', 'notify with nobody at listenerPath is an error')
def seccomp_notify_nobody(t):
    rules(t, ('mkdir', 'NOTIFY', {}), listenerPath=t.path('nobody'))
    t.refused()


@case('config-linux.md seccomp', 'notify without listenerPath is an error')
def seccomp_notify_no_path(t):
    rules(t, ('mkdir', 'NOTIFY', {}))
    t.refused()


@case('config-linux.md seccomp', 'listenerPath without notify is passed over')
def seccomp_notify_unused(t):
    rules(t, ('mkdir', 'ERRNO', {}), listenerPath=t.path('nobody'))
    t.sees('probe call mkdir /tmp/x 0755', 'EPERM')


@case('config-linux.md seccomp', 'notify for an exec\'d process: a second state')
def seccomp_notify_exec(t):
    first = notify(t)
    t.running()
    true(first.got.wait(10), 'no first state')
    os.unlink(t.path('agent'))
    second = Agent(t.path('agent'))
    eq(t.exec_out('probe call mkdir /tmp/x 0755'), 'EBADF')
    true(second.got.wait(10) and second.state['pid'] != first.state['pid'], 'no second state')
