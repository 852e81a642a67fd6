// SPDX-License-Identifier: Apache-2.0
// Threads: messages, memory that is shared, ends, errors.
'use strict';
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');

async function main() {
	const sums = await Promise.all([1, 2, 3, 4].map(n => new Promise((done, bad) =>
		new Worker(__filename, { workerData: n }).on('message', done).on('error', bad))));
	console.log(sums);
	const shared = new Int32Array(new SharedArrayBuffer(8));
	const add = `const { workerData } = require('worker_threads');
		for (let i = 0; i < 10000; i++) Atomics.add(workerData, 0, 1);
		Atomics.add(workerData, 1, 1); Atomics.notify(workerData, 1);`;
	for (let i = 0; i < 4; i++)
		new Worker(add, { eval: true, workerData: shared });
	for (let n; (n = Atomics.load(shared, 1)) < 4;)
		await Atomics.waitAsync(shared, 1, n).value;
	console.log(shared[0]);
	const stopped = new Worker('setInterval(() => {}, 99)', { eval: true });
	stopped.on('online', async () => {
		console.log('terminated', await stopped.terminate());
		new Worker('throw new Error("of a thread")', { eval: true }).on('error', e => console.log(e.message))
			.on('exit', code => console.log('exit', code));
	});
}

if (isMainThread) {
	main();
} else {
	let sum = 0;
	for (let i = 0; i < 1e6 * workerData; i++)
		sum += i;
	parentPort.postMessage(sum);
}
