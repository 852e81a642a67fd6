// SPDX-License-Identifier: Apache-2.0
'use strict';
const { describe, it, before } = require('node:test');
const assert = require('node:assert');

describe('a suite', () => {
	let ready = false;
	before(() => { ready = true; });
	it('is ready', () => assert.ok(ready));
	it('fails', () => assert.strictEqual(1, 2));
	it('has mocks', t => {
		const fn = t.mock.fn(() => 5);
		assert.equal(fn() + fn(), 10);
		assert.equal(fn.mock.callCount(), 2);
	});
});
