// SPDX-License-Identifier: Apache-2.0
// Files and folders, by calls that wait, by promises and by streams.
'use strict';
const fs = require('fs');
const path = require('path');
const code = f => { try { f(); return 'none'; } catch (e) { return e.code; } };

fs.mkdirSync('t/a/b', { recursive: true });
fs.writeFileSync('t/x.txt', 'hello');
fs.appendFileSync('t/x.txt', ' world');
const s = fs.statSync('t/x.txt');
console.log(fs.readFileSync('t/x.txt', 'utf8'), s.size, s.isFile(), s.nlink);
console.log(fs.readdirSync('t').sort());
console.log(fs.readdirSync('t', { withFileTypes: true }).map(e => e.name + e.isDirectory()).sort());
console.log(fs.readdirSync('t', { recursive: true }).map(n => n.replaceAll('\\', '/')).sort());
fs.renameSync('t/x.txt', 't/a/y.txt');
console.log(fs.existsSync('t/x.txt'), fs.existsSync('t/a/y.txt'));
fs.copyFileSync('t/a/y.txt', 't/z');
fs.truncateSync('t/z', 3);
console.log(fs.readFileSync('t/z', 'latin1'));
fs.symlinkSync('z', 't/l');
console.log(fs.readlinkSync('t/l'), fs.lstatSync('t/l').isSymbolicLink(), fs.statSync('t/l').isFile());
console.log(path.basename(fs.realpathSync('t/l')), path.basename(fs.realpathSync.native('t/l')));
fs.utimesSync('t/z', 1000, 2000);
console.log(fs.statSync('t/z').mtimeMs, fs.statSync('t/z').atimeMs);
fs.chmodSync('t/z', 0o444);
console.log((fs.statSync('t/z').mode & 0o222).toString(8));
fs.chmodSync('t/z', 0o666);
fs.linkSync('t/z', 't/h');
console.log(fs.statSync('t/h').nlink, fs.statSync('t/h').ino === fs.statSync('t/z').ino);
console.log(fs.mkdtempSync('t/tmp-').length, fs.statfsSync('.').bsize > 0);
console.log(code(() => fs.readFileSync('nosuch')), code(() => fs.readFileSync('no/such')),
	code(() => fs.rmdirSync('t')), code(() => fs.mkdirSync('t')), code(() => fs.readdirSync('t/z')),
	code(() => fs.openSync('t/z', 'wx')), code(() => fs.unlinkSync('nosuch')), code(() => fs.readSync(99, Buffer.alloc(1))));
for (let i = 0; i < 300; i++)
	fs.writeFileSync(`t/many-${i}`, String(i));
console.log(fs.readdirSync('t').length);
fs.cpSync('t', 'u', { recursive: true, verbatimSymlinks: true });
console.log(fs.readdirSync('u').length);
fs.rmSync('t', { recursive: true });
fs.rmSync('u', { recursive: true });
console.log(fs.existsSync('t'));

(async () => {
	const h = await fs.promises.open('q', 'w+');
	await h.write('abc');
	const b = Buffer.alloc(2);
	await h.read(b, 0, 2, 1);
	console.log(b.toString(), (await h.stat()).size);
	await h.close();
	const w = fs.createWriteStream('big');
	for (let i = 0; i < 10000; i++)
		w.write(`line ${i}\n`);
	w.end();
	await new Promise(done => w.on('finish', done));
	let n = 0;
	for await (const chunk of fs.createReadStream('big', { highWaterMark: 1000 }))
		n += chunk.length;
	console.log(n);
	await Promise.all(Array.from({ length: 50 }, (_, i) => fs.promises.writeFile(`p${i}`, 'x'.repeat(i))));
	const sizes = await Promise.all(Array.from({ length: 50 }, async (_, i) => (await fs.promises.stat(`p${i}`)).size));
	console.log(sizes.reduce((a, c) => a + c));
	const watch = fs.watch('.');
	const seen = new Promise(done => watch.on('change', (what, name) => name === 'fresh' && done(name)));
	setTimeout(() => fs.writeFileSync('fresh', ''), 50);
	console.log(await seen);
	watch.close();
	for (let i = 0; i < 50; i++)
		await fs.promises.unlink(`p${i}`);
	for (const f of ['q', 'big', 'fresh'])
		fs.unlinkSync(f);
})();
