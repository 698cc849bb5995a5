/** When a test fails or never ends, its file, its run and every process that it started end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { until } from './hub.js'
import { startProcess } from './support/ending.js'

const file = fileURLToPath(new URL('support/never-ending.js', import.meta.url))
const ending = new URL('support/ending.js', import.meta.url).href
/** The longest run of a file that fails at once, in ms: far below the time limit of a file. */
const END_MOST_MS = 20_000

/** @param {number} pid */
function isAlive(pid) {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Runs the file in the same way as `scripts/test`. @param {string} how @param {number} limitSeconds */
async function run(how, limitSeconds) {
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env
  const flags = ['--test', '--test-force-exit', '--test-reporter=spec', `--import=${ending}`, file]
  const env = { ...environment, TRIWAY_FAILS: how, TRIWAY_FILE_LIMIT_S: String(limitSeconds) }
  const child = startProcess(process.execPath, flags, { stdio: ['ignore', 'pipe', 'pipe'], env })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (bytes) => (output += bytes))
  const late = setTimeout(() => child.kill('SIGKILL'), END_MOST_MS)
  const code = await new Promise((resolve) => child.on('close', resolve))
  clearTimeout(late)
  const pid = Number(/the hub is process (\d+)/.exec(output)?.[1])
  return { code, output, pid }
}

for (const how of ['before all tests', 'in a test']) {
  test(`a failure ${how} ends the run and its hub`, async () => {
    const { code, output, pid } = await run(how, 60)
    assert.equal(code, 1, output)
    assert.ok(pid > 0, output)
    await until(() => !isAlive(pid), 'the hub to end')
  })
}

for (const [how, title] of [['never', 'a test that never ends'], ['outside of all tests', 'a test that waits for what failed outside of it']]) {
  test(`${title} is ended by the time limit of its file`, async () => {
    const { code, output, pid } = await run(how, 3)
    assert.equal(code, 1, output)
    assert.match(output, /did not end within 3 s/)
    await until(() => !isAlive(pid), 'the hub to end')
  })
}
