# SPDX-License-Identifier: Apache-2.0
"""Cases: namespaces, mappings, devices and sysctl (config-linux.md)."""
import os
import subprocess
import time

from trial import Fail, Skip, case, eq, true

FILES = {
    'pid': 'pid',
    'network': 'net',
    'ipc': 'ipc',
    'uts': 'uts',
    'mount': 'mnt',
    'cgroup': 'cgroup',
    'user': 'user',
    'time': 'time',
}


class Holder:
    """A process that holds new namespaces open."""

    def __init__(self, *flags):
        self.process = subprocess.Popen(['unshare', *flags, 'sleep', '60'])
        end = time.time() + 10
        while time.time() < end:
            with open(f'/proc/{self.process.pid}/comm') as f:
                if f.read() == 'sleep\n':
                    return
            time.sleep(0.005)
        raise Fail('unshare does not start')

    def path(self, name):
        return f'/proc/{self.process.pid}/ns/{name}'

    def link(self, name):
        return os.readlink(self.path(name))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def created(kind):
    def check(t):
        if kind == 'user':
            t.user_namespace()
        elif kind == 'time' and not os.path.exists('/proc/self/ns/time'):
            raise Skip('this kernel has no time namespaces')
        else:
            t.namespace(kind)
        got = t.out(f'busybox readlink /proc/self/ns/{FILES[kind]}')
        true(got.startswith(f'{FILES[kind]}:['), got)
        true(got != os.readlink(f'/proc/self/ns/{FILES[kind]}'), 'the namespace is the host\'s')

    check.__name__ = f'namespace_new_{kind}'
    case('config-linux.md namespaces', f'{kind}: a new one')(check)


def inherited(kind):
    def check(t):
        t.namespace(kind, '')
        if kind == 'network':  # sysfs of a network namespace is for its owner
            t.config['mounts'] = [m for m in t.config['mounts'] if m['type'] != 'sysfs']
            t.linux['maskedPaths'] = []
        if kind == 'ipc':
            t.config['mounts'] = [m for m in t.config['mounts'] if m['type'] != 'mqueue']
        if kind == 'uts':
            del t.config['hostname']
        got = t.out(f'busybox readlink /proc/self/ns/{FILES[kind]}')
        eq(got, os.readlink(f'/proc/self/ns/{FILES[kind]}'))

    check.__name__ = f'namespace_none_{kind}'
    case('config-linux.md namespaces', f'{kind}: not listed, the runtime\'s own')(check)


def joined(kind, flag):
    def check(t):
        if kind == 'time' and not os.path.exists('/proc/self/ns/time'):
            raise Skip('this kernel has no time namespaces')
        with Holder(flag) as h:
            t.namespace(kind, h.path(FILES[kind]))
            if kind == 'uts':
                del t.config['hostname']
            eq(t.out(f'busybox readlink /proc/self/ns/{FILES[kind]}'), h.link(FILES[kind]))

    check.__name__ = f'namespace_path_{kind}'
    case('config-linux.md namespaces', f'{kind}: the one at a path')(check)


for k in ('pid', 'network', 'ipc', 'uts', 'mount', 'cgroup', 'user', 'time'):
    created(k)
for k in ('pid', 'network', 'ipc', 'uts', 'cgroup', 'user'):
    inherited(k)
for k, f in (('network', '-n'), ('ipc', '-i'), ('uts', '-u'), ('cgroup', '-C')):
    joined(k, f)


@case('config-linux.md namespaces', 'pid: that of another container')
def namespace_path_pid(t):
    other = t.another()
    other.running()
    t.namespace('pid', f'/proc/{other.pid}/ns/pid')
    r = t.run('busybox readlink /proc/self/ns/pid')
    eq(r.out.strip(), os.readlink(f'/proc/{other.pid}/ns/pid'))


@case('config-linux.md namespaces', 'network and ipc of another container, as in a pod')
def namespace_pod(t):
    other = t.another()
    other.running()
    for kind in ('network', 'ipc', 'uts'):
        t.namespace(kind, f'/proc/{other.pid}/ns/{FILES[kind]}')
    del t.config['hostname']
    got = t.out('busybox readlink /proc/self/ns/net; busybox readlink /proc/self/ns/ipc; hostname')
    eq(
        got.split(),
        [os.readlink(f'/proc/{other.pid}/ns/net'), os.readlink(f'/proc/{other.pid}/ns/ipc'), 'box'],
    )


@case('config-linux.md namespaces', 'a path of another type is an error')
def namespace_path_wrong(t):
    with Holder('-n') as h:
        t.namespace('ipc', h.path('net'))
        t.refused()


@case('config-linux.md namespaces', 'a path that does not exist is an error')
def namespace_path_missing(t):
    t.namespace('network', '/proc/1/ns/no-such')
    t.refused()


@case('config-linux.md namespaces', 'a path that is no namespace is an error')
def namespace_path_file(t):
    t.namespace('network', t.put('file'))
    t.refused()


@case('config-linux.md namespaces', 'the same type twice is an error')
def namespace_twice(t):
    t.linux['namespaces'].append({'type': 'ipc'})
    t.refused()


@case('config-linux.md namespaces', 'an unknown type is an error')
def namespace_unknown(t):
    t.linux['namespaces'].append({'type': 'colour'})
    t.refused()


@case('config-linux.md namespaces', 'pid: the process is number 1 and sees no other')
def namespace_pid_first(t):
    t.sees('echo $$ /proc/[0-9]*', '1 /proc/1')


@case('config-linux.md namespaces', 'network: only a loopback, which is up')
def namespace_network(t):
    got = t.out('busybox ip -o addr')
    true('127.0.0.1' in got, 'lo is down')
    eq({line.split()[1] for line in got.splitlines()}, {'lo'})


@case('config-linux.md namespaces', 'cgroup: the own cgroup is the root')
def namespace_cgroup_root(t):
    got = t.out('cat /proc/self/cgroup')
    eq({l.split(':', 2)[2] for l in got.splitlines()}, {'/'})


@case('config-linux.md mappings', 'uid and gid maps are the kernel\'s')
def user_maps(t):
    t.user_namespace(200000, 1000)
    got = t.out('cat /proc/self/uid_map /proc/self/gid_map').split()
    eq(got, ['0', '200000', '1000'] * 2)


@case('config-linux.md mappings', 'several mappings')
def user_maps_several(t):
    t.user_namespace()
    for kind in ('uidMappings', 'gidMappings'):
        t.linux[kind] = [
            {'containerID': 0, 'hostID': 100000, 'size': 10},
            {'containerID': 1000, 'hostID': 300000, 'size': 5},
        ]
    eq(t.out('cat /proc/self/uid_map').split(), ['0', '100000', '10', '1000', '300000', '5'])


@case('config-linux.md mappings', 'the process is root inside, another outside')
def user_root_inside(t):
    t.user_namespace()
    t.running()
    eq(t.exec_out('id -u'), '0')
    eq(os.stat(f'/proc/{t.pid}').st_uid, 100000)


@case('config-linux.md mappings', 'a user inside the namespace')
def user_other_inside(t):
    t.user_namespace()
    t.process['user'] = {'uid': 1000, 'gid': 1000, 'additionalGids': [7]}
    eq(t.out('id -u; id -G').split(), ['1000', '1000', '7'])


@case('config-linux.md mappings', 'all of /dev and /proc is there in a user namespace')
def user_devices(t):
    t.user_namespace()
    t.sees(
        'echo x >/dev/null; head -c 2 /dev/zero | busybox wc -c; test -d /proc/1 && echo proc',
        '2\nproc',
    )


@case('config-linux.md mappings', 'a terminal in a user namespace')
def user_terminal(t):
    from trial import Console, read_terminal

    t.user_namespace()
    t.process['terminal'] = True
    c = Console(t)
    t.create('test -t 0 && stat -c %u $(busybox tty)', '--console-socket', c.path)
    fd = c.receive()
    t.start()
    eq(read_terminal(fd).strip(), '0')


@case('config-linux.md mappings', 'mappings without a user namespace are an error, or not used')
def user_maps_alone(t):
    t.linux['uidMappings'] = t.linux['gidMappings'] = [
        {'containerID': 0, 'hostID': 100000, 'size': 10}
    ]
    r = t.run('cat /proc/self/uid_map')
    true(r.code or r.out.split()[1] == '0', 'mapped without a namespace')


@case('config-linux.md mappings', 'a user namespace with nothing mapped for root is an error')
def user_maps_none(t):
    t.namespace('user')
    r = t.run('id -u')
    true(r.code or r.out.strip() == '0', 'runs as another')


@case('config-linux.md mappings', 'the user namespace of another container')
def namespace_path_user(t):
    other = t.another()
    other.user_namespace()
    other.running()
    t.user_namespace()
    t.namespace('user', f'/proc/{other.pid}/ns/user')
    del t.linux['uidMappings'], t.linux['gidMappings']
    eq(t.out('busybox readlink /proc/self/ns/user'), os.readlink(f'/proc/{other.pid}/ns/user'))


@case('config-linux.md timeOffsets', 'the clocks are off by the offsets')
def time_offsets(t):
    if not os.path.exists('/proc/self/ns/time'):
        raise Skip('this kernel has no time namespaces')
    t.namespace('time')
    t.linux['timeOffsets'] = {
        'monotonic': {'secs': 100000, 'nanosecs': 0},
        'boottime': {'secs': 500000},
    }
    mono, boot = map(int, t.out('probe clock').split())
    ours = time.clock_gettime(time.CLOCK_MONOTONIC), time.clock_gettime(time.CLOCK_BOOTTIME)
    true(
        abs(mono - ours[0] - 100000) < 60 and abs(boot - ours[1] - 500000) < 60,
        f'{mono} {boot} {ours}',
    )


@case('config-linux.md timeOffsets', 'an unknown clock is an error')
def time_unknown(t):
    t.namespace('time')
    t.linux['timeOffsets'] = {'sundial': {'secs': 1}}
    t.refused()


@case('config-linux.md devices', 'null, zero, full, random, urandom and tty')
def devices_default(t):
    t.sees(
        'for d in null zero full random urandom tty; do stat -c "%F %t:%T %a" /dev/$d; done',
        '\n'.join(
            f'character special file {n} 666' for n in ('1:3', '1:5', '1:7', '1:8', '1:9', '5:0')
        ),
    )


@case('config-linux.md devices', 'the default devices work')
def devices_work(t):
    t.sees(
        'echo x >/dev/null; head -c 3 /dev/zero | busybox wc -c; head -c 3 /dev/urandom | busybox wc -c; '
        '(echo x >/dev/full) 2>/dev/null || echo full',
        '3\n3\nfull',
    )


@case('config-linux.md devices', 'ptmx is the container\'s own')
def devices_ptmx(t):
    t.sees('busybox readlink -f /dev/ptmx', '/dev/pts/ptmx')


@case('runtime-linux.md', 'fd, stdin, stdout and stderr are links into /proc/self/fd')
def devices_links(t):
    t.sees(
        'for l in fd stdin stdout stderr; do busybox readlink /dev/$l; done',
        '/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2',
    )


@case('config-linux.md devices', 'a device: numbers, mode, owner')
def device_char(t):
    t.linux['devices'] = [
        {
            'path': '/dev/own',
            'type': 'c',
            'major': 10,
            'minor': 229,
            'fileMode': 0o640,
            'uid': 7,
            'gid': 8,
        }
    ]
    t.sees('stat -c "%F %t:%T %a %u:%g" /dev/own', 'character special file a:e5 640 7:8')


@case('config-linux.md devices', 'a block device')
def device_block(t):
    t.linux['devices'] = [
        {'path': '/dev/blk', 'type': 'b', 'major': 7, 'minor': 0, 'fileMode': 0o600}
    ]
    t.sees('stat -c "%F %t:%T" /dev/blk', 'block special file 7:0')


@case('config-linux.md devices', 'a pipe')
def device_pipe(t):
    t.linux['devices'] = [{'path': '/dev/line', 'type': 'p', 'fileMode': 0o600}]
    t.sees('stat -c %F /dev/line', 'fifo')


@case('config-linux.md devices', 'a device outside /dev, in folders that are made')
def device_elsewhere(t):
    t.linux['devices'] = [{'path': '/etc/a/b/own', 'type': 'c', 'major': 1, 'minor': 3}]
    t.sees('stat -c %t:%T /etc/a/b/own', '1:3')


@case('config-linux.md devices', 'an unknown type is an error')
def device_unknown(t):
    t.linux['devices'] = [{'path': '/dev/own', 'type': 'z', 'major': 1, 'minor': 3}]
    t.refused()


@case('config-linux.md devices', 'a device that the list allows can be opened, another not')
def device_list(t):
    t.linux['devices'] = [
        {'path': f'/dev/{n}', 'type': 'c', 'major': 1, 'minor': m, 'fileMode': 0o666}
        for n, m in (('yes', 3), ('mem', 1))
    ]
    t.caps('SYS_RAWIO', 'DAC_OVERRIDE', 'MKNOD')
    t.sees(
        'echo x >/dev/yes && echo opened; (: </dev/mem) 2>&1 | grep -o "Operation not permitted"',
        'opened\nOperation not permitted',
    )


@case('config-linux.md resources.devices', 'entries are applied in the listed order')
def device_order(t):
    t.linux['devices'] = [
        {'path': '/dev/kmsg', 'type': 'c', 'major': 1, 'minor': 11, 'fileMode': 0o666}
    ]
    t.caps('SYSLOG', 'SYS_ADMIN', 'DAC_OVERRIDE')
    t.linux['resources']['devices'] = [
        {'allow': False, 'access': 'rwm'},
        {'allow': True, 'type': 'c', 'major': 1, 'minor': 11, 'access': 'rw'},
        {'allow': False, 'type': 'c', 'major': 1, 'minor': 11, 'access': 'w'},
    ]
    t.sees(
        '(: </dev/kmsg) && echo read; (: >/dev/kmsg) 2>/dev/null || echo refused', 'read\nrefused'
    )


@case('config-linux.md resources.devices', 'mknod beyond the list is refused')
def device_mknod(t):
    t.more_caps('MKNOD')
    t.linux['resources']['devices'] = [{'allow': False, 'access': 'rwm'}]
    t.sees(
        'busybox mknod /tmp/d b 8 0 && (: </tmp/d) 2>&1 | grep -o "not permitted"; echo done',
        'not permitted\ndone',
    )


@case('config-linux.md sysctl', 'of the container\'s namespaces')
def sysctl(t):
    t.linux['sysctl'] = {
        'net.ipv4.ip_forward': '1',
        'kernel.shmmax': '4194304',
        'kernel.msgmax': '9000',
    }
    t.sees(
        'cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax /proc/sys/kernel/msgmax',
        '1\n4194304\n9000',
    )


@case('config-linux.md sysctl', 'the host\'s are untouched')
def sysctl_host(t):
    with open('/proc/sys/kernel/msgmax') as f:
        before = f.read()
    t.linux['sysctl'] = {'kernel.msgmax': '9001'}
    t.out('true')
    with open('/proc/sys/kernel/msgmax') as f:
        eq(f.read(), before)


@case('config-linux.md sysctl', 'one that is the host\'s is an error')
def sysctl_global(t):
    t.linux['sysctl'] = {'vm.swappiness': '33'}
    t.refused()


@case('config-linux.md sysctl', 'of a namespace that is not new is an error')
def sysctl_no_namespace(t):
    t.namespace('ipc', '')
    t.config['mounts'] = [m for m in t.config['mounts'] if m['type'] != 'mqueue']
    t.linux['sysctl'] = {'kernel.msgmax': '9002'}
    t.refused()
    with open('/proc/sys/kernel/msgmax') as f:
        true(f.read().strip() != '9002', 'the host\'s is changed')


@case('config-linux.md sysctl', 'an unknown one is an error')
def sysctl_unknown(t):
    t.linux['sysctl'] = {'net.ipv4.no_such_thing': '1'}
    t.refused()


@case('config-linux.md sysctl', 'a name with a slash or dots out of /proc/sys is an error')
def sysctl_outside(t):
    t.linux['sysctl'] = {'net/../../../tmp/x': '1'}
    t.refused()


@case('config-linux.md intelRdt', 'without resctrl it is an error')
def intel_rdt(t):
    if os.path.exists('/sys/fs/resctrl/schemata'):
        raise Skip('resctrl is mounted')
    t.linux['intelRdt'] = {'closID': 'x', 'l3CacheSchema': 'L3:0=f'}
    t.refused()
