/** A test file that does not stop its hub. It fails as TRIWAY_FAILS says, and `ending.test.js` runs it. */
import { before, describe, test } from 'node:test'
import { startServer } from '../server.js'

const how = process.env.TRIWAY_FAILS

describe('a file that fails', () => {
  before(async () => {
    const { pid } = await startServer()
    console.log(`the hub is process ${pid}`)
    if (how === 'before all tests') throw new Error('before all tests')
    if (how === 'outside of all tests') setTimeout(() => { throw new Error('outside of all tests') })
  })

  test('fails', async () => {
    if (how === 'in a test') throw new Error('in a test')
    // Only a timer keeps Node alive here.
    await new Promise((resolve) => setTimeout(resolve, 3_600_000))
  })
})
