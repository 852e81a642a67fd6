// SPDX-License-Identifier: Apache-2.0
// Digests, ciphers, keys, compression, timers, and what a program ends with.
'use strict';
const c = require('crypto');
const z = require('zlib');

for (const name of ['md5', 'sha1', 'sha256', 'sha512', 'sha3-256', 'blake2b512'])
	console.log(name, c.createHash(name).update('abc').digest('hex'));
console.log(c.randomBytes(16).length, c.randomUUID().length, c.randomBytes(8).equals(c.randomBytes(8)));
const key = c.scryptSync('password', 'salt', 32);
const cipher = c.createCipheriv('aes-256-gcm', key, Buffer.alloc(12));
console.log(Buffer.concat([cipher.update('hello'), cipher.final()]).toString('hex'), cipher.getAuthTag().toString('hex'));
for (const [kind, options] of [['ec', { namedCurve: 'P-256' }], ['rsa', { modulusLength: 1024 }], ['ed25519', {}]]) {
	const { publicKey, privateKey } = c.generateKeyPairSync(kind, options);
	const digest = kind === 'ed25519' ? null : 'sha256';
	const sign = c.sign(digest, Buffer.from('x'), privateKey);
	console.log(kind, c.verify(digest, Buffer.from('x'), publicKey, sign), c.verify(digest, Buffer.from('y'), publicKey, sign));
}
const text = 'some text, '.repeat(10000);
console.log(z.gunzipSync(z.gzipSync(text)).toString() === text, z.brotliDecompressSync(z.brotliCompressSync(text)).length);
process.nextTick(() => console.log('tick'));
setImmediate(() => console.log('immediate'));
const t = process.hrtime.bigint();
setTimeout(() => {
	console.log('timer', process.hrtime.bigint() - t >= 29000000n);
	c.pbkdf2('a', 'b', 100000, 20, 'sha1', (e, d) => console.log(d.toString('hex')));
}, 30);
process.on('exit', code => console.log('exit', code));
process.exitCode = 7;
