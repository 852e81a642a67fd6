# SPDX-License-Identifier: Apache-2.0
"""Cases: what the process of a container is (config.md, process)."""
import os
import time

from trial import Console, Fail, Skip, case, eq, read_terminal, true

ALL_SETS = ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb')
NUMBERS = {
    'CHOWN': 0,
    'KILL': 5,
    'SETGID': 6,
    'SETUID': 7,
    'NET_BIND_SERVICE': 10,
    'NET_RAW': 13,
    'SYS_CHROOT': 18,
    'AUDIT_WRITE': 29,
}


def status(t, field):
    text = t.out('cat /proc/self/status')
    for line in text.splitlines():
        if line.startswith(field + ':'):
            return line.split(':', 1)[1].strip()
    raise Fail(f'no {field} in /proc/self/status')


def bits(*names):
    return '%016x' % sum(1 << NUMBERS[n] for n in names)


@case('config.md process', 'args are run as they are, spaces and empty ones too')
def args_exact(t):
    t.process['args'] = ['/bin/probe', 'args', 'a b', '', '*', "'q'"]
    eq(t.out(), "[a b]\n[]\n[*]\n['q']")


@case('config.md process', 'a program without a slash is looked for in the PATH of env')
def args_path_search(t):
    t.put('rootfs/tools/own', '#!/bin/sh\necho mine\n', 0o755)
    t.process['env'] = ['PATH=/nowhere:/tools']
    t.process['args'] = ['own']
    eq(t.out(), 'mine')


@case('config.md process', 'a program that does not exist is an error')
def args_missing(t):
    t.process['args'] = ['/no/such']
    t.refused(None)


@case('config.md process', 'a program that may not be executed is an error')
def args_not_executable(t):
    t.put('rootfs/plain', 'text', 0o644)
    t.process['args'] = ['/plain']
    t.refused(None)


@case('config.md process', 'args has at least one entry')
def args_empty(t):
    t.process['args'] = []
    t.refused(None)


@case('config.md process', 'the exit code is the one of the process')
def exit_code(t):
    eq(t.run('exit 42').code, 42)


@case('config.md process', 'a process that dies by a signal: 128 and the signal')
def exit_signal(t):
    t.process['args'] = ['/bin/sh', '-c', 'sh -c "kill -9 \\$\\$"; exit $?']
    eq(t.run().code, 137)


@case('config.md process', 'the working directory is cwd')
def cwd(t):
    t.process['cwd'] = '/tmp'
    t.sees('pwd', '/tmp')


@case('config.md process', 'cwd is an absolute path')
def cwd_relative(t):
    t.process['cwd'] = 'tmp'
    t.refused()


@case('config.md process', 'a cwd that only the user may enter works')
def cwd_of_user(t):
    os.mkdir(t.path('rootfs/mine'), 0o700)
    os.chown(t.path('rootfs/mine'), 1000, 1000)
    t.process.update(cwd='/mine', user={'uid': 1000, 'gid': 1000})
    t.sees('pwd', '/mine')


@case('config.md process', 'a missing cwd is made, or refused: never another one')
def cwd_missing(t):
    t.process['cwd'] = '/not/there'
    r = t.run('pwd')
    true(r.code or r.out.strip() == '/not/there', f'runs in {r.out.strip()}')


@case('config.md process', 'env is all of the environment')
def env_exact(t):
    t.process['env'] = ['A=b c', 'EMPTY=', 'EQ=a=b']
    t.process['args'] = ['/bin/busybox', 'env']
    got = sorted(x for x in t.out().splitlines() if not x.startswith(('HOME=', 'PATH=')))
    eq(got, ['A=b c', 'EMPTY=', 'EQ=a=b'])


@case('config.md process', 'no variable of the runtime comes in')
def env_no_leak(t):
    env = dict(os.environ, LEAK='yes')
    eq(t.out('echo "${LEAK-none}"', env=env), 'none')


@case('config.md user', 'uid and gid')
def user_ids(t):
    t.process['user'] = {'uid': 1000, 'gid': 1001}
    t.sees('id -u; id -g', '1000\n1001')


@case('config.md user', 'ids that no file knows')
def user_unknown(t):
    t.process['user'] = {'uid': 4242424, 'gid': 77}
    t.sees('id -u; id -g', '4242424\n77')


@case('config.md user', 'additionalGids')
def user_groups(t):
    t.process['user'] = {'uid': 1000, 'gid': 1000, 'additionalGids': [5, 60, 700]}
    eq(sorted(t.out('id -G').split(), key=int), ['5', '60', '700', '1000'])


@case('config.md user', 'no group of the runtime comes in')
def user_no_groups(t):
    t.process['user'] = {'uid': 1000, 'gid': 1000}
    eq(status(t, 'Groups') in ('', '1000'), True)


@case('config.md user', 'umask')
def user_umask(t):
    t.process['user'] = {'uid': 0, 'gid': 0, 'umask': 0o27}
    t.sees('umask', '0027')


@case('config.md user', 'umask 0022 when it is not given')
def user_umask_default(t):
    t.sees('umask', '0022')


@case('config.md capabilities', 'bounding, effective and permitted sets')
def caps_sets(t):
    t.caps('CHOWN', 'KILL')
    text = t.out('cat /proc/self/status')
    got = {l.split(':')[0]: l.split()[1] for l in text.splitlines() if l.startswith('Cap')}
    eq(
        [got[s] for s in ('CapPrm', 'CapEff', 'CapBnd', 'CapInh', 'CapAmb')],
        [bits('CHOWN', 'KILL')] * 3 + [bits()] * 2,
    )


@case('config.md capabilities', 'effective may be less than permitted')
def caps_effective_less(t):
    t.caps('CHOWN', 'KILL')
    t.process['user'] = {'uid': 1000, 'gid': 1000}
    caps = t.process['capabilities']
    caps['inheritable'] = caps['ambient'] = ['CAP_CHOWN']
    text = t.out('cat /proc/self/status')
    got = {l.split(':')[0]: l.split()[1] for l in text.splitlines() if l.startswith('Cap')}
    eq(
        [got['CapAmb'], got['CapEff'], got['CapBnd']],
        [bits('CHOWN'), bits('CHOWN'), bits('CHOWN', 'KILL')],
    )


@case('config.md capabilities', 'an ambient capability is kept by a user other than root')
def caps_ambient(t):
    t.caps('NET_BIND_SERVICE')
    caps = t.process['capabilities']
    caps['inheritable'] = caps['ambient'] = caps['permitted']
    t.process['user'] = {'uid': 1000, 'gid': 1000}
    eq(status(t, 'CapEff'), bits('NET_BIND_SERVICE'))


@case('config.md capabilities', 'a user other than root has none without ambient ones')
def caps_user_none(t):
    t.process['user'] = {'uid': 1000, 'gid': 1000}
    eq(status(t, 'CapEff'), bits())


@case('config.md capabilities', 'no capabilities at all')
def caps_none(t):
    t.caps()
    text = t.out('cat /proc/self/status')
    got = {l.split()[1] for l in text.splitlines() if l.startswith('Cap')}
    eq(got, {bits()})


@case('config.md capabilities', 'capabilities left out: none')
def caps_absent(t):
    del t.process['capabilities']
    eq(status(t, 'CapEff'), bits())


@case('config.md capabilities', 'a name the kernel does not know never gives rights')
def caps_unknown(t):
    t.process['capabilities']['bounding'] = ['CAP_NO_SUCH']
    t.process['capabilities']['permitted'] = t.process['capabilities']['effective'] = []
    r = t.run('cat /proc/self/status')
    true(r.code or 'CapBnd:\t' + bits() in r.out, 'has capabilities')


@case('config.md capabilities', 'the bounding set holds for a set-user-id program too')
def caps_bounding_holds(t):
    t.caps('SETUID', 'SETGID')
    t.process['capabilities']['bounding'] = ['CAP_SETUID']
    t.process['capabilities']['effective'] = t.process['capabilities']['permitted'] = ['CAP_SETUID']
    eq(status(t, 'CapBnd'), bits('SETUID'))


@case('config.md rlimits', 'soft and hard limits')
def rlimit_nofile(t):
    t.process['rlimits'] = [{'type': 'RLIMIT_NOFILE', 'soft': 300, 'hard': 400}]
    t.sees('ulimit -Sn; ulimit -Hn', '300\n400')


@case('config.md rlimits', 'every resource of getrlimit(2)')
def rlimit_all(t):
    names = {
        'CORE': 'core file size',
        'CPU': 'cpu time',
        'DATA': 'data size',
        'FSIZE': 'file size',
        'LOCKS': 'file locks',
        'MEMLOCK': 'locked memory',
        'MSGQUEUE': 'msgqueue size',
        'NICE': 'nice priority',
        'NOFILE': 'open files',
        'NPROC': 'processes',
        'RSS': 'resident set',
        'RTPRIO': 'realtime priority',
        'RTTIME': 'realtime timeout',
        'SIGPENDING': 'pending signals',
        'STACK': 'stack size',
        'AS': 'address space',
    }
    value = {
        'AS': 1 << 40,
        'DATA': 1 << 38,
        'RSS': 1 << 36,
        'STACK': 1 << 22,
        'FSIZE': 1 << 30,
        'MEMLOCK': 65536,
        'MSGQUEUE': 4096,
        'NICE': 0,
        'RTPRIO': 0,
    }
    want = {n: value.get(n, 1000 + i) for i, n in enumerate(names)}
    t.process['rlimits'] = [{'type': 'RLIMIT_' + n, 'soft': v, 'hard': v} for n, v in want.items()]
    text = t.out('cat /proc/self/limits')
    got = {}
    for line in text.splitlines():
        for n, label in names.items():
            if line.lower().startswith('max ' + label):
                got[n] = int(line[26:].split()[0])
    eq(got, want)


@case('config.md rlimits', 'a resource that does not exist is an error')
def rlimit_unknown(t):
    t.process['rlimits'] = [{'type': 'RLIMIT_NOTHING', 'soft': 1, 'hard': 1}]
    t.refused()


@case('config.md rlimits', 'a soft limit above the hard one is an error')
def rlimit_soft_above(t):
    t.process['rlimits'] = [{'type': 'RLIMIT_NOFILE', 'soft': 500, 'hard': 400}]
    t.refused()


@case('config.md rlimits', 'the same resource twice is an error')
def rlimit_twice(t):
    t.process['rlimits'] = [{'type': 'RLIMIT_NOFILE', 'soft': 50, 'hard': 50}] * 2
    t.refused()


@case('config.md rlimits', 'limits left out are the runtime\'s')
def rlimit_inherit(t):
    with open('/proc/self/limits') as f:
        ours = [l.split()[3:5] for l in f if l.startswith('Max open files')][0]
    text = t.out('cat /proc/self/limits')
    eq([l.split()[3:5] for l in text.splitlines() if l.startswith('Max open files')][0], ours)


@case('config.md process', 'noNewPrivileges')
def no_new_privileges(t):
    t.process['noNewPrivileges'] = True
    eq(status(t, 'NoNewPrivs'), '1')


@case('config.md process', 'without noNewPrivileges privileges may be gained')
def new_privileges(t):
    t.process['noNewPrivileges'] = False
    eq(status(t, 'NoNewPrivs'), '0')


@case('config.md process', 'oomScoreAdj is set')
def oom_score(t):
    t.process['oomScoreAdj'] = 321
    t.sees('cat /proc/self/oom_score_adj', '321')


@case('config.md process', 'oomScoreAdj of zero is set too')
def oom_score_zero(t):
    t.process['oomScoreAdj'] = 0
    t.sees('cat /proc/self/oom_score_adj', '0')


@case('config.md process', 'the oom score is left alone when it is not given')
def oom_score_inherit(t):
    with open('/proc/self/oom_score_adj') as f:
        ours = f.read().strip()
    t.sees('cat /proc/self/oom_score_adj', ours)


@case('config.md scheduler', 'policy and nice')
def scheduler_batch(t):
    t.process['scheduler'] = {'policy': 'SCHED_BATCH', 'nice': 7}
    t.sees('probe sched', 'policy 3 nice 7 priority 0 flags 0')


@case('config.md scheduler', 'SCHED_IDLE')
def scheduler_idle(t):
    t.process['scheduler'] = {'policy': 'SCHED_IDLE'}
    true(t.out('probe sched').startswith('policy 5 '), 'another policy')


@case('config.md scheduler', 'flags')
def scheduler_reset(t):
    t.process['scheduler'] = {
        'policy': 'SCHED_OTHER',
        'nice': 3,
        'flags': ['SCHED_FLAG_RESET_ON_FORK'],
    }
    t.process['args'] = ['/bin/probe', 'sched']
    eq(t.out(), 'policy 0 nice 3 priority 0 flags 1')


@case('config.md scheduler', 'an unknown policy is an error')
def scheduler_unknown(t):
    t.process['scheduler'] = {'policy': 'SCHED_NONE'}
    t.refused()


@case('config.md ioPriority', 'class and priority')
def io_priority(t):
    t.process['ioPriority'] = {'class': 'IOPRIO_CLASS_BE', 'priority': 6}
    t.sees('probe ioprio', '2 6')


@case('config.md ioPriority', 'the idle class')
def io_priority_idle(t):
    t.process['ioPriority'] = {'class': 'IOPRIO_CLASS_IDLE', 'priority': 0}
    true(t.out('probe ioprio').startswith('3 '), 'another class')


@case('config.md execCPUAffinity', 'the final affinity of an exec\'d process')
def exec_affinity(t):
    if os.cpu_count() < 2:
        raise Skip('one processor')
    t.process['execCPUAffinity'] = {'initial': '0-1', 'final': '1'}
    t.running()
    eq(t.exec_out('grep Cpus_allowed_list /proc/self/status').split()[-1], '1')


@case('config-linux.md personality', 'LINUX32')
def personality(t):
    t.linux['personality'] = {'domain': 'LINUX32'}
    eq(t.out('cat /proc/self/personality')[-4:], '0008')


@case('config-linux.md personality', 'an unknown domain is an error')
def personality_unknown(t):
    t.linux['personality'] = {'domain': 'MINIX'}
    t.refused()


@case('config.md hostname', 'hostname')
def hostname(t):
    t.config['hostname'] = 'some-name'
    t.sees('hostname', 'some-name')


@case('config.md domainname', 'domainname')
def domainname(t):
    t.config['domainname'] = 'example.org'
    t.sees('cat /proc/sys/kernel/domainname', 'example.org')


@case('config.md hostname', 'a hostname without a UTS namespace never changes the host')
def hostname_host(t):
    ours = os.uname().nodename
    t.namespace('uts', '')
    t.config['hostname'] = 'stolen'
    t.run('true')
    eq(os.uname().nodename, ours)


@case('config.md process', 'signals are neither blocked nor ignored')
def signals_clean(t):
    t.process['args'] = ['/bin/cat', '/proc/self/status']
    text = t.out()
    got = {l.split(':')[0]: l.split()[1] for l in text.splitlines() if l.startswith('Sig')}
    eq([got['SigBlk'], got['SigIgn']], ['0' * 16] * 2)


@case('config.md process', 'only standard streams are open')
def fds_closed(t):
    t.process['args'] = ['/bin/probe', 'fds']
    eq(t.out(), '0 1 2')


@case('runc --preserve-fds', 'so many descriptors come in, as 3 and on')
def fds_preserved(t):
    fds = [os.open('/dev/null', os.O_RDONLY) for _ in range(40)]
    for fd in (3, 4):
        if fd not in fds:
            os.dup2(fds[0], fd)
    t.process['args'] = ['/bin/probe', 'fds']
    eq(t.out(None, '--preserve-fds', '2', fds=(3, 4)), '0 1 2 3 4')


@case('runc --preserve-fds', 'LISTEN_FDS: sockets come in, LISTEN_PID is 1')
def fds_listen(t):
    os.dup2(os.open('/dev/null', os.O_RDONLY), 3)
    env = dict(os.environ, LISTEN_FDS='1')
    t.process['args'] = ['/bin/sh', '-c', 'echo $LISTEN_FDS $LISTEN_PID; exec probe fds']
    wrap = ['sh', '-c', 'LISTEN_PID=$$; export LISTEN_PID; exec "$@"', 'sh']
    eq(t.out(fds=(3,), env=env, wrap=wrap), '1 1\n0 1 2 3')


@case('runtime.md create', 'the process is the first one of its session')
def session_leader(t):
    t.process['args'] = ['/bin/probe', 'session']
    eq(t.out(), 'leader yes terminal no')


@case('config.md terminal', 'a terminal: its master by the console socket')
def terminal(t):
    t.process['terminal'] = True
    c = Console(t)
    t.create(
        'tty; test -t 0 && test -t 1 && test -t 2 && echo all; probe session',
        '--console-socket',
        c.path,
    )
    fd = c.receive()
    t.start()
    eq(read_terminal(fd).strip(), '/dev/pts/0\nall\nleader yes terminal yes')


@case('config-linux.md devices', '/dev/console is the terminal')
def terminal_console(t):
    t.process['terminal'] = True
    c = Console(t)
    t.create(
        'stat -c %t:%T /dev/console /dev/pts/0; echo seen >/dev/console', '--console-socket', c.path
    )
    fd = c.receive()
    t.start()
    got = read_terminal(fd).split()
    eq(len(got), 3)
    eq(got[0], got[1])


@case('config.md consoleSize', 'the terminal has the size')
def terminal_size(t):
    t.process.update(terminal=True, consoleSize={'height': 33, 'width': 99})
    c = Console(t)
    t.create('probe winsize', '--console-socket', c.path)
    fd = c.receive()
    t.start()
    eq(read_terminal(fd).strip(), '33 99')


@case('config.md consoleSize', 'is ignored without a terminal')
def terminal_size_ignored(t):
    t.process['consoleSize'] = {'height': 33, 'width': 99}
    t.sees('echo runs', 'runs')


@case('config.md terminal', 'what is typed comes in, ^C is SIGINT')
def terminal_input(t):
    t.process['terminal'] = True
    c = Console(t)
    t.create(
        'trap "echo interrupted; exit 3" INT; read a; echo "got $a"; while :; do sleep 0.1; done',
        '--console-socket',
        c.path,
    )
    fd = c.receive()
    t.start()
    os.write(fd, b'hello\n')
    true('got hello' in read_terminal(fd, b'got hello'), 'input does not come in')
    os.write(fd, b'\x03')
    true('interrupted' in read_terminal(fd, b'interrupted'), '^C is no signal')
    eq(t.wait(), 3)


@case('runc create', 'a terminal without a console socket is an error')
def terminal_no_socket(t):
    t.process['terminal'] = True
    t.script('true')
    t.write()
    t.must_not('create', '--bundle', t.dir, t.id)


@case('runc create', 'a console socket without a terminal is an error, or is not used')
def terminal_not_asked(t):
    c = Console(t)
    t.script('true')
    t.write()
    r = t.cmd('create', '--bundle', t.dir, '--console-socket', c.path, t.id)
    true(r.code or t.status() == 'created', 'neither refused nor created')


@case('config.md process', 'stdin of the runtime is the container\'s')
def stdin_passed(t):
    r, w = os.pipe()
    os.write(w, b'from outside\n')
    os.close(w)
    with os.fdopen(r) as f:
        eq(t.out('cat', stdin=f), 'from outside')


@case('config.md process', 'standard error is apart')
def stderr_apart(t):
    r = t.run('echo out; echo err >&2')
    eq([r.out, r.err], ['out\n', 'err\n'])


@case('runc --no-new-keyring', 'a session keyring of its own, unless told')
def keyring(t):
    true(t.id in t.out('probe keyring'), 'the session keyring is not named by the container')


@case('runc --no-new-keyring', 'with it, the caller\'s keyring')
def keyring_kept(t):
    true(t.id not in t.out('probe keyring', '--no-new-keyring'), 'a new keyring')


@case('config.md process', 'the parent-death signal is clear: the container outlives its maker')
def outlives(t):
    t.running()
    time.sleep(0.1)
    eq(t.status(), 'running')


@case('config.md user', 'a program of another user\'s is dumpable only as the kernel says')
def init_not_dumpable(t):
    t.process['args'] = ['/bin/probe', 'core']
    eq(t.out(), 'dumpable 1 nnp 0')


@case('config.md apparmorProfile', 'a profile where there is no AppArmor is an error, or ignored')
def apparmor_absent(t):
    if os.path.exists('/sys/kernel/security/apparmor'):
        raise Skip('AppArmor is here')
    t.process['apparmorProfile'] = 'no-such-profile'
    r = t.run('echo runs')
    true(r.code or r.out == 'runs\n', 'neither')


@case('config.md selinuxLabel', 'a label where there is no SELinux is an error, or ignored')
def selinux_absent(t):
    if os.path.exists('/sys/fs/selinux/enforce'):
        raise Skip('SELinux is here')
    t.process['selinuxLabel'] = 'system_u:system_r:svirt_lxc_net_t:s0'
    r = t.run('echo runs')
    true(r.code or r.out == 'runs\n', 'neither')
