// SPDX-License-Identifier: Apache-2.0
'use strict';
const test = require('node:test');
const assert = require('node:assert');

test('adds', () => assert.equal(1 + 1, 2));
test('waits', async t => {
	await new Promise(done => setTimeout(done, 10));
	await t.test('within', () => {});
});
test('is skipped', { skip: true }, () => {});
