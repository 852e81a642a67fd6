// SPDX-License-Identifier: Apache-2.0
// unpack.mjs MODULE FOLDER: the tree of files that a resource module of YoWASP exports, as files.
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
const [, , file, folder] = process.argv;
async function put(tree, at) {
  await mkdir(at, { recursive: true });
  for (const [name, what] of Object.entries(tree))
    if (what instanceof URL) await copyFile(what, `${at}/${name}`);
    else if (typeof what === 'string' || what instanceof Uint8Array) await writeFile(`${at}/${name}`, what);
    else await put(what, `${at}/${name}`);
}
await put((await import(pathToFileURL(file))).filesystem, folder);
