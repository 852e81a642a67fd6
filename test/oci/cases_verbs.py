# SPDX-License-Identifier: Apache-2.0
"""Cases: exec, ps, list, events, features, spec and flags, as runc has them."""
import json
import os
import time

from trial import Console, Skip, case, eq, read_terminal, true


def process(t, **more):
    p = {
        'args': ['/bin/sh', '-c', 'true'],
        'cwd': '/',
        'env': ['PATH=/bin'],
        'user': {'uid': 0, 'gid': 0},
    }
    p.update(more)
    return t.put('process.json', json.dumps(p))


@case('runc exec', 'output and exit code')
def exec_plain(t):
    t.running()
    r = t.exec('echo out; echo err >&2; exit 6')
    eq([r.code, r.out, r.err], [6, 'out\n', 'err\n'])


@case('runc exec', 'in all namespaces of the container')
def exec_namespaces(t):
    t.running()
    names = ('pid', 'net', 'ipc', 'uts', 'mnt', 'cgroup')
    got = t.exec_out('for n in %s; do busybox readlink /proc/self/ns/$n; done' % ' '.join(names))
    eq(got.split(), [os.readlink(f'/proc/{t.pid}/ns/{n}') for n in names])


@case('runc exec', 'in the user namespace')
def exec_user_namespace(t):
    t.user_namespace()
    t.running()
    eq(
        t.exec_out('id -u; busybox readlink /proc/self/ns/user').split(),
        ['0', os.readlink(f'/proc/{t.pid}/ns/user')],
    )


@case('runc exec', 'stdin comes in')
def exec_stdin(t):
    t.running()
    r, w = os.pipe()
    os.write(w, b'text')
    os.close(w)
    with os.fdopen(r) as f:
        eq(t.exec_out('cat', stdin=f), 'text')


@case('runc exec', '--user')
def exec_user(t):
    t.running()
    eq(t.exec_out('id -u; id -g', '--user', '1000:1001').split(), ['1000', '1001'])


@case('runc exec', '--additional-gids')
def exec_groups(t):
    t.running()
    true(
        {'55', '66'}
        <= set(t.exec_out('id -G', '--additional-gids', '55', '--additional-gids', '66').split()),
        'missing',
    )


@case('runc exec', '--cwd')
def exec_cwd(t):
    t.running()
    eq(t.exec_out('pwd', '--cwd', '/tmp'), '/tmp')


@case('runc exec', '--env, beside those of config.json')
def exec_env(t):
    t.running()
    eq(t.exec_out('echo $OWN $TERM', '--env', 'OWN=a b'), 'a b xterm')


@case('runc exec', '--cap')
def exec_cap(t):
    t.caps('CHOWN')
    t.running()
    got = t.exec_out('grep CapEff /proc/self/status', '--cap', 'CAP_NET_RAW').split()[-1]
    true(int(got, 16) & 1 << 13, got)


@case('runc exec', 'capabilities are those of config.json')
def exec_caps(t):
    t.caps('CHOWN', 'KILL')
    t.running()
    eq(
        t.exec_out('grep -E "CapEff|CapBnd" /proc/self/status').split()[1::2],
        ['0000000000000021'] * 2,
    )


@case('runc exec', '--no-new-privs')
def exec_no_new_privs(t):
    t.running()
    eq(t.exec_out('grep NoNewPrivs /proc/self/status', '--no-new-privs').split()[-1], '1')


@case('runc exec', 'limits, oom score and noNewPrivileges are those of config.json')
def exec_inherits(t):
    t.process.update(
        rlimits=[{'type': 'RLIMIT_NOFILE', 'soft': 123, 'hard': 234}],
        oomScoreAdj=77,
        noNewPrivileges=True,
    )
    t.running()
    eq(
        t.exec_out(
            'ulimit -n; cat /proc/self/oom_score_adj; grep NoNewPrivs /proc/self/status'
        ).split(),
        ['123', '77', 'NoNewPrivs:', '1'],
    )


@case('runc exec', '--process FILE')
def exec_process(t):
    t.running()
    p = process(
        t,
        args=['/bin/sh', '-c', 'pwd; id -u; echo $A'],
        cwd='/tmp',
        user={'uid': 9, 'gid': 9},
        env=['A=b', 'PATH=/bin'],
    )
    eq(t.must('exec', '--process', p, t.id).out.split(), ['/tmp', '9', 'b'])


@case('runc exec', '--process: capabilities and limits of the file')
def exec_process_rights(t):
    t.running()
    p = process(
        t,
        args=['/bin/sh', '-c', 'grep CapEff /proc/self/status; ulimit -n'],
        capabilities={s: ['CAP_KILL'] for s in ('bounding', 'effective', 'permitted')},
        rlimits=[{'type': 'RLIMIT_NOFILE', 'soft': 99, 'hard': 99}],
    )
    eq(t.must('exec', '--process', p, t.id).out.split()[1:], ['0000000000000020', '99'])


@case('runc exec', '--detach and --pid-file')
def exec_detach(t):
    t.running()
    r = t.cmd(
        'exec',
        '--detach',
        '--pid-file',
        t.path('exec-pid'),
        t.id,
        '/bin/sh',
        '-c',
        'while :; do sleep 0.1; done',
    )
    eq(r.code, 0)
    with open(t.path('exec-pid')) as f:
        pid = int(f.read())
    eq(os.readlink(f'/proc/{pid}/ns/pid'), os.readlink(f'/proc/{t.pid}/ns/pid'))


@case('runc exec', '--tty')
def exec_tty(t):
    t.running()
    c = Console(t)
    t.must(
        'exec',
        '--tty',
        '--detach',
        '--console-socket',
        c.path,
        '--pid-file',
        t.path('exec-pid'),
        t.id,
        '/bin/sh',
        '-c',
        'tty; probe session',
    )
    eq(read_terminal(c.receive()).split('\n')[:2], ['/dev/pts/0', 'leader yes terminal yes'])


@case('runc exec', '--process with a terminal and its size')
def exec_tty_size(t):
    t.running()
    c = Console(t)
    p = process(
        t, terminal=True, consoleSize={'height': 12, 'width': 34}, args=['/bin/probe', 'winsize']
    )
    t.must('exec', '--detach', '--console-socket', c.path, '--process', p, t.id)
    eq(read_terminal(c.receive()).strip(), '12 34')


@case('runc exec', 'only standard streams are open')
def exec_fds(t):
    t.running()
    eq(t.must('exec', t.id, '/bin/probe', 'fds').out.strip(), '0 1 2')


@case('runc exec', '--preserve-fds')
def exec_preserve(t):
    t.running()
    null = os.open('/dev/null', os.O_RDONLY)
    for fd in (3, 4):
        if null != fd:
            os.dup2(null, fd)
    eq(
        t.must('exec', '--preserve-fds', '2', t.id, '/bin/probe', 'fds', fds=(3, 4)).out.strip(),
        '0 1 2 3 4',
    )


@case('runc exec', 'a program that does not exist is an error')
def exec_missing(t):
    t.running()
    r = t.cmd('exec', t.id, '/no/such')
    true(r.code in (127, 255, 1), f'code {r.code}')


@case('runc exec', 'a program that dies by a signal: 128 and the signal')
def exec_signal(t):
    t.running()
    eq(t.exec('kill -9 $$').code, 137)


@case('runc exec', 'signals to the runtime go to the program')
def exec_forwards(t):
    import subprocess

    t.running()
    p = subprocess.Popen(
        t.runtime.prefix
        + [
            t.runtime.path,
            '--root',
            f'{t.scratch}/state-{t.runtime.name}',
            'exec',
            t.id,
            '/bin/sh',
            '-c',
            'trap "exit 8" TERM; echo up >/up; while :; do sleep 0.05; done',
        ]
    )
    t.until(lambda: os.path.exists(t.path('rootfs/up')), 'it runs')
    p.terminate()
    eq(p.wait(20), 8)


@case('runc exec', 'a container that does not exist is an error')
def exec_unknown(t):
    t.must_not('exec', 'no-such', 'true')


@case('runc exec', 'a stopped container is an error')
def exec_stopped(t):
    t.running('exit 0')
    t.wait()
    t.must_not('exec', t.id, '/bin/true')


@case('runc exec', 'a created container can be entered, or it is an error')
def exec_created(t):
    t.create('true')
    r = t.exec('echo in')
    true(r.code or r.out == 'in\n', 'neither')


@case('runc exec', 'a paused container is an error')
def exec_paused(t):
    t.running()
    t.must('pause', t.id)
    r = t.cmd('exec', t.id, '/bin/true', timeout=10)
    t.must('resume', t.id)
    true(r.code, 'it ran')


@case('runc exec', 'without a program it is an error')
def exec_nothing(t):
    t.running()
    t.must_not('exec', t.id)


@case('runc exec', 'the program\'s session is its own')
def exec_session(t):
    t.running()
    eq(t.must('exec', t.id, '/bin/probe', 'session').out.strip(), 'leader yes terminal no')


@case('runc exec', 'umask of the process')
def exec_umask(t):
    t.process['user']['umask'] = 0o77
    t.running()
    p = process(t, args=['/bin/sh', '-c', 'umask'], user={'uid': 0, 'gid': 0, 'umask': 0o27})
    eq(t.must('exec', '--process', p, t.id).out.strip(), '0027')


@case('runc exec', 'ten at once')
def exec_many(t):
    import threading

    t.running()
    got = []
    threads = [
        threading.Thread(target=lambda i=i: got.append(t.exec(f'exit {i}').code == i))
        for i in range(10)
    ]
    for x in threads:
        x.start()
    for x in threads:
        x.join()
    eq(got, [True] * 10)


@case('runc ps', 'a table, with the pids of the host')
def ps_table(t):
    t.running()
    true(str(t.pid) in t.must('ps', t.id).out, 'the pid is missing')


@case('runc ps', '--format json: a list of pids')
def ps_json(t):
    t.running()
    true(t.pid in json.loads(t.must('ps', '--format', 'json', t.id).out), 'the pid is missing')


@case('runc list', 'the container is in the table')
def list_table(t):
    t.running()
    out = t.must('list').out
    line = [l for l in out.splitlines() if l.startswith(t.id)]
    true(line and str(t.pid) in line[0] and 'running' in line[0], out[-300:])


@case('runc list', '--format json')
def list_json(t):
    t.config['annotations'] = {'a': 'b'}
    t.running()
    mine = [c for c in json.loads(t.must('list', '--format', 'json').out) if c['id'] == t.id][0]
    eq([mine['status'], mine['pid'], mine['bundle']], ['running', t.pid, t.dir])


@case('runc list', '--quiet: ids')
def list_quiet(t):
    t.create('true')
    true(t.id in t.must('list', '--quiet').out.split(), 'not there')


@case('runc events', '--stats: one JSON line with what is used')
def events_stats(t):
    t.running()
    e = json.loads(t.must('events', '--stats', t.id).out)
    eq([e['type'], e['id']], ['stats', t.id])
    true(e['data']['pids']['current'] >= 1, 'no pids')
    true(e['data']['memory']['usage']['usage'] > 0, 'no memory')
    true(e['data']['cpu']['usage']['total'] > 0, 'no cpu')


@case('runc events', 'a container that does not exist is an error')
def events_unknown(t):
    t.must_not('events', '--stats', 'no-such')


@case('features.md', 'features: JSON with what is supported')
def features(t):
    f = json.loads(t.must('features').out)
    true(
        {'ociVersionMin', 'ociVersionMax', 'hooks', 'mountOptions', 'linux'} <= set(f),
        f'only {sorted(f)}',
    )
    true('prestart' in f['hooks'] and 'ro' in f['mountOptions'], 'too little')
    true(
        'pid' in f['linux']['namespaces'] and 'CAP_CHOWN' in f['linux']['capabilities'],
        'too little of linux',
    )
    true(
        f['linux']['seccomp']['enabled'] is True
        and 'SCMP_ACT_ERRNO' in f['linux']['seccomp']['actions'],
        'no seccomp',
    )


@case('runc spec', 'a config.json that runs')
def spec(t):
    os.makedirs(t.path('spec'))
    t.must('spec', '--bundle', t.path('spec'))
    with open(t.path('spec/config.json')) as f:
        c = json.load(f)
    c['process'].update(terminal=False, args=['/bin/sh', '-c', 'echo runs'])
    c['root']['path'] = t.root
    t.put('spec/config.json', json.dumps(c))
    eq(t.must('run', '--bundle', t.path('spec'), t.id).out, 'runs\n')


@case('runc spec', 'one that is there is not overwritten')
def spec_there(t):
    t.put('spec/config.json', 'mine')
    t.must_not('spec', '--bundle', t.path('spec'))
    with open(t.path('spec/config.json')) as f:
        eq(f.read(), 'mine')


@case('runc --version', 'name, version and that of the specification')
def version(t):
    out = t.must('--version').out
    true('version' in out.split('\n')[0] and 'spec: 1.' in out, out)


@case('runc --help', 'lists the verbs')
def help_text(t):
    out = t.must('--help').out
    for verb in 'create start state kill delete exec run list ps pause resume update spec'.split():
        true(verb in out, f'{verb} is missing')


@case('runc', 'an unknown verb is an error')
def verb_unknown(t):
    t.must_not('frobnicate')


@case('runc', 'an unknown flag is an error')
def flag_unknown(t):
    t.must_not('create', '--no-such-flag', t.id)


@case('runc --log', 'errors go to the file, as JSON lines with --log-format json')
def log_json(t):
    t.flags = ['--log', t.path('log'), '--log-format', 'json']
    t.must_not('start', 'no-such')
    with open(t.path('log')) as f:
        lines = [json.loads(l) for l in f if l.strip()]
    true(any(l.get('level') == 'error' and l.get('msg') for l in lines), f'{lines}')


@case('runc --log', 'text')
def log_text(t):
    t.flags = ['--log', t.path('log')]
    t.must_not('start', 'no-such')
    true(os.path.getsize(t.path('log')) > 10, 'nothing is written')


@case('runc --root', 'containers of another root are others')
def root_flag(t):
    t.running()
    t.flags = ['--root', t.path('other')]
    eq(t.state(), None)
    t.flags = []


@case('runc start', 'started by another process than its creator\'s child')
def start_detached(t):
    t.create('echo started')
    time.sleep(0.05)
    t.start()
    t.wait()
    eq(t.said(), 'started')


@case('runc create', 'the runtime does not stay: only the container\'s process is left')
def create_leaves(t):
    t.create('true')
    left = []
    for p in os.scandir('/proc'):
        if p.name.isdigit() and int(p.name) != t.pid:
            try:
                with open(f'{p.path}/cmdline') as f:
                    if t.id in f.read():
                        left.append(p.name)
            except OSError:
                pass
    eq(left, [])


@case('runc run', 'twenty at once, by name')
def run_many(t):
    import threading

    t.script('exit 3')
    t.write()
    got = []

    def one(i):
        got.append(t.cmd('run', '--bundle', t.dir, f'{t.id}-{i}').code)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(20)]
    del t.linux['cgroupsPath']
    t.write()
    for x in threads:
        x.start()
    for x in threads:
        x.join()
    eq(got, [3] * 20)


@case('runc checkpoint', 'checkpoint and restore, where CRIU works')
def checkpoint(t):
    import shutil

    if not shutil.which('criu'):
        raise Skip('no criu here')
    t.running('i=0; while :; do i=$((i+1)); echo $i >/count; sleep 0.05; done')
    t.until(lambda: os.path.exists(t.path('rootfs/count')), 'it counts')
    r = t.cmd('checkpoint', '--image-path', t.path('image'), '--work-path', t.path('work'), t.id)
    if r.code:
        raise Skip(f'criu does not work here: {r.err.strip()[-120:]}')
    eq(t.status(), None)
    with open(t.path('rootfs/count')) as f:
        before = int(f.read())
    t.must(
        'restore',
        '--detach',
        '--bundle',
        t.dir,
        '--image-path',
        t.path('image'),
        '--work-path',
        t.path('work'),
        t.id,
    )

    def later():
        with open(t.path('rootfs/count')) as f:
            return int(f.read() or 0) > before + 2

    t.until(later, 'it counts on')
