/** The fast paths in Node: within their bounds, and as docs/networks.md has them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startEngine } from './engines.js'
import { paths } from './paths.js'
import { surveyAll } from './survey.js'
import { compare } from './table.js'

/** So many paths at once keep two cores busy, not overloaded: most of a path is waiting. */
const AT_ONCE = 4

test('the fast paths', async (t) => {
  const engine = await startEngine('node')
  const rows = await surveyAll(paths.filter(({ fast }) => fast), engine, AT_ONCE)
  for (const row of rows) {
    await t.test(row.path.name, () => {
      assert.deepEqual(row.wrong, [], row.measured.report)
      assert.deepEqual(compare('paths', [row]), [])
    })
  }
})
