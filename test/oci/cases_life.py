# SPDX-License-Identifier: Apache-2.0
"""Cases: the life cycle and its errors, the state, hooks, annotations (runtime.md, config.md)."""
import json
import os
import time

from trial import case, eq, true


@case('runtime.md create', 'the status is created, and the process has not run')
def create_waits(t):
    t.create('echo ran >/ran')
    time.sleep(0.1)
    eq(t.status(), 'created')
    true(not os.path.exists(t.path('rootfs/ran')), 'it ran')


@case('runtime.md start', 'the status is running, and the process runs')
def start_runs(t):
    t.create('echo ran >/ran; while :; do sleep 1; done')
    t.start()
    eq(t.status(), 'running')
    t.until(lambda: os.path.exists(t.path('rootfs/ran')), 'it runs')


@case('runtime.md state', 'stopped when the process has ended')
def stopped(t):
    t.create('exit 3')
    t.start()
    eq(t.wait(), 3)
    eq(t.status(), 'stopped')


@case('runtime.md state', 'stopped while nobody has waited for the process yet')
def stopped_zombie(t):
    t.create('exit 3')
    t.start()
    t.until(lambda: t.status() == 'stopped', 'stopped')


@case('runtime.md state', 'required properties')
def state_fields(t):
    t.config['annotations'] = {'org.example.key': 'value', 'empty': ''}
    t.running()
    s = t.state()
    eq(
        [s['id'], s['status'], s['pid'], s['bundle'], s['annotations']],
        [t.id, 'running', t.pid, t.dir, {'org.example.key': 'value', 'empty': ''}],
    )
    true(s['ociVersion'].startswith('1.'), s['ociVersion'])


@case('runc state', 'rootfs, created and owner, as runc adds them')
def state_more(t):
    t.running()
    s = t.state()
    eq(s['rootfs'], t.root)
    true(s['created'].startswith('20') and s['created'].endswith('Z'), s['created'])


@case('runtime.md state', 'a stopped container has no pid, or 0')
def state_stopped_pid(t):
    t.create('exit 0')
    t.start()
    t.wait()
    eq(t.state().get('pid', 0), 0)


@case('runtime.md state', 'a container that does not exist is an error')
def state_unknown(t):
    t.must_not('state', 'no-such')


@case('runtime.md state', 'without an id it is an error')
def state_no_id(t):
    t.must_not('state')


@case('runtime.md create', 'an id in use is an error, and the container stays')
def create_twice(t):
    t.running()
    pid = t.pid
    t.must_not('create', '--bundle', t.dir, t.id)
    eq([t.status(), t.state()['pid']], ['running', pid])


@case('runtime.md create', 'an id that is no name is an error')
def create_bad_id(t):
    t.script('true')
    t.write()
    for bad in ('', '../x', 'a/b', 'a b', '.', '..'):
        t.must_not('create', '--bundle', t.dir, bad)


@case('runtime.md create', 'ids of letters, digits and _ + - .')
def create_good_id(t):
    t.script('true')
    t.write()
    for good in ('a', 'A_b-c.d+e', '0' * 64):
        t.must('run', '--bundle', t.dir, good)


@case('runtime.md create', 'without an id it is an error')
def create_no_id(t):
    t.write()
    t.must_not('create', '--bundle', t.dir)


@case('runtime.md create', 'a bundle that does not exist is an error')
def create_no_bundle(t):
    t.must_not('create', '--bundle', t.path('nowhere'), t.id)
    eq(t.state(), None)


@case('runtime.md create', 'a bundle without config.json is an error')
def create_no_config(t):
    t.must_not('create', '--bundle', t.dir, t.id)
    eq(t.state(), None)


@case('runc create', 'without --bundle: the current folder')
def create_here(t):
    t.script('exit 5')
    t.write()
    eq(t.cmd('run', t.id, cwd=t.dir).code, 5)


@case('runtime.md create', 'a later change of config.json has no effect')
def create_fixed(t):
    t.create('echo first')
    t.script('echo second')
    t.write()
    t.start()
    t.wait()
    eq(t.said(), 'first')


@case('runtime.md start', 'a container that does not exist is an error')
def start_unknown(t):
    t.must_not('start', 'no-such')


@case('runtime.md start', 'starting what runs is an error without effect')
def start_twice(t):
    t.running('echo x >>/starts; while :; do sleep 0.1; done')
    t.until(lambda: os.path.exists(t.path('rootfs/starts')), 'it runs')
    t.must_not('start', t.id)
    eq(t.status(), 'running')
    with open(t.path('rootfs/starts')) as f:
        eq(f.read(), 'x\n')


@case('runtime.md start', 'starting what has stopped is an error')
def start_stopped(t):
    t.running('exit 0')
    t.wait()
    t.must_not('start', t.id)


@case('runtime.md kill', 'the signal arrives at the process')
def kill_signal(t):
    t.running('trap "exit 9" USR1; echo up >/up; while :; do sleep 0.05; done')
    t.until(lambda: os.path.exists(t.path('rootfs/up')), 'it runs')
    t.must('kill', t.id, 'USR1')
    eq(t.wait(), 9)


def kill_word(word):
    def check(t):
        t.running('trap "exit 4" TERM; echo up >/up; while :; do sleep 0.05; done')
        t.until(lambda: os.path.exists(t.path('rootfs/up')), 'it runs')
        t.must('kill', t.id, *([word] if word else []))
        eq(t.wait(), 4)

    check.__name__ = f'kill_word_{word.lower() or "none"}'
    case('runc kill', f'signal "{word}" is SIGTERM')(check)


for w in ('TERM', 'SIGTERM', '15', ''):
    kill_word(w)


@case('runtime.md kill', 'SIGKILL ends it, and it is stopped')
def kill_kill(t):
    t.running()
    t.must('kill', t.id, 'KILL')
    eq(t.wait(), -9)
    eq(t.status(), 'stopped')


@case('runtime.md kill', 'a stopped container: an error')
def kill_stopped(t):
    t.running('exit 0')
    t.wait()
    t.must_not('kill', t.id, 'TERM')


@case('runc kill', 'a created container is killed')
def kill_created(t):
    t.create('true')
    t.must('kill', t.id, 'KILL')
    eq(t.wait(), -9)


@case('runtime.md kill', 'a container that does not exist is an error')
def kill_unknown(t):
    t.must_not('kill', 'no-such', 'TERM')


@case('runtime.md kill', 'a signal that does not exist is an error')
def kill_bad_signal(t):
    t.running()
    t.must_not('kill', t.id, 'NOSUCH')
    eq(t.status(), 'running')


@case('runc kill', '--all reaches every process of a container that shares its pid namespace')
def kill_all(t):
    t.namespace('pid', '')
    t.running('sh -c "while :; do echo x >/child; sleep 0.05; done" & while :; do sleep 0.05; done')
    t.until(lambda: os.path.exists(t.path('rootfs/child')), 'the child runs')
    folder, _ = t.cgroup('pids')
    t.must('kill', '--all', t.id, 'KILL')
    t.wait()

    def gone():
        with open(f'{folder}/cgroup.procs') as f:
            return f.read() == ''

    t.until(gone, 'all processes are gone')


@case('runc kill', 'the end of the process of a pid namespace ends all of it')
def kill_pid_namespace(t):
    t.running('sh -c "while :; do sleep 0.05; done" & exec sleep 100')
    folder, _ = t.cgroup('pids')
    t.must('kill', t.id, 'KILL')
    t.wait()
    with open(f'{folder}/cgroup.procs') as f:
        eq(f.read(), '')


@case('runtime.md delete', 'a container that does not exist is an error')
def delete_unknown(t):
    t.must_not('delete', 'no-such')


@case('runc delete', '--force of one that does not exist is none')
def delete_unknown_force(t):
    t.must('delete', '--force', 'no-such')


@case('runtime.md delete', 'one that runs: an error, and it runs on')
def delete_running(t):
    t.running()
    t.must_not('delete', t.id)
    eq(t.status(), 'running')


@case('runtime.md delete', 'a stopped one is gone, and its id is free')
def delete_stopped(t):
    t.running('exit 0')
    t.wait()
    t.must('delete', t.id)
    eq(t.state(), None)
    t.running('exit 0')


@case('runc delete', 'a created one is deleted, or it is an error')
def delete_created(t):
    t.create('true')
    r = t.cmd('delete', t.id)
    true((r.code == 0) == (t.state() is None), 'neither deleted nor there')


@case('runc delete', '--force kills and deletes')
def delete_force(t):
    t.running('trap "" TERM; while :; do sleep 0.1; done')
    t.must('delete', '--force', t.id)
    eq(t.state(), None)
    eq(t.wait(), -9)


@case('runtime.md delete', 'namespaces that were joined stay')
def delete_keeps_joined(t):
    other = t.another()
    other.running()
    t.namespace('network', f'/proc/{other.pid}/ns/net')
    t.running()
    t.must('delete', '--force', t.id)
    eq(other.status(), 'running')


@case('runc run', 'the container is gone when it has ended')
def run_deletes(t):
    t.out('true')
    eq(t.state(), None)


@case('runc run', '--keep: it is there, stopped')
def run_keep(t):
    t.run('exit 3', '--keep')
    eq(t.status(), 'stopped')


@case('runc run', '--detach returns while it runs')
def run_detach(t):
    t.run('while :; do sleep 0.1; done', '--detach', '--pid-file', t.path('pid'))
    eq(t.status(), 'running')
    with open(t.path('pid')) as f:
        eq(int(f.read()), t.state()['pid'])


@case('runc run', 'signals to the runtime go to the container')
def run_forwards(t):
    import subprocess

    t.script('trap "exit 7" TERM; echo up >/up; while :; do sleep 0.05; done')
    t.write()
    p = subprocess.Popen(
        t.runtime.prefix
        + [
            t.runtime.path,
            '--root',
            f'{t.scratch}/state-{t.runtime.name}',
            'run',
            '--bundle',
            t.dir,
            t.id,
        ]
    )
    t.until(lambda: os.path.exists(t.path('rootfs/up')), 'it runs')
    p.terminate()
    eq(p.wait(20), 7)


@case('runc create', '--pid-file')
def pid_file(t):
    t.create('true')
    eq(t.pid, t.state()['pid'])


@case('config.md', 'what is no JSON is an error')
def config_no_json(t):
    t.put('config.json', '{"ociVersion": ')
    t.must_not('create', '--bundle', t.dir, t.id)
    eq(t.state(), None)


@case('config.md', 'a property of the wrong type is an error')
def config_wrong_type(t):
    t.process['args'] = 'true'
    t.refused(None)


@case('config.md process', 'process is required to start')
def config_no_process(t):
    del t.config['process']
    t.write()
    r = t.cmd('run', '--bundle', t.dir, t.id)
    true(r.code, 'it runs')


@case('config.md extensibility', 'unknown properties are passed over')
def config_unknown(t):
    t.config['org.example.unknown'] = {'a': [1, 2]}
    t.process['unknown'] = t.linux['unknown'] = 'x'
    t.sees('echo runs', 'runs')


@case('config.md ociVersion', 'what is no version is an error')
def version_bad(t):
    t.config['ociVersion'] = 'new'
    t.refused()


@case('config.md ociVersion', 'a later version of the same major runs')
def version_later(t):
    t.config['ociVersion'] = '1.2.0'
    t.sees('echo runs', 'runs')


@case('config.md ociVersion', 'it is required')
def version_absent(t):
    del t.config['ociVersion']
    t.refused()


@case('config.md annotations', 'unknown keys are no error, empty values neither')
def annotations_unknown(t):
    t.config['annotations'] = {'org.example.nothing': '', 'x': 'y'}
    t.sees('echo runs', 'runs')


@case('config.md annotations', 'an empty key is an error, or passed over')
def annotations_empty_key(t):
    t.config['annotations'] = {'': 'x'}
    r = t.run('echo runs')
    true(r.code or r.out == 'runs\n', 'neither')


KINDS = ('prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop')


def hook(t, name, text, **more):
    """A hook: a script of the bundle, which knows its log as $LOG."""
    path = t.put(f'hooks/{name}', f'#!/bin/sh\nLOG={t.path("log")}\n{text}\n', 0o755)
    return {'path': path, 'args': [name], **more}


def log(t):
    if not os.path.exists(t.path('log')):
        return ''
    with open(t.path('log')) as f:
        return f.read()


@case('config.md hooks', 'every kind, in the order of the life cycle, once each')
def hooks_order(t):
    t.config['hooks'] = {
        k: [hook(t, k, f'echo {k} >>$LOG')] for k in KINDS if k != 'startContainer'
    }
    t.put('rootfs/hook', '#!/bin/sh\necho startContainer >>/log\n', 0o755)
    t.config['hooks']['startContainer'] = [{'path': '/hook'}]
    t.create('echo process >>/log')
    before = log(t).split()
    t.start()
    t.wait()
    eq(before, ['prestart', 'createRuntime', 'createContainer'])
    eq(log(t).split()[3:], ['poststart'])
    with open(t.path('rootfs/log')) as f:
        eq(f.read().split(), ['startContainer', 'process'])
    t.must('delete', t.id)
    eq(log(t).split()[4:], ['poststop'])


@case('config.md hooks', 'several of a kind run in the listed order')
def hooks_listed(t):
    t.config['hooks'] = {'createRuntime': [hook(t, n, f'echo {n} >>$LOG') for n in ('a', 'b', 'c')]}
    t.out('true')
    eq(log(t).split(), ['a', 'b', 'c'])


@case('config.md hooks', 'args are argv from the first, env is all')
def hooks_arguments(t):
    path = t.put(
        'hooks/x', f'#!/bin/sh\necho "$0|$1|$2|$OWN|${{LEAK-none}}" >{t.path("log")}\n', 0o755
    )
    t.config['hooks'] = {
        'createRuntime': [{'path': path, 'args': ['name', 'one', 'two words'], 'env': ['OWN=1']}]
    }
    t.run('true', env=dict(os.environ, LEAK='x'))
    eq(log(t).strip().split('|')[1:], ['one', 'two words', '1', 'none'])


def hook_state(kind, statuses):
    def check(t):
        t.config['annotations'] = {'org.example.key': 'value'}
        t.config['hooks'] = {kind: [hook(t, kind, 'cat >$LOG')]}
        t.create('while :; do sleep 0.05; done')
        pid = t.pid
        t.start()
        t.must('delete', '--force', t.id)
        s = json.loads(log(t))
        eq([s['id'], s['bundle'], s['annotations'].get('org.example.key')], [t.id, t.dir, 'value'])
        true(s['ociVersion'] and s['status'] in statuses, s['status'])
        if kind not in ('poststop', 'createContainer'):
            eq(s['pid'], pid)

    check.__name__ = f'hook_state_{kind.lower()}'
    case(f'config.md hooks.{kind}', 'the state comes by stdin')(check)


hook_state('prestart', ('creating', 'created'))
hook_state('createRuntime', ('creating', 'created'))
hook_state('createContainer', ('creating', 'created'))
hook_state('poststart', ('running',))
hook_state('poststop', ('stopped',))


@case('config.md hooks.startContainer', 'the state comes by stdin')
def hook_state_startcontainer(t):
    t.put('rootfs/hook', '#!/bin/sh\ncat >/state\n', 0o755)
    t.config['hooks'] = {'startContainer': [{'path': '/hook'}]}
    t.out('true')
    with open(t.path('rootfs/state')) as f:
        s = json.load(f)
    eq([s['id'], s['bundle'], s['status']], [t.id, t.dir, 'created'])


@case(
    'config.md hooks.createRuntime', 'in the namespaces of the runtime, the container\'s are there'
)
def hook_namespaces(t):
    t.config['hooks'] = {
        'createRuntime': [
            hook(
                t,
                'x',
                'pid=$(sed "s/.*\\"pid\\": *\\([0-9]*\\).*/\\1/"); readlink /proc/self/ns/net /proc/$pid/ns/net >$LOG',
            )
        ]
    }
    t.out('true')
    ours = os.readlink('/proc/self/ns/net')
    got = log(t).split()
    eq(got[0], ours)
    true(len(got) == 2 and got[1] != ours, f'{got}')


@case('config.md hooks.createContainer', 'in the container\'s mount namespace, before its root is')
def hook_create_container(t):
    t.config['hooks'] = {
        'createContainer': [hook(t, 'x', 'readlink /proc/self/ns/mnt >$LOG; test -e /bin/sh')]
    }
    t.out('true')
    true(log(t).strip() != os.readlink('/proc/self/ns/mnt'), 'the runtime\'s mount namespace')


@case('config.md hooks.startContainer', 'in the container')
def hook_start_container(t):
    t.put('rootfs/hook', '#!/bin/sh\nhostname >/name\n', 0o755)
    t.config['hooks'] = {'startContainer': [{'path': '/hook'}]}
    t.sees('cat /name', 'box')


def hook_fails(kind):
    def check(t):
        t.config['hooks'] = {kind: [hook(t, kind, 'exit 1')]}
        r = t.run('echo ran >/ran')
        true(r.code, 'the container runs')
        true(not os.path.exists(t.path('rootfs/ran')), 'the process ran')
        eq(t.state(), None)

    check.__name__ = f'hook_fails_{kind.lower()}'
    case(
        f'runtime.md lifecycle, {kind}',
        'a hook that fails: an error, and the container is taken down',
    )(check)


for k in ('prestart', 'createRuntime', 'createContainer'):
    hook_fails(k)


@case(
    'runtime.md lifecycle, startContainer',
    'a hook that fails: an error, and the process does not run',
)
def hook_fails_startcontainer(t):
    t.put('rootfs/hook', '#!/bin/sh\nexit 1\n', 0o755)
    t.config['hooks'] = {'startContainer': [{'path': '/hook'}]}
    r = t.run('echo ran >/ran')
    true(r.code and not os.path.exists(t.path('rootfs/ran')), 'it runs')


@case('runtime.md lifecycle, createRuntime', 'after a hook that fails poststop hooks run')
def hook_fails_poststop(t):
    t.config['hooks'] = {
        'createRuntime': [hook(t, 'a', 'exit 1')],
        'poststop': [hook(t, 'b', 'echo stop >>$LOG')],
    }
    t.run('true')
    eq(log(t), 'stop\n')


@case('runtime.md lifecycle, poststop', 'a hook that fails is a warning, the next ones run')
def hook_poststop_fails(t):
    t.config['hooks'] = {'poststop': [hook(t, 'a', 'exit 1'), hook(t, 'b', 'echo stop >>$LOG')]}
    t.running('exit 0')
    t.wait()
    t.cmd('delete', t.id)
    eq(t.state(), None)
    eq(log(t), 'stop\n')


@case('config.md hooks', 'timeout: a hook that takes longer is an error')
def hook_timeout(t):
    t.config['hooks'] = {'createRuntime': [hook(t, 'x', 'exec sleep 60', timeout=1)]}
    begin = time.time()
    r = t.run('true')
    true(r.code and time.time() - begin < 20, 'no timeout')


@case('config.md hooks', 'a hook that does not exist is an error')
def hook_missing(t):
    t.config['hooks'] = {'createRuntime': [{'path': '/no/such/hook'}]}
    t.refused()


@case('config.md hooks', 'a path that is not absolute is an error')
def hook_relative(t):
    t.put('hooks/x', '#!/bin/sh\n', 0o755)
    t.config['hooks'] = {'createRuntime': [{'path': 'hooks/x'}]}
    t.refused()


@case('config.md hooks', 'a prestart hook may move a network device into the container')
def hook_network(t):
    t.config['hooks'] = {
        'createRuntime': [
            hook(
                t,
                'x',
                'pid=$(sed "s/.*\\"pid\\": *\\([0-9]*\\).*/\\1/"); nsenter -t $pid -n '
                'busybox ip link add name lodge0 type dummy 2>/dev/null || nsenter -t $pid -n busybox ip link set lo mtu 1400',
            )
        ]
    }
    got = t.out('busybox ip -o link')
    true('lodge0' in got or 'mtu 1400' in got, got)
