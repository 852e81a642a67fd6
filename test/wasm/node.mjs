// SPDX-License-Identifier: Apache-2.0
// node.mjs MODULE FOLDERS [ARG...]: the module under Node's WASI. FOLDERS is one, which becomes /w, or a list
// /GUEST=FOLDER,...
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { WASI } from 'node:wasi';
const [, , file, folders, ...args] = process.argv;
const preopens = !folders ? {} : !folders.includes('=') ? { '/w': folders }
  : Object.fromEntries(folders.split(',').map((f) => f.split('=')));
const module = await WebAssembly.compile(await readFile(file));
const old = WebAssembly.Module.imports(module).some((i) => i.module === 'wasi_unstable');
const wasi = new WASI({
  version: old ? 'unstable' : 'preview1', args: [file, ...args], env: {}, preopens,
  // true throws through the frames of the module, of which Node 18 may end by SIGSEGV
  returnOnExit: false,
});
process.exitCode = wasi.start(await WebAssembly.instantiate(module, {
  [old ? 'wasi_unstable' : 'wasi_snapshot_preview1']: wasi.wasiImport,
}));
