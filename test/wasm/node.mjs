// SPDX-License-Identifier: Apache-2.0
// node.mjs MODULE FOLDER [ARG...]: the module under Node's WASI, with FOLDER as /w.
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { WASI } from 'node:wasi';
const [, , file, folder, ...args] = process.argv;
const wasi = new WASI({
  version: 'preview1', args: [file, ...args], env: {}, preopens: folder ? { '/w': folder } : {}, returnOnExit: true,
});
const module = await WebAssembly.compile(await readFile(file));
process.exitCode = wasi.start(await WebAssembly.instantiate(module, { wasi_snapshot_preview1: wasi.wasiImport }));
