/**
 * Item 12: nothing that ended is reachable. Measured on `dist/`: in Node, with one process for each kind, and in
 * Chromium. There are 500 cycles of each kind, and fewer of the slow ones unless it runs with --all.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { BROWSERS } from '../browser/world.js'
import { startProcess } from '../support/ending.js'
import { newPage } from '../support/new-page.js'
import { ALL, browserSeats, Run, site, STORY, tallied, TRANSPORTS } from './world.js'

/** Cycles of each kind. The quick run has fewer of the slow ones. One cycle of `reconnect` covers ten hubs. @type {Record<string, number>} */
const KINDS = { publish: 500, channel: ALL ? 500 : 240, hub: ALL ? 500 : 45, signal: ALL ? 500 : 30, change: ALL ? 250 : 30, reconnect: ALL ? 15 : 4 }
/** Objects that the engine may still hold at the end, from the last cycles. */
const ALIVE_MOST = 12
/** Objects that each open hub may hold for its present attachment, if several hubs stay open to the end. */
const ALIVE_FOR_EACH_HUB = 3
/** Limit of the heap's growth in the last third, in bytes per cycle: a payload here is twice as large. */
const GROWTH_MOST = 4000
/** Growth of the heap that is always allowed, in bytes: code that is compiled late, and pools of the platform. */
const GROWTH_FREE = 500_000
/** Processes at the same time: a cycle mostly waits. */
const AT_ONCE = ALL ? 2 : 4

const script = fileURLToPath(new URL('leaks-node.js', import.meta.url))

/** @param {string} kind @param {string} transport @param {Run} run @param {string} control @returns {Promise<any>} */
async function inNode(kind, transport, run, control) {
  const child = startProcess(process.execPath, ['--expose-gc', script, kind, transport, run.box.address, String(KINDS[kind])], { env: { ...process.env, TRIWAY_CONTROL: control }, stdio: ['ignore', 'pipe', 'pipe'] })
  let [said, failed] = ['', '']
  child.stdout?.on('data', (part) => (said += part))
  child.stderr?.on('data', (part) => (failed += part))
  const timer = setTimeout(() => child.kill('SIGKILL'), ALL ? 600_000 : 90_000)
  const code = await new Promise((resolve) => child.on('exit', resolve))
  clearTimeout(timer)
  assert.equal(code, 0, `${kind} over ${transport} ended with ${code}: ${failed.slice(-600)}`)
  return JSON.parse(said)
}

/**
 * Measures in a page of Chromium, which reports its heap and collects garbage on request.
 * @param {string} kind @param {string} transport @param {Run} run @param {string} control
 */
async function inChromium(kind, transport, run, control) {
  const { address } = await site()
  const context = await (await (await browserSeats('chromium')).browser()).newContext()
  try {
    const page = await newPage(context)
    await page.goto(address + '/')
    await page.waitForFunction('"run" in globalThis')
    const devtools = await page.createCDPSession()
    const heap = async () => {
      for (let at = 0; at < 3; at++) await devtools.send('HeapProfiler.collectGarbage')
      return (await devtools.send('Runtime.getHeapUsage')).usedSize
    }
    await page.evaluate(prepare, { kind, options: { transports: [transport] }, address: run.box.address, client: `${address}/dist/client.mjs`, control })
    const heaps = []
    const third = Math.floor(KINDS[kind] / 3)
    for (let part = 0; part < 3; part++) {
      heaps.push(await heap())
      // One cycle per call: if connections are cut repeatedly, a cycle waits for a pause of up to 20 s.
      for (let at = 0; at < third; at++) await page.evaluate(() => /** @type {any} */ (globalThis).cycles(1))
    }
    heaps.push(await heap())
    return { cycles: 3 * third, heaps, ...(await page.evaluate(() => /** @type {any} */ (globalThis).seen())) }
  } finally {
    await context.close()
  }
}

/** Runs in the page. @param {any} given */
async function prepare({ kind, options, address, client, control }) {
  const { connect } = await import(client)
  const { CYCLES } = await import(/** @type {any} */ ('/leak-cycles.js'))
  /** @type {WeakRef<any>[]} */
  const refs = []
  const cut = () => fetch(control, { method: 'POST', body: '{"name":"cut","args":[]}' })
  const cycle = await CYCLES[kind]({ connect, address, options, cut, watch: (/** @type {any} */ object) => refs.push(new WeakRef(object)) })
  let done = 0
  Object.assign(globalThis, {
    cycles: async (/** @type {number} */ count) => {
      for (let at = 0; at < count; at++) await cycle(done++)
    },
    seen: async () => ({ watched: refs.length, alive: new Set(refs.map((ref) => ref.deref()).filter(Boolean)).size, ...(await cycle.figures?.()) }),
  })
}

/** @param {import('node:test').TestContext} t @param {string} name @param {any} figures */
function judge(t, name, { cycles, heaps, watched, alive, listeners, state, hubs = 0 }) {
  const grown = heaps[3] - heaps[2]
  const perCycle = Math.round((3 * grown) / cycles)
  t.diagnostic(`${name}: ${cycles} cycles, heap ${heaps.map((/** @type {number} */ bytes) => (bytes / 1e6).toFixed(2)).join(' → ')} MB (${perCycle} B a cycle), ${alive} of ${watched} objects alive${listeners === undefined ? '' : `, ${listeners} listeners`}`)
  assert.ok(watched >= cycles, `${name}: ${watched} objects were watched`)
  assert.ok(alive <= (hubs * ALIVE_FOR_EACH_HUB || ALIVE_MOST), `${name}: ${alive} of ${watched} objects are alive`)
  assert.ok(grown < Math.max(GROWTH_FREE, (GROWTH_MOST * cycles) / 3), `${name}: the heap grows ${perCycle} bytes a cycle`)
  if (listeners !== undefined) assert.ok(listeners <= 1, `${name}: ${listeners} listeners on a signal that lives on`)
  if (state) assert.equal(state, 'connected', `${name}: the state at the end`)
  tallied(12, 5)
}

describe('nothing that ended is reachable', { concurrency: AT_ONCE }, () => {
  const places = /** @type {[string, typeof inNode][]} */ ([['node', inNode], ...(BROWSERS.includes('chromium') ? [['chromium', inChromium]] : [])])
  for (const kind of Object.keys(KINDS)) {
    for (const transport of TRANSPORTS) {
      for (const [at, [place, measure]] of places.entries()) {
        // Without --all, the pages run each kind over one transport.
        if (!ALL && place === 'chromium' && transport !== TRANSPORTS[(Object.keys(KINDS).indexOf(kind) + at) % TRANSPORTS.length]) continue
        if (!STORY.test(`12. ${kind} over ${transport}`)) continue
        test(`12. ${kind} over ${transport} (${place})`, async (t) => {
          const run = await Run.start([], false)
          const pages = await site()
          pages.controls.set(run.id, run.control.bind(run))
          try {
            judge(t, `${place} ${kind} ${transport}`, await measure(kind, transport, run, `${pages.address}/control/${run.id}`))
          } finally {
            pages.controls.delete(run.id)
            await run.stop()
          }
        })
      }
    }
  }
})
