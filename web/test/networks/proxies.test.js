/** The client in Node through every real proxy. It meets its bounds and matches docs/networks.md. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { startEngine } from './engines.js'
import { proxyPaths } from './proxies.js'
import { surveyAll } from './survey.js'
import { compare } from './table.js'

const AT_ONCE = 3

test('every file under tests/proxies is travelled and documented', () => {
  const files = readdirSync(new URL('../../../tests/proxies/', import.meta.url)).sort()
  assert.deepEqual(files, proxyPaths.map(({ name }) => name).sort())
  const document = readFileSync(new URL('../../../docs/proxies.md', import.meta.url), 'utf8')
  assert.deepEqual(files.filter((file) => !document.includes(`\`${file}\``)), [])
})

test('real proxies', async (t) => {
  const engine = await startEngine('node')
  const rows = await surveyAll(proxyPaths, engine, AT_ONCE)
  for (const row of rows) {
    await t.test(row.path.name, () => {
      assert.deepEqual(row.wrong, [], row.measured.report)
      assert.deepEqual(compare('proxies', [row]), [])
    })
  }
})
