/** The fast paths in Node. Each meets its bounds and matches docs/networks.md. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startEngine } from './engines.js'
import { paths } from './paths.js'
import { surveyAll } from './survey.js'
import { compare } from './table.js'

/** Paths at the same time. They keep two cores busy without overloading them: a path mostly waits. */
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
