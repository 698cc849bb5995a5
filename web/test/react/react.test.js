/**
 * The client in a real React: StrictMode, three `useChannel`, remounts by key, hot module reload. There is always
 * one connection, and none a second after the last component was removed. React 19; with --all also React 18.
 */
import assert from 'node:assert/strict'
import { build } from 'esbuild'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Browser, BROWSERS, until } from '../browser/world.js'
import { ALL, Run, site } from '../first-week/world.js'
import { newPage } from '../support/new-page.js'

const MOUNTS = 200
const VERSIONS = ALL ? [19, 18] : [19]
const TRANSPORTS = ALL ? ['ws', 'sse', 'poll'] : ['ws', 'sse']

/** @param {number} version @returns {Promise<string>} */
async function bundle(version) {
  const alias = version === 18 ? { react: 'react-18', 'react-dom': 'react-dom-18' } : {}
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('app.js', import.meta.url))],
    bundle: true, write: false, format: 'esm', alias, define: { 'process.env.NODE_ENV': '"development"' }, logLevel: 'error',
  })
  return outputFiles[0].text
}

/** A page that runs the application. */
class Visit {
  most = 0
  /** @type {any} */
  page

  /** @param {any} context @param {Run} run @param {string} transport @param {number} version */
  constructor(context, run, transport, version) {
    Object.assign(this, { context, run, transport, version })
  }

  /** @param {any} browser @param {string} transport @param {number} version */
  static async begin(browser, transport, version) {
    const visit = new Visit(await browser.newContext(), await Run.start([], true), transport, version)
    const { address } = await site()
    visit.page = await newPage(visit.context)
    await visit.page.goto(`${address}/react-${version}.html`)
    await visit.page.waitForFunction('"app" in globalThis')
    await visit.call('start', { client: `${address}/dist/client.mjs`, address: visit.run.box.address, transport })
    visit.timer = setInterval(() => (visit.most = Math.max(visit.most, visit.run.box.open(transport))), 5)
    return visit
  }

  /** @param {string} name @param {any[]} args */
  call(name, ...args) {
    return this.page.evaluate((/** @type {string} */ name, /** @type {any[]} */ args) => /** @type {any} */ (globalThis).app[name](...args), name, args)
  }

  /** @param {string} room @param {any} data */
  post(room, data) {
    return this.run.control('post', [room, JSON.stringify(data)])
  }

  /** @param {string} what @param {(seen: any) => any} fits */
  sees(what, fits) {
    return until(what, async () => fits(await this.call('look')), () => this.call('look'))
  }

  /**
   * Checks that there is one connection. A change of channels may replace the attachment of a stream or a poll, so
   * there may be two for a moment.
   */
  isOneConnection() {
    assert.ok(this.most <= (this.transport === 'ws' ? 1 : 2), `${this.most} connections at once over ${this.transport}`)
  }

  async hasNone() {
    const ended = Date.now()
    await until('no connection', () => this.run.box.open(/** @type {any} */ (this.transport)) === 0)
    assert.ok(Date.now() - ended < 1300, `none after ${Date.now() - ended} ms`)
    await until('no reader', async () => (await this.run.control('metric', ['triway_readers'])) === 0)
    assert.ok(Date.now() - ended < 1600, `no reader after ${Date.now() - ended} ms`)
  }

  async end() {
    clearInterval(this.timer)
    await this.context.close()
    await this.run.stop()
  }
}

/** @type {Record<string, (visit: Visit) => Promise<void>>} */
const STORIES = {
  async '200 mounts of three useChannel under StrictMode: one connection, none a second after the last'(visit) {
    await visit.post('a', 'old')
    const rooms = [{ name: 'one', room: 'a', since: 'all' }, { name: 'two', room: 'a', since: 'now' }, { name: 'three', room: 'b', presence: true }]
    await visit.call('mounts', rooms, MOUNTS / 2, true)
    await visit.call('mounts', rooms, MOUNTS / 2, false)
    await visit.call('show', rooms)
    await visit.sees('the history', ({ shown }) => shown.one?.length === 1)
    await until('b is read', async () => {
      const { reached } = await visit.post('b', 'live')
      return reached.ws + reached.sse + reached.poll === 1
    })
    await visit.sees('what is live', ({ shown }) => shown.three?.includes('live'))
    await visit.post('a', 'new')
    await visit.sees('both of a', ({ shown }) => shown.one?.includes('new') && shown.two?.includes('new'))
    const { shown, connects } = await visit.call('look')
    assert.deepEqual([shown.one, shown.two], [['old', 'new'], ['new']], 'each has its own start, and nothing twice')
    assert.ok(connects >= 1)
    visit.isOneConnection()
    await visit.call('unmount')
    await visit.hasNone()
  },

  async 'remounts by key: each begins at its own start, and the others go on'(visit) {
    for (const n of [1, 2, 3]) await visit.post('keyed', n)
    await visit.call('show', [{ name: 'stays', room: 'keyed', since: 'all' }])
    await visit.sees('the history', ({ shown }) => shown.stays?.length === 3)
    for (let key = 0; key < 20; key++) {
      await visit.call('show', [{ name: 'stays', room: 'keyed', since: 'all' }, { name: 'keyed', key: 'k' + key, room: 'keyed', since: 'last:2' }])
      await visit.sees(`key ${key}`, ({ shown }) => shown.keyed?.length === 2)
      assert.deepEqual((await visit.call('look')).shown.keyed, [2, 3])
    }
    await visit.post('keyed', 4)
    await visit.sees('both', ({ shown }) => shown.stays?.length === 4 && shown.keyed?.length === 3)
    assert.deepEqual((await visit.call('look')).shown, { stays: [1, 2, 3, 4], keyed: [2, 3, 4] })
    visit.isOneConnection()
    await visit.call('unmount')
    await visit.hasNone()
  },

  async 'of two components of one channel one goes: the other hears on'(visit) {
    const [one, two] = [{ name: 'one', room: 'both' }, { name: 'two', room: 'both' }]
    await visit.call('show', [one, two])
    await until('it is read', async () => {
      const { reached } = await visit.post('both', 'look')
      return reached.ws + reached.sse + reached.poll
    })
    await visit.call('show', [two])
    await visit.sees('one is gone', ({ shown }) => !shown.one)
    await visit.post('both', 'after')
    await visit.sees('two hears', ({ shown }) => shown.two?.includes('after'))
    await visit.call('show', [one, two])
    await until('both hear', async () => {
      await visit.post('both', 'again')
      const { shown } = await visit.call('look')
      return shown.one?.includes('again') && shown.two?.includes('again')
    })
    visit.isOneConnection()
    await visit.call('unmount')
    await visit.hasNone()
  },

  async 'hot module reload: an edit keeps what came, a change of hooks mounts again, and each reads once'(visit) {
    for (const n of [1, 2]) await visit.post('hot', n)
    await visit.call('show', [{ name: 'hot', room: 'hot', since: 'all' }])
    await visit.sees('the history', ({ shown }) => shown.hot?.length === 2)
    await visit.call('edit', 'edited')
    await visit.sees('the edited component', ({ html, shown }) => html.includes('edited') && shown.hot?.length === 2)
    await visit.post('hot', 3)
    await visit.sees('what is live', ({ shown }) => shown.hot?.length === 3)
    await visit.call('edit', 'rebuilt')
    await visit.sees('the rebuilt component', ({ html, shown }) => html.includes('rebuilt') && shown.hot?.length === 3)
    await visit.post('hot', 4)
    await visit.sees('what is live', ({ shown }) => shown.hot?.length === 4)
    assert.deepEqual((await visit.call('look')).shown.hot, [1, 2, 3, 4])
    visit.isOneConnection()
    await visit.call('unmount')
    await visit.hasNone()
  },

  async 'a name that changes ten times in a second: the last one is read, and no other'(visit) {
    for (let at = 0; at < 10; at++) {
      await visit.call('show', [{ name: 'moving', room: 'moving/' + at }])
      await visit.call('painted')
    }
    await until('the last one is read', async () => {
      const { reached } = await visit.post('moving/9', 'last')
      return reached.ws + reached.sse + reached.poll === 1
    })
    await visit.sees('it is shown', ({ shown }) => shown.moving?.includes('last'))
    for (let at = 0; at < 9; at++) {
      await until(`${at} is not read`, async () => {
        const { reached } = await visit.post('moving/' + at, 'gone')
        return reached.ws + reached.sse + reached.poll === 0
      })
    }
    assert.ok(!(await visit.call('look')).shown.moving.includes('gone'))
    visit.isOneConnection()
    await visit.call('unmount')
    await visit.hasNone()
  },

  async 'a thousand events: each once and in order'(visit) {
    for (let n = 0; n < 1000; n++) await visit.post('many', n)
    await visit.call('show', [{ name: 'many', room: 'many', since: 'all' }])
    await visit.sees('all of them', ({ shown }) => shown.many?.length >= 1000)
    assert.deepEqual((await visit.call('look')).shown.many, Array.from({ length: 1000 }, (_, n) => n))
    await visit.call('unmount')
    await visit.hasNone()
  },
}

for (const kind of BROWSERS.filter((kind) => kind === 'chromium' || kind === 'firefox')) {
  for (const version of VERSIONS) {
    describe(`React ${version} in ${kind}`, () => {
      /** @type {any} */
      let browser
      before(async () => {
        const { files } = await site()
        files.set(`/react-${version}.html`, `<!doctype html><meta charset="utf-8"><title>React ${version}</title><link rel="icon" href="data:,"><main></main><script type="module" src="/react-${version}.js"></script>`)
        files.set(`/react-${version}.js`, await bundle(version))
        browser = await Browser.start(kind)
      })
      after(() => browser?.stop())
      for (const transport of TRANSPORTS) {
        for (const [name, story] of Object.entries(STORIES)) {
          test(`${name} (${transport})`, async () => {
            const visit = await Visit.begin(browser, transport, version)
            try {
              assert.ok((await visit.page.evaluate(() => /** @type {any} */ (globalThis).app.version)).startsWith(String(version)))
              await story(visit)
            } finally {
              await visit.end()
            }
          })
        }
      }
    })
  }
}
