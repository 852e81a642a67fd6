// SPDX-License-Identifier: Apache-2.0
// Processes: their arguments, environment, streams, ends; messages; files as streams.
'use strict';
const cp = require('child_process');
const fs = require('fs');
const self = (...args) => [process.execPath, [__filename, ...args]];

const roles = {
	echo() {
		process.stdin.on('data', d => process.stdout.write(`got ${d}`)).on('end', () => {
			console.error('to stderr');
			process.exit(3);
		});
	},
	messages() {
		process.on('message', m => m === 'end' ? process.disconnect() : process.send({ twice: m.n * 2, text: m.text }));
	},
	many() { process.stdout.write('x'.repeat(1e6)); },
	inherit() { console.log('inherited'); },
	sleep() { console.log('sleeps'); setInterval(() => {}, 1000); },
};

const ended = child => new Promise(done => child.on('close', (code, signal) => done([code, signal])));

async function main() {
	const sync = cp.spawnSync(process.execPath, ['-e', 'console.log(process.argv.slice(1), process.env.GIVEN)',
		'two words', '"quoted"', 'back\\', '', 'ünï'], { env: { ...process.env, GIVEN: 'value' } });
	console.log(sync.status, sync.stdout.toString(), sync.stderr.toString());
	console.log(cp.execFileSync(process.execPath, ['-p', 'require("fs").readFileSync(0, "utf8").length'], { input: 'y'.repeat(200000) }).toString().trim());
	console.log(cp.spawnSync(process.execPath, ['-e', 'process.exit(99)']).status);
	const echo = cp.spawn(...self('echo'));
	let out = '', err = '';
	echo.stdout.on('data', d => out += d);
	echo.stderr.on('data', d => err += d);
	echo.stdin.write('one');
	setTimeout(() => echo.stdin.end(' two'), 50);
	console.log(await ended(echo), out.replaceAll('got ', ''), err.trim());
	const fork = cp.fork(__filename, ['messages']);
	const answers = [];
	fork.on('message', m => { answers.push(m); if (answers.length === 3) fork.send('end'); });
	for (let n = 1; n <= 3; n++)
		fork.send({ n, text: 'a'.repeat(n * 30000) });
	console.log(await ended(fork), answers.map(m => [m.twice, m.text.length]));
	const many = await Promise.all([1, 2, 3, 4].map(async () => {
		const c = cp.spawn(...self('many'));
		let n = 0;
		c.stdout.on('data', d => n += d.length);
		return [await ended(c), n];
	}));
	console.log(JSON.stringify(many));
	console.log(await ended(cp.spawn(...self('inherit'), { stdio: 'inherit' })));
	const log = fs.openSync('log', 'w');
	console.log(await ended(cp.spawn(...self('inherit'), { stdio: ['ignore', log, log] })), fs.readFileSync('log', 'utf8'));
	fs.closeSync(log);
	const sleep = cp.spawn(...self('sleep'));
	sleep.stdout.once('data', () => sleep.kill());
	console.log(await ended(sleep), sleep.killed);
	console.log(await new Promise(done => cp.spawn('nosuch').on('error', e => done(e.code))));
	console.log(await new Promise(done => cp.execFile(process.execPath, ['-e', 'for(;;);'], { timeout: 300 }, e => done(e.signal))));
}

if (process.argv[2])
	roles[process.argv[2]]();
else
	main();
