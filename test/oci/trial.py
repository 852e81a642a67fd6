# SPDX-License-Identifier: Apache-2.0
"""One try of one case on one runtime: a bundle of its own, and the runtime's verbs.

A runtime is whatever has runc's command line. A case asks; what is not as it should be is raised as
Fail, what cannot be asked here as Skip.
"""
import copy
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
UNIFIED = '/sys/fs/cgroup/unified'
CGROUPS = f'lodge-proof-{os.getpid()}'  # where every container of this run has its cgroup

libc = ctypes.CDLL(None, use_errno=True)


class Fail(Exception):
    """Something is not as the case says."""


class Skip(Exception):
    """Cannot be asked here; the reason is the text."""


def eq(got, want, what=''):
    if got != want:
        raise Fail(f'{what + ": " if what else ""}got {got!r}, not {want!r}')


def true(yes, what):
    if not yes:
        raise Fail(what)


CASES = []


def case(section, must):
    """Makes a function a case: its name is the id, @section where runtime-spec 1.2 says it."""

    def add(function):
        CASES.append((function.__name__, section, must, function))
        return function

    return add


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


class Runtime:
    """A runtime by its path. One that refuses a hybrid cgroup layout gets a mount namespace without
    the v2 part, where it finds a v1 layout: @note says so."""

    def __init__(self, path):
        self.path = os.path.abspath(shutil.which(path) or path)
        self.name = os.path.basename(path)
        self.prefix, self.note = [], ''
        if not os.access(self.path, os.X_OK):
            raise SystemExit(f'{path}: no such program')

    def see_layout(self, scratch):
        t = Trial(self, scratch, 'layout')
        r = t.run('true')
        t.end()
        if r.code and 'hybrid' in r.err:
            self.prefix = [
                'unshare',
                '-m',
                '--propagation',
                'unchanged',
                'sh',
                '-c',
                f'mount --make-private /sys/fs/cgroup; mount --make-private {UNIFIED}; '
                f'umount {UNIFIED}; exec "$@"',
                'sh',
            ]
            self.note = (
                'refuses a hybrid cgroup layout: ran where the v2 part is unmounted (plain v1)'
            )


DEFAULT_CAPS = [
    'CAP_' + c
    for c in (
        'CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID '
        'SYS_CHROOT'
    ).split()
]

# What podman asks for by default, less its seccomp profile.
CONFIG = {
    'ociVersion': '1.0.2',
    'process': {
        'user': {'uid': 0, 'gid': 0},
        'args': ['/bin/sh', '-c', 'true'],
        'env': ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'TERM=xterm', 'HOME=/'],
        'cwd': '/',
        'capabilities': {s: DEFAULT_CAPS for s in ('bounding', 'effective', 'permitted')},
    },
    'root': {'path': 'rootfs'},
    'hostname': 'box',
    'mounts': [
        {
            'destination': '/proc',
            'type': 'proc',
            'source': 'proc',
            'options': ['nosuid', 'noexec', 'nodev'],
        },
        {
            'destination': '/dev',
            'type': 'tmpfs',
            'source': 'tmpfs',
            'options': ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
        },
        {
            'destination': '/sys',
            'type': 'sysfs',
            'source': 'sysfs',
            'options': ['nosuid', 'noexec', 'nodev', 'ro'],
        },
        {
            'destination': '/dev/pts',
            'type': 'devpts',
            'source': 'devpts',
            'options': ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
        },
        {
            'destination': '/dev/mqueue',
            'type': 'mqueue',
            'source': 'mqueue',
            'options': ['nosuid', 'noexec', 'nodev'],
        },
        {
            'destination': '/dev/shm',
            'type': 'tmpfs',
            'source': 'shm',
            'options': ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
        },
    ],
    'linux': {
        'namespaces': [{'type': n} for n in ('pid', 'network', 'ipc', 'uts', 'mount', 'cgroup')],
        'resources': {'devices': [{'allow': False, 'access': 'rwm'}]},
        'maskedPaths': [
            '/proc/acpi',
            '/proc/kcore',
            '/proc/keys',
            '/proc/latency_stats',
            '/proc/timer_list',
            '/proc/sched_debug',
            '/proc/scsi',
            '/sys/firmware',
        ],
        'readonlyPaths': [
            '/proc/asound',
            '/proc/bus',
            '/proc/fs',
            '/proc/irq',
            '/proc/sys',
            '/proc/sysrq-trigger',
        ],
    },
}


def prepare(scratch):
    """What all trials share: the probe, compiled, and busybox."""
    os.chmod(scratch, 0o755)
    subprocess.run(
        [
            'gcc',
            '-std=gnu17',
            '-D_GNU_SOURCE',
            '-O1',
            '-static',
            '-Wall',
            '-Wextra',
            '-Werror',
            '-o',
            f'{scratch}/probe',
            f'{HERE}/probe.c',
        ],
        check=True,
    )
    shutil.copy(shutil.which('busybox'), f'{scratch}/busybox')
    for ignored in (signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE):  # a container would inherit it
        signal.signal(ignored, signal.SIG_DFL)
    libc.prctl(
        36, 1, 0, 0, 0
    )  # PR_SET_CHILD_SUBREAPER: init processes become ours, to be waited for


def make_root(scratch, at):
    """A root file system at @at: busybox, the probe and empty folders."""
    for name in 'bin proc sys dev tmp etc root run usr mnt'.split():
        os.makedirs(f'{at}/{name}', exist_ok=True)
    os.chmod(f'{at}/tmp', 0o1777)
    for name in ('busybox', 'probe'):
        os.link(f'{scratch}/{name}', f'{at}/bin/{name}')
    for name in 'sh cat true sleep id ls mount echo test stat ln mkdir touch rm ps'.split():
        os.symlink('busybox', f'{at}/bin/{name}')
    with open(f'{at}/etc/passwd', 'w') as f:
        f.write('root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n')
    with open(f'{at}/etc/group', 'w') as f:
        f.write('root:x:0:\nuser:x:1000:\n')


class Trial:
    count = 0

    def __init__(self, runtime, scratch, name):
        Trial.count += 1
        self.runtime, self.scratch = runtime, scratch
        self.id = f'{name.replace("_", "-")}-{os.getpid()}-{Trial.count}'
        self.dir = tempfile.mkdtemp(prefix=f'{runtime.name}-', dir=scratch)
        os.chmod(self.dir, 0o755)
        self.root = f'{self.dir}/rootfs'
        make_root(scratch, self.root)
        self.config = copy.deepcopy(CONFIG)
        self.process, self.linux = self.config['process'], self.config['linux']
        self.linux['cgroupsPath'] = f'/{CGROUPS}/{self.id}'
        self.flags = []  # global flags of the runtime
        self.pid = None
        self.others = []

    # --- the bundle

    def path(self, name):
        return f'{self.dir}/{name}'

    def put(self, name, text='', mode=0o644):
        """A file of the bundle; rootfs/... is the container's."""
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), 'w') as f:
            f.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def script(self, text):
        self.process['args'] = ['/bin/sh', '-c', text]

    def write(self):
        self.put('config.json', json.dumps(self.config))

    def caps(self, *names):
        self.process['capabilities'] = {
            s: ['CAP_' + n for n in names] for s in ('bounding', 'effective', 'permitted')
        }

    def more_caps(self, *names):
        self.caps(*([c[4:] for c in DEFAULT_CAPS] + list(names)))

    def mount(self, destination, kind, source, *options):
        self.config['mounts'].append(
            {'destination': destination, 'type': kind, 'source': source, 'options': list(options)}
        )

    def namespace(self, kind, path=None):
        """The namespace of @kind: new, or the one at @path; path='': the runtime's own."""
        all_ = [n for n in self.linux['namespaces'] if n['type'] != kind]
        if path != '':
            all_.append({'type': kind, **({'path': path} if path else {})})
        self.linux['namespaces'] = all_

    def user_namespace(self, host=100000, size=65536):
        self.namespace('user')
        for kind in ('uidMappings', 'gidMappings'):
            self.linux[kind] = [{'containerID': 0, 'hostID': host, 'size': size}]
        for where, folders, _ in os.walk(self.root):
            for name in ['.'] + folders:
                os.chown(os.path.join(where, name), host, host)

    def another(self, name='other'):
        """A second container of the same case, ended with this one."""
        t = Trial(self.runtime, self.scratch, name)
        self.others.append(t)
        return t

    # --- the runtime's verbs

    def cmd(self, *args, stdin=None, fds=(), timeout=30, cwd=None, env=None, wrap=()):
        """@wrap RUNTIME --root ... ARGS. Output goes by files: the container keeps them."""
        argv = [
            *wrap,
            *self.runtime.prefix,
            self.runtime.path,
            '--root',
            f'{self.scratch}/state-{self.runtime.name}',
            *self.flags,
            *args,
        ]
        Trial.count += 1
        out, err = self.path(f'out-{Trial.count}'), self.path(f'err-{Trial.count}')
        with open(out, 'wb') as o, open(err, 'wb') as e, MINE_LOCK:
            p = subprocess.Popen(
                argv,
                stdin=stdin or subprocess.DEVNULL,
                stdout=o,
                stderr=e,
                pass_fds=fds,
                cwd=cwd or self.dir,
                env=env,
            )
            MINE.add(p.pid)
        end, pause = time.time() + timeout, 0.001
        while p.poll() is None:
            reap({self.pid})  # a pid namespace ends only when its last process is waited for
            time.sleep(pause)
            pause = min(pause * 1.2, 0.02)
            if time.time() > end:
                p.kill()
                p.wait()
                MINE.discard(p.pid)
                raise Fail(f'{args[0]} did not end within {timeout} s')
        MINE.discard(p.pid)
        code = p.returncode

        def text(name):
            with open(name, 'rb') as f:
                return f.read().decode(errors='replace')

        r = Result(code, text(out), text(err))
        r.out_file = out
        return r

    def must(self, *args, **how):
        r = self.cmd(*args, **how)
        if r.code:
            raise Fail(f'{args[0]} fails with {r.code}: {r.err.strip()[-200:]}')
        return r

    def must_not(self, *args, **how):
        r = self.cmd(*args, **how)
        if r.code == 0:
            raise Fail(f'{" ".join(args[:2])} succeeds')
        if r.code < 0:
            raise Fail(f'{args[0]} dies by signal {-r.code}')
        return r

    def run(self, script=None, *flags, **how):
        if script is not None:
            self.script(script)
        self.write()
        return self.cmd('run', '--bundle', self.dir, *flags, self.id, **how)

    def out(self, script=None, *flags, **how):
        r = self.run(script, *flags, **how)
        if r.code:
            raise Fail(f'run: code {r.code}: {(r.err or r.out).strip()[-200:]}')
        return r.out.strip()

    def sees(self, script, want):
        eq(self.out(script), want)

    def refused(self, script='true', *flags):
        """The container cannot be made, and nothing of it is there."""
        r = self.run(script, *flags)
        true(r.code, f'the container runs: {r.out.strip()[:100]}')
        true(r.err.strip(), 'no message says why')
        true(self.state() is None, 'the refused container has a state')
        return r.err

    def create(self, script=None, *flags, **how):
        if script is not None:
            self.script(script)
        self.write()
        r = self.must(
            'create', '--bundle', self.dir, '--pid-file', self.path('pid'), *flags, self.id, **how
        )
        self.created = r
        with open(self.path('pid')) as f:
            self.pid = int(f.read())

    def start(self):
        self.must('start', self.id)

    def running(self, script='trap "exit 0" TERM; while :; do sleep 0.05; done', *flags, **how):
        self.create(script, *flags, **how)
        self.start()

    def wait(self, seconds=15):
        """The exit code of the container's process, our child by now; -N: signal N."""
        end = time.time() + seconds
        while time.time() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = None
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.005)
        raise Fail(f'the process did not end within {seconds} s')

    def said(self):
        """What the container's process has written since create."""
        with open(self.created.out_file, errors='replace') as f:
            return f.read().strip()

    def until(self, ready, what, seconds=10):
        end = time.time() + seconds
        while time.time() < end:
            if ready():
                return
            time.sleep(0.01)
        raise Fail(f'not within {seconds} s: {what}')

    def state(self):
        r = self.cmd('state', self.id)
        return json.loads(r.out) if r.code == 0 else None

    def status(self):
        return (self.state() or {}).get('status')

    def kill(self, sig='KILL'):
        return self.cmd('kill', self.id, sig)

    def exec(self, script, *flags, **how):
        return self.cmd('exec', *flags, self.id, '/bin/sh', '-c', script, **how)

    def exec_out(self, script, *flags, **how):
        r = self.exec(script, *flags, **how)
        if r.code:
            raise Fail(f'exec: code {r.code}: {(r.err or r.out).strip()[-200:]}')
        return r.out.strip()

    # --- what the host sees

    def cgroup(self, controller):
        """The folder of the cgroup of the container's process: v1's of @controller, else v2's."""
        unified = None
        with open(f'/proc/{self.pid}/cgroup') as f:
            for line in f:
                _, names, path = line.rstrip('\n').split(':', 2)
                if controller in names.split(','):
                    return f'/sys/fs/cgroup/{names}{path}', 1
                if not names:
                    base = '/sys/fs/cgroup' if not os.path.ismount(UNIFIED) else UNIFIED
                    unified = base + path
        if unified and os.path.exists(f'{unified}/cgroup.controllers'):
            with open(f'{unified}/cgroup.controllers') as f:
                if controller in f.read().split():
                    return unified, 2
        raise Skip(f'no {controller} controller here')

    def setting(self, controller, v1, v2):
        """The content of a cgroup's file, by its name in either version."""
        folder, version = self.cgroup(controller)
        name = v1 if version == 1 else v2
        if name is None:
            raise Skip(f'cgroup v{version} has no such setting')
        if not os.path.exists(f'{folder}/{name}'):
            raise Skip(f'this kernel has no {name}')
        with open(f'{folder}/{name}') as f:
            return f.read().strip(), version

    def end(self):
        """Takes all away, and says what is left of the container."""
        left = []
        for t in self.others:
            left += t.end()
        try:
            self.cmd('delete', '--force', self.id)
        except Fail as e:
            left.append(str(e))
        reap()
        left += leftovers(self.id, self.dir)
        subprocess.run(['umount', '-R', self.root], stderr=subprocess.DEVNULL, check=False)
        subprocess.run(['rm', '-rf', self.dir], stderr=subprocess.DEVNULL, check=False)
        return left


MINE, MINE_LOCK = set(), threading.Lock()  # children that somebody here waits for


def reap(spare=()):
    """Waits for children that were handed to us and have ended, but those of @spare."""
    with MINE_LOCK:
        try:
            while True:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if not ended or ended.si_pid in MINE or ended.si_pid in spare:
                    return
                os.waitpid(ended.si_pid, os.WNOHANG)
        except ChildProcessError:
            pass


def sweep(scratch):
    """Takes away what a run has made for all of its trials."""
    subprocess.run(['rm', '-rf', scratch], stderr=subprocess.DEVNULL, check=False)
    tops = [
        f'{where}/{name}'
        for where, names, _ in os.walk('/sys/fs/cgroup')
        for name in names
        if name in (CGROUPS, CGROUPS + '-relative')
    ]
    for where in [w for top in tops for w, _, _ in os.walk(top, topdown=False)]:
        for _ in range(50):
            try:
                with open(f'{where}/cgroup.procs') as f:
                    for pid in f.read().split():
                        os.kill(int(pid), signal.SIGKILL)
                reap()
                os.rmdir(where)
                break
            except OSError:
                time.sleep(0.01)


def cgroup_folders(name):
    for base in ['/sys/fs/cgroup'] + [e.path for e in os.scandir('/sys/fs/cgroup') if e.is_dir()]:
        path = f'{base}/{CGROUPS}/{name}'
        if os.path.isdir(path):
            yield path


def leftovers(name, folder):
    """Mounts, cgroups and processes of a container that should be gone. Kernel threads of an ending
    namespace may take a moment."""
    left = []
    for _ in range(100):
        left = [f'cgroup {p}' for p in cgroup_folders(name)]
        with open('/proc/self/mountinfo') as f:
            left += [f'mount {line.split()[4]}' for line in f if f' {folder}/' in line]
        for p in os.scandir('/proc'):
            if not p.name.isdigit():
                continue
            try:
                if os.readlink(f'{p.path}/root').startswith(f'{folder}/rootfs'):
                    left.append(f'process {p.name}')
            except OSError:
                pass
        if not left:
            break
        time.sleep(0.02)
    return left


class Console:
    """A --console-socket: receive() gives the master of the container's terminal."""

    def __init__(self, t, name='console'):
        self.path = t.path(name)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(self.path)
        self.socket.listen()
        self.socket.settimeout(10)

    def receive(self):
        try:
            with self.socket.accept()[0] as s:
                s.settimeout(10)
                text, fds, _, _ = socket.recv_fds(s, 65536, 4)
        except TimeoutError:
            raise Fail('nothing comes by the console socket') from None
        true(len(fds) == 1, f'{len(fds)} descriptors come by the console socket')
        self.text = text
        return fds[0]


def read_terminal(fd, until=None, seconds=10):
    """What a terminal shows, until its end or until @until is seen."""
    import select

    seen, end = b'', time.time() + seconds
    while time.time() < end and not (until and until in seen):
        if not select.select([fd], [], [], 0.1)[0]:
            continue
        try:
            part = os.read(fd, 4096)
        except OSError:
            break
        if not part:
            break
        seen += part
    return seen.decode(errors='replace').replace('\r', '')


def alarm(seconds):
    def stop(*_):
        raise Fail(f'the case took more than {seconds} s')

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
