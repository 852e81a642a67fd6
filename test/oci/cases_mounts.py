# SPDX-License-Identifier: Apache-2.0
"""Cases: the root file system and mounts (config.md), masked and read-only paths (config-linux.md)."""
import os
import subprocess

from trial import case, eq, true


def shell(*argv):
    subprocess.run(argv, check=True, stderr=subprocess.PIPE)


def mountinfo(text, at):
    """Of the last mount at @at: its id, options, propagation fields, type, source, super options."""
    found = None
    for line in text.splitlines():
        left, _, right = line.partition(' - ')
        f = left.split()
        if len(f) > 4 and f[4] == at:
            kind, source, options = right.split(' ', 2)
            found = {
                'options': f[5].split(','),
                'shared': f[6:],
                'type': kind,
                'source': source,
                'super': options.split(','),
                'root': f[3],
            }
    true(found, f'nothing is mounted at {at}')
    return found


def mounted(t, at):
    return mountinfo(t.out('cat /proc/self/mountinfo'), at)


@case('config.md root', 'a path relative to the bundle')
def root_relative(t):
    t.put('rootfs/mark', 'here')
    t.sees('cat /mark', 'here')


@case('config.md root', 'an absolute path')
def root_absolute(t):
    t.config['root']['path'] = t.root
    t.put('rootfs/mark', 'here')
    t.sees('cat /mark', 'here')


@case('config.md root', 'the folder exists')
def root_missing(t):
    t.config['root']['path'] = 'nowhere'
    t.refused()


@case('config.md root', 'a file is no root')
def root_file(t):
    t.put('file')
    t.config['root']['path'] = 'file'
    t.refused()


@case('config.md root', 'root is required')
def root_absent(t):
    del t.config['root']
    t.refused()


@case('config.md root', 'writable unless readonly')
def root_writable(t):
    t.sees('echo x >/new && cat /new', 'x')


@case('config.md root', 'readonly')
def root_readonly(t):
    t.config['root']['readonly'] = True
    t.sees('(echo x >/new) 2>/dev/null || echo refused', 'refused')
    true('ro' in mounted(t, '/')['options'], 'the mount is writable')


@case('config.md root', 'readonly leaves mounts in it writable')
def root_readonly_tmp(t):
    t.config['root']['readonly'] = True
    t.mount('/tmp', 'tmpfs', 'tmpfs')
    t.sees('echo x >/tmp/new && cat /tmp/new', 'x')


@case('config.md root', 'nothing of the host\'s root can be reached')
def root_confined(t):
    t.put('outside', 'secret')
    t.sees(
        'cd /; cat ../../../outside ../outside 2>/dev/null; ls -d /.. >/dev/null && echo confined',
        'confined',
    )


@case('config.md root', 'without pivot_root (--no-pivot)')
def root_no_pivot(t):
    t.put('rootfs/mark', 'here')
    eq(t.out('cat /mark', '--no-pivot'), 'here')


@case('config.md mounts', 'in the listed order')
def mount_order(t):
    for name in ('a', 'b'):
        t.put(f'{name}/mark', name)
    t.mount('/mnt', 'bind', t.path('a'), 'bind')
    t.mount('/mnt', 'bind', t.path('b'), 'bind')
    t.sees('cat /mnt/mark', 'b')


def option_case(option, word, where='options', kind='tmpfs'):
    @case('config.md mounts', f'option {option}')
    def check(t):
        t.mount('/mnt/x', kind, kind, *option.split('+'))
        got = mounted(t, '/mnt/x')[where]
        absent = word.startswith('!')
        true((word.lstrip('!') in got) != absent, f'{word} with {got}')

    del check


def options():
    import trial

    for option, word, where in (
        ('ro', 'ro', 'options'),
        ('rw', 'rw', 'options'),
        ('nosuid', 'nosuid', 'options'),
        ('nodev', 'nodev', 'options'),
        ('noexec', 'noexec', 'options'),
        ('nosuid+suid', '!nosuid', 'options'),
        ('nodev+dev', '!nodev', 'options'),
        ('noexec+exec', '!noexec', 'options'),
        ('noatime', 'noatime', 'options'),
        ('nodiratime', 'nodiratime', 'options'),
        ('relatime', 'relatime', 'options'),
        ('strictatime', '!relatime', 'options'),
        ('noatime+atime', '!noatime', 'options'),
        ('nosymfollow', 'nosymfollow', 'options'),
        ('sync', 'sync', 'super'),
        ('dirsync', 'dirsync', 'super'),
        ('size=64k', 'size=64k', 'super'),
        ('mode=700', 'mode=700', 'super'),
        ('nr_inodes=77', 'nr_inodes=77', 'super'),
        ('ro+nosuid+nodev+noexec', 'noexec', 'options'),
    ):
        option_case(option, word, where)
        name, section, must, function = trial.CASES.pop()
        clean = option.replace('=', '_').replace('+', '_')
        trial.CASES.append((f'mount_{clean}', section, must, function))


options()


@case('config.md mounts', 'an option of no file system is an error')
def mount_option_unknown(t):
    t.mount('/mnt', 'tmpfs', 'tmpfs', 'no-such-option')
    t.refused()


@case('config.md mounts', 'bind of a folder')
def bind_folder(t):
    t.put('vol/mark', 'seen')
    t.mount('/mnt', 'bind', t.path('vol'), 'bind')
    t.sees('cat /mnt/mark; echo new >/mnt/new', 'seen')
    with open(t.path('vol/new')) as f:
        eq(f.read(), 'new\n')


@case('config.md mounts', 'bind says the options, whatever the type')
def bind_type_none(t):
    t.put('vol/mark', 'seen')
    t.mount('/mnt', 'none', t.path('vol'), 'rbind')
    t.sees('cat /mnt/mark', 'seen')


@case('config.md mounts', 'bind without a type')
def bind_no_type(t):
    t.put('vol/mark', 'seen')
    t.config['mounts'].append({'destination': '/mnt', 'source': t.path('vol'), 'options': ['bind']})
    t.sees('cat /mnt/mark', 'seen')


@case('config.md mounts', 'bind of a file, which is made')
def bind_file(t):
    t.put('file', 'seen')
    t.mount('/etc/own/file', 'bind', t.path('file'), 'bind')
    t.sees('cat /etc/own/file', 'seen')


@case('config.md mounts', 'a bind\'s source may be relative to the bundle')
def bind_relative(t):
    t.put('vol/mark', 'seen')
    t.mount('/mnt', 'bind', 'vol', 'bind')
    t.sees('cat /mnt/mark', 'seen')


@case('config.md mounts', 'a bind that is read-only')
def bind_readonly(t):
    t.put('vol/mark', 'seen')
    t.mount('/mnt', 'bind', t.path('vol'), 'bind', 'ro')
    t.sees('cat /mnt/mark; (echo x >/mnt/new) 2>/dev/null || echo refused', 'seenrefused')


@case('config.md mounts', 'a bind with nosuid, nodev, noexec')
def bind_flags(t):
    t.put('vol/run', '#!/bin/sh\necho runs', 0o755)
    t.mount('/mnt', 'bind', t.path('vol'), 'bind', 'nosuid', 'nodev', 'noexec')
    got = mounted(t, '/mnt')['options']
    true({'nosuid', 'nodev', 'noexec'} <= set(got), f'options {got}')


@case('config.md mounts', 'bind alone leaves mounts below out, rbind takes them')
def bind_recursive(t):
    t.put('vol/sub/.keep')
    shell('mount', '-t', 'tmpfs', 'tmpfs', t.path('vol/sub'))
    try:
        t.put('vol/sub/deep', 'deep')
        t.mount('/mnt', 'bind', t.path('vol'), 'bind')
        t.mount('/run', 'bind', t.path('vol'), 'rbind')
        t.sees('cat /mnt/sub/deep 2>/dev/null; cat /run/sub/deep', 'deep')
    finally:
        shell('umount', t.path('vol/sub'))


@case('config.md mounts', 'recursive options (rro) hold for mounts below')
def bind_rro(t):
    t.put('vol/sub/.keep')
    shell('mount', '-t', 'tmpfs', 'tmpfs', t.path('vol/sub'))
    try:
        t.mount('/mnt', 'bind', t.path('vol'), 'rbind', 'rro')
        t.sees('(echo x >/mnt/sub/new) 2>/dev/null || echo refused', 'refused')
    finally:
        shell('umount', t.path('vol/sub'))


@case('config.md mounts', 'ro of an rbind leaves mounts below as they are')
def bind_ro_not_recursive(t):
    t.put('vol/sub/.keep')
    shell('mount', '-t', 'tmpfs', 'tmpfs', t.path('vol/sub'))
    try:
        t.mount('/mnt', 'bind', t.path('vol'), 'rbind', 'ro')
        t.sees(
            '(echo x >/mnt/new) 2>/dev/null || echo refused; echo y >/mnt/sub/new && echo written',
            'refused\nwritten',
        )
    finally:
        shell('umount', t.path('vol/sub'))


@case('config.md mounts', 'a missing source is an error')
def bind_missing(t):
    t.mount('/mnt', 'bind', t.path('nowhere'), 'bind')
    t.refused()


@case('config.md mounts', 'a destination that does not exist is made')
def mount_makes(t):
    t.mount('/a/b/c', 'tmpfs', 'tmpfs')
    eq(mounted(t, '/a/b/c')['type'], 'tmpfs')


@case('config.md mounts', 'a destination through a link stays in the root')
def mount_link(t):
    os.symlink('/etc', t.path('rootfs/link'))
    t.put('vol/mark', 'seen')
    t.mount('/link/vol', 'bind', t.path('vol'), 'bind')
    t.sees('cat /etc/vol/mark', 'seen')
    true(not os.path.exists('/etc/vol'), 'made on the host')


@case('config.md mounts', 'dot-dots of a destination stay in the root')
def mount_dotdot(t):
    t.put('vol/mark', 'seen')
    t.mount('/mnt/../../../../mnt/x', 'bind', t.path('vol'), 'bind')
    r = t.run('cat /mnt/x/mark')
    true(r.code or r.out == 'seen', r.out)


@case('config.md mounts', 'a file system the kernel does not know is an error')
def mount_unknown_type(t):
    t.mount('/mnt', 'nosuchfs', 'none')
    t.refused()


@case('config.md mounts', 'a destination is absolute, or taken from the root')
def mount_relative(t):
    t.mount('mnt', 'tmpfs', 'tmpfs')
    r = t.run('cat /proc/self/mountinfo')
    true(r.code or ' /mnt ' in r.out, 'mounted elsewhere')


@case('config.md mounts', 'tmpcopyup: the tmpfs begins with what was there')
def mount_tmpcopyup(t):
    t.put('rootfs/data/sub/file', 'kept')
    os.chmod(t.path('rootfs/data/sub/file'), 0o640)
    t.mount('/data', 'tmpfs', 'tmpfs', 'tmpcopyup')
    t.sees('cat /data/sub/file; stat -c %a /data/sub/file; echo x >/data/new', 'kept640')
    true(not os.path.exists(t.path('rootfs/data/new')), 'written through')


@case('config.md mounts', 'proc, sysfs, devpts, mqueue and tmpfs are what they are')
def mount_kinds(t):
    text = t.out('cat /proc/self/mountinfo')
    eq(
        [
            mountinfo(text, at)['type']
            for at in ('/proc', '/sys', '/dev/pts', '/dev/mqueue', '/dev/shm', '/dev')
        ],
        ['proc', 'sysfs', 'devpts', 'mqueue', 'tmpfs', 'tmpfs'],
    )


@case('config.md mounts', 'an overlay with its options')
def mount_overlay(t):
    for name in 'low up work'.split():
        os.mkdir(t.path(name))
    t.put('low/mark', 'low')
    t.mount(
        '/mnt',
        'overlay',
        'overlay',
        f'lowerdir={t.path("low")},upperdir={t.path("up")},workdir={t.path("work")}',
    )
    t.sees('cat /mnt/mark; echo new >/mnt/new', 'low')
    true(os.path.exists(t.path('up/new')), 'not written to upperdir')


@case('config.md mounts', 'cgroup: the container sees its own')
def mount_cgroup(t):
    t.mount('/sys/fs/cgroup', 'cgroup', 'cgroup', 'nosuid', 'noexec', 'nodev', 'relatime', 'ro')
    got = t.out(
        'ls /sys/fs/cgroup; cat /sys/fs/cgroup/pids/cgroup.procs /sys/fs/cgroup/cgroup.procs 2>/dev/null; true'
    )
    true('\n1' in '\n' + got, 'the process is not in what it sees')
    eq(t.id in got, False)


@case('config.md mounts', 'cgroup read-only')
def mount_cgroup_ro(t):
    t.mount('/sys/fs/cgroup', 'cgroup', 'cgroup', 'ro')
    t.sees(
        'cd /sys/fs/cgroup; for f in cgroup.procs */cgroup.procs; do test -e $f || continue; '
        'mkdir ${f%cgroup.procs}x 2>/dev/null && echo made in ${f%cgroup.procs}; done; echo done',
        'done',
    )


@case('config.md mounts', 'cgroup without a cgroup namespace: still the own one')
def mount_cgroup_no_namespace(t):
    t.namespace('cgroup', '')
    t.mount('/sys/fs/cgroup', 'cgroup', 'cgroup', 'ro')
    got = t.out(
        'cat /sys/fs/cgroup/pids/cgroup.procs /sys/fs/cgroup/cgroup.procs 2>/dev/null; true'
    )
    true('1' in got.split(), 'the process is not in what it sees')


def propagate(t, *options):
    """Whether a mount of the host below a shared volume is seen in the container, and the reverse."""
    vol = t.path('vol')
    os.makedirs(vol)
    shell('mount', '-t', 'tmpfs', 'tmpfs', vol)
    try:
        shell('mount', '--make-shared', vol)
        for name in ('out', 'in'):
            os.mkdir(f'{vol}/{name}')
        t.mount('/mnt', 'bind', vol, 'rbind', *options)
        t.more_caps('SYS_ADMIN')
        t.running()
        shell('mount', '-t', 'tmpfs', 'tmpfs', f'{vol}/out')
        t.put('vol/out/mark', 'x')
        there = t.exec('test -e /mnt/out/mark').code == 0
        t.exec_out('mount -t tmpfs tmpfs /mnt/in && touch /mnt/in/mark')
        back = os.path.exists(f'{vol}/in/mark')
        t.cmd('delete', '--force', t.id)
        return there, back
    finally:
        subprocess.run(['umount', '-R', '-l', vol], check=False)


@case('config.md mounts', 'rshared: mounts come and go both ways')
def propagation_shared(t):
    t.linux['rootfsPropagation'] = 'shared'
    eq(propagate(t, 'rshared'), (True, True))


@case('config.md mounts', 'rslave: mounts come in, none gets out')
def propagation_slave(t):
    t.linux['rootfsPropagation'] = 'slave'
    eq(propagate(t, 'rslave'), (True, False))


@case('config.md mounts', 'rprivate: neither')
def propagation_private(t):
    eq(propagate(t, 'rprivate'), (False, False))


@case('config.md mounts', 'without a word on propagation no mount gets out')
def propagation_default(t):
    eq(propagate(t)[1], False)


@case('config.md mounts', 'unbindable')
def propagation_unbindable(t):
    t.put('vol/mark')
    t.mount('/mnt', 'bind', t.path('vol'), 'bind', 'unbindable')
    eq(mounted(t, '/mnt')['shared'], ['unbindable'])


def root_propagation(kind, want):
    def check(t):
        t.linux['rootfsPropagation'] = kind
        got = [w.split(':')[0] for w in mounted(t, '/')['shared']]
        true(got == want or (kind == 'slave' and got == []), f'{got}, not {want}')

    check.__name__ = f'root_propagation_{kind}'
    case('config-linux.md rootfsPropagation', kind)(check)


root_propagation('private', [])
root_propagation('slave', ['master'])
root_propagation('shared', ['shared'])
root_propagation('unbindable', ['unbindable'])


@case('config-linux.md rootfsPropagation', 'another word is an error')
def root_propagation_unknown(t):
    t.linux['rootfsPropagation'] = 'sideways'
    t.refused()


@case('config-linux.md maskedPaths', 'a file reads as empty')
def masked_file(t):
    t.put('rootfs/secret', 'secret')
    t.linux['maskedPaths'] = ['/secret']
    t.sees('cat /secret; (echo x >/secret) 2>/dev/null; echo done', 'done')
    with open(t.path('rootfs/secret')) as f:
        eq(f.read(), 'secret')


@case('config-linux.md maskedPaths', 'a folder is empty and cannot be written')
def masked_folder(t):
    t.put('rootfs/secrets/file', 'secret')
    t.linux['maskedPaths'] = ['/secrets']
    t.sees('ls /secrets; (echo x >/secrets/new) 2>/dev/null || echo refused', 'refused')


@case('config-linux.md maskedPaths', 'what is not there is no error')
def masked_missing(t):
    t.linux['maskedPaths'] = ['/not/there']
    t.sees('echo runs', 'runs')


@case('config-linux.md maskedPaths', 'the mask cannot be taken off by the container\'s root')
def masked_stays(t):
    t.put('rootfs/secret', 'secret')
    t.linux['maskedPaths'] = ['/secret']
    t.sees('busybox umount /secret 2>/dev/null; cat /secret; echo done', 'done')


@case('config-linux.md readonlyPaths', 'cannot be written, also as root')
def readonly_path(t):
    t.put('rootfs/fixed/file', 'x')
    t.linux['readonlyPaths'] = ['/fixed']
    t.sees('cat /fixed/file; (echo y >/fixed/file) 2>/dev/null || echo refused', 'xrefused')


@case('config-linux.md readonlyPaths', 'a mount in the root keeps its flags')
def readonly_proc(t):
    t.linux['readonlyPaths'] = ['/proc/sys']
    got = set(mounted(t, '/proc/sys')['options'])
    true({'ro', 'nosuid', 'nodev', 'noexec'} <= got, f'options {got}')


@case('config-linux.md readonlyPaths', 'what is not there is no error')
def readonly_missing(t):
    t.linux['readonlyPaths'] = ['/not/there']
    t.sees('echo runs', 'runs')


@case('config.md mounts', 'idmapped (uidMappings of a mount): owners are mapped')
def mount_idmapped(t):
    t.user_namespace()
    t.put('vol/mark', 'seen')
    os.chown(t.path('vol/mark'), 0, 0)
    t.mount('/mnt', 'bind', t.path('vol'), 'bind')
    maps = [{'containerID': 0, 'hostID': 100000, 'size': 65536}]
    t.config['mounts'][-1].update(uidMappings=maps, gidMappings=maps)
    t.sees('stat -c %u:%g /mnt/mark', '0:0')


@case('config.md mounts', 'idmap without mappings: those of the user namespace')
def mount_idmap(t):
    t.user_namespace()
    t.put('vol/mark', 'seen')
    t.mount('/mnt', 'bind', t.path('vol'), 'bind', 'idmap')
    t.sees('stat -c %u:%g /mnt/mark', '0:0')


@case('config.md mounts', 'a mount over a file of the root')
def mount_over_file(t):
    t.put('rootfs/etc/hostname', 'old')
    t.put('hostname', 'new')
    t.mount('/etc/hostname', 'bind', t.path('hostname'), 'bind', 'ro', 'rprivate')
    t.sees('cat /etc/hostname', 'new')


@case('config.md mounts', 'a socket and a device may be bound')
def bind_device(t):
    t.linux['resources']['devices'].append({'allow': True, 'access': 'rwm'})
    t.mount('/mnt/null', 'bind', '/dev/null', 'bind')
    t.sees('stat -c %t:%T /mnt/null', '1:3')


@case('config.md mounts', 'a host mount is seen nowhere in the container')
def mount_no_leak(t):
    text = t.out('cat /proc/self/mountinfo')
    got = {line.split()[4] for line in text.splitlines()}
    own = {'/', '/proc', '/dev', '/sys', '/dev/pts', '/dev/mqueue', '/dev/shm', '/dev/console'}
    got = {g for g in got if not g.startswith(('/proc/', '/sys/firmware', '/dev/'))}
    eq(got - own, set())


@case('config.md mounts', '/dev may be bound from the host: nothing is made in it')
def bind_dev(t):
    before = sorted(os.listdir('/dev'))
    t.config['mounts'] = [m for m in t.config['mounts'] if not m['destination'].startswith('/dev')]
    t.mount('/dev', 'bind', '/dev', 'rbind', 'ro')
    t.sees('test -c /dev/null && echo there', 'there')
    eq(sorted(os.listdir('/dev')), before)
