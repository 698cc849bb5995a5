/** The paths of the quick tier that need a browser. Each meets its bounds and matches docs/networks.md. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BROWSERS } from '../browser/world.js'
import { startEngine } from './engines.js'
import { paths } from './paths.js'
import { surveyAll } from './survey.js'
import { compare } from './table.js'

/** More would overload two cores: a path mostly waits, but a browser does more work than Node. */
const AT_ONCE = 5

for (const kind of BROWSERS.filter((kind) => kind !== 'webkit')) {
  test(`the fast paths in ${kind}`, async (t) => {
    const engine = await startEngine(kind)
    try {
      const rows = await surveyAll(paths.filter(({ inBrowsers }) => inBrowsers), engine, AT_ONCE)
      for (const row of rows) {
        await t.test(row.path.name, () => {
          assert.deepEqual(row.wrong, [], row.measured.report)
          assert.deepEqual(compare('paths', [row]), [])
        })
      }
    } finally {
      await engine.stop()
    }
  })
}
