// SPDX-License-Identifier: Apache-2.0
// A server of HTTP and its clients: bodies, many at once, a big one, streams, refusals, datagrams.
'use strict';
const http = require('http');
const net = require('net');
const dgram = require('dgram');

const server = http.createServer((q, r) => {
	const parts = [];
	q.on('data', d => parts.push(d)).on('end', () => {
		r.setHeader('x-length', Buffer.concat(parts).length);
		r.end(`${q.method} ${q.url} ${Buffer.concat(parts)}`);
	});
});

function datagram() {
	return new Promise(done => {
		const one = dgram.createSocket('udp4'), two = dgram.createSocket('udp4');
		one.on('message', m => { one.close(); two.close(); done(m.toString()); });
		one.bind(0, '127.0.0.1', () => two.send('datagram', one.address().port, '127.0.0.1'));
	});
}

server.listen(0, async () => {
	const port = server.address().port;
	const ask = (path, options) => fetch(`http://localhost:${port}${path}`, options);
	const r = await ask('/x', { method: 'POST', body: 'data' });
	console.log(r.status, r.headers.get('x-length'), await r.text());
	const all = await Promise.all(Array.from({ length: 200 }, async (_, i) => (await ask(`/${i}`)).text()));
	console.log(all.every((t, i) => t === `GET /${i} `));
	const big = 'x'.repeat(5e6);
	console.log((await (await ask('/big', { method: 'PUT', body: big })).text()).length);
	const raw = await new Promise(done => {
		const s = net.connect(port, '127.0.0.1', () => s.end('GET /raw HTTP/1.0\r\n\r\n'));
		let t = '';
		s.on('data', d => t += d).on('close', bad => done([t.split('\r\n')[0], bad]));
	});
	console.log(raw);
	console.log(await datagram());
	console.log(await new Promise(done => net.connect(1, '127.0.0.1').on('error', e => done(e.code))));
	console.log(await new Promise(done => net.createServer().on('error', e => done(e.code)).listen(port)));
	const pipe = process.platform === 'win32' ? '\\\\.\\pipe\\of-the-test' : './socket';
	const local = net.createServer(s => s.pipe(s)).listen(pipe, () => {
		const s = net.connect(pipe, () => s.end('through a pipe'));
		let t = '';
		s.on('data', d => t += d).on('end', () => { console.log(t); local.close(); });
	});
	server.close(() => console.log('closed'));
	server.closeAllConnections();
});
