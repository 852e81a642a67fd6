// SPDX-License-Identifier: Apache-2.0
// threads.mjs MODULE ARG...: a program of wasi-threads under Node, each thread a worker. Of WASI it has what
// threads.c calls; Node's own WASI does not take shared memories.
import { readFileSync, writeSync } from 'node:fs';
import { Worker, isMainThread, workerData } from 'node:worker_threads';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const [, , file, ...args] = process.argv;
const data = workerData ?? {
  module: new WebAssembly.Module(readFileSync(file)), args: ['threads', ...args], ids: new Int32Array(new SharedArrayBuffer(4)),
  memory: new WebAssembly.Memory({ initial: 4, maximum: 1024, shared: true }),
};
const { memory } = data;
const view = () => new DataView(memory.buffer);
const bytes = (at, n) => Buffer.from(new Uint8Array(memory.buffer, at, n)); // a copy: not shared
const wasi = {
  args_sizes_get(n, len) {
    view().setUint32(n, data.args.length, true);
    view().setUint32(len, data.args.join('\0').length + 1, true);
    return 0;
  },
  args_get(argv, at) {
    for (const arg of data.args) {
      view().setUint32(argv, at, true);
      new Uint8Array(memory.buffer).set(Buffer.from(arg + '\0'), at);
      argv += 4;
      at += arg.length + 1;
    }
    return 0;
  },
  fd_write(fd, iov, n, done) {
    let all = 0;
    for (let i = 0; i < n; i++) {
      all += writeSync(fd, bytes(view().getUint32(iov + 8 * i, true), view().getUint32(iov + 8 * i + 4, true)));
    }
    view().setUint32(done, all, true);
    return 0;
  },
  clock_time_get(id, precision, at) {
    view().setBigUint64(at, process.hrtime.bigint(), true);
    return 0;
  },
  proc_exit: (code) => process.exit(code),
  poll_oneoff: () => 52,
  sched_yield: () => 0,
};
const spawn = (arg) => {
  const id = Atomics.add(data.ids, 0, 1) + 1;
  new Worker(fileURLToPath(import.meta.url), { workerData: { ...data, id, arg } }).unref();
  return id;
};
const { exports } = new WebAssembly.Instance(data.module, {
  env: { memory }, wasi_snapshot_preview1: wasi, wasi: { 'thread-spawn': spawn },
});
if (isMainThread) {
  exports._start();
} else {
  exports.wasi_thread_start(data.id, data.arg);
}
