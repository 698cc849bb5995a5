/** How times until usable are summed up. `networks/run.js --usable` measures them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLate, quantile } from './networks/usable.js'

test('the median and the 90th percentile are among the values', () => {
  const sorted = Array.from({ length: 15 }, (_, index) => 10 * (index + 1))
  assert.deepEqual([quantile(sorted, 0.5), quantile(sorted, 0.9), quantile([7], 0.9)], [80, 140, 7])
  assert.equal(quantile([1, Infinity], 0.9), Infinity)
})

test('a visit is late by its 90th percentile, the second one sooner than the first', () => {
  const times = { path: '', engine: '', p50: 0, transports: '' }
  assert.deepEqual([isLate({ ...times, visit: 'first', p90: 1000 }), isLate({ ...times, visit: 'first', p90: 1001 }), isLate({ ...times, visit: 'second', p90: 301 }), isLate({ ...times, visit: 'second', p90: 300 })], [false, true, true, false])
})
