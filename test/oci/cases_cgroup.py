# SPDX-License-Identifier: Apache-2.0
"""Cases: cgroups and resources (config-linux.md), update. What was set is read back from the kernel."""
import json
import os

from trial import CGROUPS, UNIFIED, Skip, case, eq, true


def weight(shares):
    """cgroup v2's cpu.weight of v1's shares: both are in use, and either is right."""
    return {1 + (shares - 2) * 9999 // 262142, max(1, shares * 100 // 1024)}


def need(controller):
    """Skips the case where the machine has no such controller."""
    for base in ('/sys/fs/cgroup', UNIFIED):
        if os.path.exists(f'{base}/cgroup.controllers'):
            with open(f'{base}/cgroup.controllers') as f:
                if controller in f.read().split():
                    return
    if not os.path.isdir(f'/sys/fs/cgroup/{controller}'):
        raise Skip(f'no {controller} controller here')


def set_and_read(name, resources, controller, v1, v2, want):
    """A case: with @resources the file has @want (of v1, of v2)."""

    def check(t):
        need(controller)
        t.linux['resources'].update(resources)
        t.create('true')
        got, version = t.setting(controller, v1, v2)
        eq(got, want[0] if version == 1 else want[-1])

    check.__name__ = f'resource_{name}'
    case(f'config-linux.md {controller}', json.dumps(resources).replace('"', ''))(check)


MIB = 1 << 20
for row in (
    (
        'memory_limit',
        {'memory': {'limit': 64 * MIB}},
        'memory',
        'memory.limit_in_bytes',
        'memory.max',
        [str(64 * MIB)],
    ),
    (
        'memory_reservation',
        {'memory': {'limit': 64 * MIB, 'reservation': 32 * MIB}},
        'memory',
        'memory.soft_limit_in_bytes',
        'memory.low',
        [str(32 * MIB)],
    ),
    (
        'memory_swap',
        {'memory': {'limit': 64 * MIB, 'swap': 128 * MIB}},
        'memory',
        'memory.memsw.limit_in_bytes',
        'memory.swap.max',
        [str(128 * MIB), str(64 * MIB)],
    ),
    (
        'memory_unlimited',
        {'memory': {'limit': -1}},
        'memory',
        'memory.limit_in_bytes',
        'memory.max',
        ['9223372036854771712', 'max'],
    ),
    (
        'memory_swappiness',
        {'memory': {'swappiness': 17}},
        'memory',
        'memory.swappiness',
        None,
        ['17'],
    ),
    (
        'memory_kernel_tcp',
        {'memory': {'kernelTCP': 8 * MIB}},
        'memory',
        'memory.kmem.tcp.limit_in_bytes',
        None,
        [str(8 * MIB)],
    ),
    ('pids_limit', {'pids': {'limit': 37}}, 'pids', 'pids.max', 'pids.max', ['37']),
    ('pids_unlimited', {'pids': {'limit': -1}}, 'pids', 'pids.max', 'pids.max', ['max']),
    (
        'cpu_quota',
        {'cpu': {'quota': 20000, 'period': 50000}},
        'cpu',
        'cpu.cfs_quota_us',
        'cpu.max',
        ['20000', '20000 50000'],
    ),
    (
        'cpu_period',
        {'cpu': {'quota': 20000, 'period': 50000}},
        'cpu',
        'cpu.cfs_period_us',
        None,
        ['50000'],
    ),
    (
        'cpu_burst',
        {'cpu': {'quota': 20000, 'period': 50000, 'burst': 10000}},
        'cpu',
        'cpu.cfs_burst_us',
        'cpu.max.burst',
        ['10000'],
    ),
    ('cpu_idle', {'cpu': {'idle': 1}}, 'cpu', 'cpu.idle', 'cpu.idle', ['1']),
    ('cpuset_cpus', {'cpu': {'cpus': '0'}}, 'cpuset', 'cpuset.cpus', 'cpuset.cpus', ['0']),
    ('cpuset_mems', {'cpu': {'mems': '0'}}, 'cpuset', 'cpuset.mems', 'cpuset.mems', ['0']),
    (
        'hugetlb',
        {'hugepageLimits': [{'pageSize': '2MB', 'limit': 4 * MIB}]},
        'hugetlb',
        'hugetlb.2MB.limit_in_bytes',
        'hugetlb.2MB.max',
        [str(4 * MIB)],
    ),
    (
        'network_class',
        {'network': {'classID': 1048577}},
        'net_cls',
        'net_cls.classid',
        None,
        ['1048577'],
    ),
):
    set_and_read(*row)


@case('config-linux.md cpu', 'shares')
def resource_cpu_shares(t):
    t.linux['resources']['cpu'] = {'shares': 512}
    t.create('true')
    got, version = t.setting('cpu', 'cpu.shares', 'cpu.weight')
    true(got == '512' if version == 1 else int(got) in weight(512), got)


@case('config-linux.md blockIO', 'throttled devices')
def resource_block(t):
    disk = os.stat('/').st_dev
    major, minor = os.major(disk), os.minor(disk)
    if not os.path.exists(
        f'/sys/block/{os.path.basename(os.path.realpath(f"/sys/dev/block/{major}:{minor}"))}'
    ):
        raise Skip('the root file system is on no whole disk')
    at = {'major': major, 'minor': minor}
    t.linux['resources']['blockIO'] = {
        'throttleReadBpsDevice': [{**at, 'rate': 10 * MIB}],
        'throttleWriteBpsDevice': [{**at, 'rate': 11 * MIB}],
        'throttleReadIOPSDevice': [{**at, 'rate': 1200}],
        'throttleWriteIOPSDevice': [{**at, 'rate': 1300}],
    }
    t.create('true')
    folder, version = t.cgroup('blkio' if os.path.isdir('/sys/fs/cgroup/blkio') else 'io')
    if version == 2:
        with open(f'{folder}/io.max') as f:
            eq(
                f.read().strip(),
                f'{major}:{minor} rbps={10 * MIB} wbps={11 * MIB} riops=1200 wiops=1300',
            )
        return
    for name, want in (
        ('read_bps', 10 * MIB),
        ('write_bps', 11 * MIB),
        ('read_iops', 1200),
        ('write_iops', 1300),
    ):
        with open(f'{folder}/blkio.throttle.{name}_device') as f:
            eq(f.read().split(), [f'{major}:{minor}', str(want)])


@case('config-linux.md memory', 'disableOOMKiller')
def resource_oom(t):
    t.linux['resources']['memory'] = {'limit': 64 * MIB, 'disableOOMKiller': True}
    t.create('true')
    got, _ = t.setting('memory', 'memory.oom_control', None)
    true('oom_kill_disable 1' in got, got)


@case('config-linux.md memory', 'the limit holds: beyond it the process is killed')
def limit_memory(t):
    t.linux['resources']['memory'] = {'limit': 16 * MIB, 'swap': 16 * MIB}
    t.process['args'] = ['/bin/probe', 'eat', str(64 * MIB)]
    r = t.run()
    true(r.code == 137 and 'eaten' not in r.out, f'code {r.code}, {r.out}')


@case('config-linux.md pids', 'the limit holds')
def limit_pids(t):
    t.linux['resources']['pids'] = {'limit': 10}
    t.process['args'] = ['/bin/probe', 'forks', '30']
    eq(t.out(), '9')


@case('config-linux.md cpu', 'the process runs on the processors of the set')
def limit_cpuset(t):
    t.linux['resources']['cpu'] = {'cpus': '0'}
    eq(t.out('grep Cpus_allowed_list /proc/self/status').split()[-1], '0')


@case('config-linux.md cpu', 'a processor that does not exist is an error')
def cpuset_bad(t):
    t.linux['resources']['cpu'] = {'cpus': '4000'}
    t.refused()


@case('config-linux.md hugepageLimits', 'a page size the machine has not is an error')
def hugetlb_bad(t):
    t.linux['resources']['hugepageLimits'] = [{'pageSize': '3MB', 'limit': 1}]
    t.refused()


@case('config-linux.md unified', 'what is written there is in the v2 cgroup\'s files')
def unified(t):
    base = UNIFIED if os.path.ismount(UNIFIED) else '/sys/fs/cgroup'
    if not os.path.exists(f'{base}/cgroup.controllers'):
        raise Skip('no v2 hierarchy')
    t.linux['resources']['unified'] = {'cgroup.max.descendants': '13'}
    t.create('true')
    with open(f'/proc/{t.pid}/cgroup') as f:
        path = [l.rstrip('\n').split(':', 2)[2] for l in f if l.startswith('0::')][0]
    with open(f'{base}{path}/cgroup.max.descendants') as f:
        eq(f.read().strip(), '13')


@case('config-linux.md unified', 'a file of no controller is an error')
def unified_unknown(t):
    t.linux['resources']['unified'] = {'nosuch.max': '1'}
    t.refused()


@case('config-linux.md unified', 'a name with a slash is an error')
def unified_slash(t):
    t.linux['resources']['unified'] = {'../../pids.max': '1'}
    t.refused()


@case('config-linux.md cgroupsPath', 'absolute: below the mount point of the hierarchy')
def cgroups_path(t):
    t.create('true')
    with open(f'/proc/{t.pid}/cgroup') as f:
        paths = {l.rstrip('\n').split(':', 2)[2] for l in f if ':pids:' in l or l.startswith('0::')}
    true(f'/{CGROUPS}/{t.id}' in paths, f'in {paths}')


@case('config-linux.md cgroupsPath', 'the same path, the same place')
def cgroups_path_same(t):
    t.create('true')
    first, _ = t.cgroup('pids')
    t.must('delete', '--force', t.id)
    t.create('true')
    eq(t.cgroup('pids')[0], first)


@case('config-linux.md cgroupsPath', 'relative: somewhere, and always there')
def cgroups_path_relative(t):
    t.linux['cgroupsPath'] = f'{CGROUPS}-relative/{t.id}'
    t.create('true')
    true(t.id in t.cgroup('pids')[0], 'not named by the path')


@case('config-linux.md cgroupsPath', 'without one, a cgroup of its own all the same')
def cgroups_path_none(t):
    del t.linux['cgroupsPath']
    t.create('true')
    with open('/proc/self/cgroup') as f:
        ours = f.read()
    with open(f'/proc/{t.pid}/cgroup') as f:
        true(f.read() != ours, 'the runtime\'s own cgroup')


@case('config-linux.md cgroupsPath', 'dot-dots do not lead out of the hierarchy')
def cgroups_path_dotdot(t):
    t.linux['cgroupsPath'] = f'/../../{CGROUPS}/{t.id}'
    r = t.run('true')
    true(r.code or not os.path.exists(f'/sys/{CGROUPS}'), 'out of it')


@case('runtime.md delete', 'the cgroup is gone')
def cgroup_removed(t):
    t.running()
    folder, _ = t.cgroup('pids')
    t.must('delete', '--force', t.id)
    true(not os.path.exists(folder), f'{folder} is there')


@case('runtime.md delete', 'cgroups that the container made below its own go too')
def cgroup_children(t):
    t.running()
    folder, _ = t.cgroup('pids')
    os.makedirs(f'{folder}/a/b')
    t.must('delete', '--force', t.id)
    true(not os.path.exists(folder), f'{folder} is there')


@case('runtime.md create', 'an exec\'d process is in the same cgroup')
def cgroup_exec(t):
    t.namespace('cgroup', '')
    t.running()
    got = t.exec_out('cat /proc/self/cgroup')
    with open(f'/proc/{t.pid}/cgroup') as f:
        eq([l for l in got.splitlines() if 'pids' in l], [l.strip() for l in f if 'pids' in l])


def update(name, flags, controller, v1, v2, want):
    def check(t):
        t.linux['resources']['memory'] = {'limit': 64 * MIB, 'swap': 128 * MIB}
        t.running()
        t.must('update', *flags, t.id)
        got, version = t.setting(controller, v1, v2)
        eq(got, want[0] if version == 1 else want[-1])

    check.__name__ = f'update_{name}'
    case('runc update', ' '.join(flags))(check)


for row in (
    (
        'memory',
        ['--memory', str(32 * MIB)],
        'memory',
        'memory.limit_in_bytes',
        'memory.max',
        [str(32 * MIB)],
    ),
    (
        'memory_suffix',
        ['--memory', '32M'],
        'memory',
        'memory.limit_in_bytes',
        'memory.max',
        [str(32 * MIB)],
    ),
    (
        'memory_swap',
        ['--memory', str(32 * MIB), '--memory-swap', str(48 * MIB)],
        'memory',
        'memory.memsw.limit_in_bytes',
        'memory.swap.max',
        [str(48 * MIB), str(16 * MIB)],
    ),
    (
        'memory_grow',
        ['--memory', str(256 * MIB), '--memory-swap', str(256 * MIB)],
        'memory',
        'memory.limit_in_bytes',
        'memory.max',
        [str(256 * MIB)],
    ),
    (
        'memory_reservation',
        ['--memory-reservation', str(16 * MIB)],
        'memory',
        'memory.soft_limit_in_bytes',
        'memory.low',
        [str(16 * MIB)],
    ),
    ('pids', ['--pids-limit', '21'], 'pids', 'pids.max', 'pids.max', ['21']),
    (
        'quota',
        ['--cpu-quota', '30000', '--cpu-period', '60000'],
        'cpu',
        'cpu.cfs_quota_us',
        'cpu.max',
        ['30000', '30000 60000'],
    ),
    ('cpus', ['--cpuset-cpus', '0'], 'cpuset', 'cpuset.cpus', 'cpuset.cpus', ['0']),
):
    update(*row)


@case('runc update', '--cpu-share')
def update_shares(t):
    t.running()
    t.must('update', '--cpu-share', '256', t.id)
    got, version = t.setting('cpu', 'cpu.shares', 'cpu.weight')
    true(got == '256' if version == 1 else int(got) in weight(256), got)


@case('runc update', '--resources FILE')
def update_file(t):
    t.running()
    t.must('update', '--resources', t.put('res.json', json.dumps({'pids': {'limit': 44}})), t.id)
    eq(t.setting('pids', 'pids.max', 'pids.max')[0], '44')


@case('runc update', '--resources - reads stdin')
def update_stdin(t):
    t.running()
    with open(t.put('res.json', json.dumps({'pids': {'limit': 45}}))) as f:
        t.must('update', '--resources', '-', t.id, stdin=f)
    eq(t.setting('pids', 'pids.max', 'pids.max')[0], '45')


@case('runc update', 'what is not named stays')
def update_keeps(t):
    t.linux['resources']['pids'] = {'limit': 33}
    t.running()
    t.must('update', '--memory', str(32 * MIB), t.id)
    eq(t.setting('pids', 'pids.max', 'pids.max')[0], '33')


@case('runc update', 'a container that does not exist is an error')
def update_unknown(t):
    t.must_not('update', '--memory', '1000000', 'no-such')


@case('runc update', 'nonsense is an error and changes nothing')
def update_bad(t):
    t.linux['resources']['pids'] = {'limit': 33}
    t.running()
    t.must_not('update', '--resources', t.put('res.json', '{"pids": '), t.id)
    eq(t.setting('pids', 'pids.max', 'pids.max')[0], '33')


@case('runc pause', 'the processes stand still until resume')
def pause(t):
    t.running('while :; do echo x >>/ticks; sleep 0.02; done')
    ticks = t.path('rootfs/ticks')
    t.until(lambda: os.path.exists(ticks), 'the first tick')
    t.must('pause', t.id)
    eq(t.status(), 'paused')
    before = os.path.getsize(ticks)
    import time

    time.sleep(0.3)
    eq(os.path.getsize(ticks), before)
    t.must('resume', t.id)
    eq(t.status(), 'running')
    t.until(lambda: os.path.getsize(ticks) > before, 'ticks after resume')


@case('runc pause', 'a paused container can be deleted by force')
def pause_delete(t):
    t.running()
    t.must('pause', t.id)
    t.must('delete', '--force', t.id)
    eq(t.state(), None)


@case('runc pause', 'a signal to a paused container arrives when it resumes')
def pause_kill(t):
    t.running('trap "exit 0" TERM; echo up >/up; while :; do sleep 0.05; done')
    t.until(lambda: os.path.exists(t.path('rootfs/up')), 'it runs')
    t.must('pause', t.id)
    t.kill('TERM')
    t.must('resume', t.id)
    eq(t.wait(), 0)


@case('runc pause', 'SIGKILL ends a paused container')
def pause_sigkill(t):
    t.running()
    t.must('pause', t.id)
    t.kill('KILL')
    t.cmd('resume', t.id)
    eq(t.wait(), -9)


@case('runc pause', 'pausing twice, resuming what runs: an error, or without effect')
def pause_twice(t):
    t.running()
    t.cmd('resume', t.id)
    eq(t.status(), 'running')
    t.must('pause', t.id)
    t.cmd('pause', t.id)
    eq(t.status(), 'paused')


@case('runc pause', 'a stopped container cannot be paused')
def pause_stopped(t):
    t.running('exit 0')
    t.wait()
    t.must_not('pause', t.id)
