/** A page of another origin, and the cookie of its visitor: by no address and on no transport does it read, write or act as the visitor. */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { newPage } from '../support/new-page.js'
import { Browser, BROWSERS, Hub } from './world.js'

const SECRET = '0123456789abcdef0123456789abcdef'
const WORD = 'the-secret-word'
/** Time in which a page tries each address, in ms. */
const TRIES_MS = 2500

function token() {
  const now = Math.floor(Date.now() / 1000)
  const part = (/** @type {object} */ value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const message = `${part({ alg: 'HS256' })}.${part({ sub: 'ann', iat: now, exp: now + 600, triway: { read: ['*'], publish: ['*'] } })}`
  return `${message}.${createHmac('sha256', SECRET).update(message).digest('base64url')}`
}

/** Runs in the page: tries everything, and returns all that it could read. @param {string} hub @param {number} triesMs */
async function attack(hub, triesMs) {
  /** @type {string[]} */
  const read = []
  const wait = new Promise((resolve) => setTimeout(resolve, triesMs))
  const note = (/** @type {any} */ what) => read.push(String(what))
  const fetched = (/** @type {string} */ path, /** @type {RequestInit} */ init) =>
    fetch(hub + path, { credentials: 'include', ...init }).then((response) => response.text().then((text) => note(`${response.status} ${text}`)), () => {})
  for (const mode of /** @type {const} */ (['cors', 'no-cors'])) {
    for (const path of ['/history/secret', '/poll/secret?wait=0&since=all&presence=1', '/presence/secret', '/sse/secret?since=all&format=full']) fetched(path, { mode })
    for (const path of ['/pub/secret', '/send', '/session', '/poll']) fetched(path, { mode, method: 'POST', body: 'forged' })
    fetched('/send', { mode, method: 'POST', body: '[{"type":"publish","channel":"secret","data":"forged"}]' })
  }
  fetched('/session?session=x', { method: 'DELETE' })
  const socket = new WebSocket(hub.replace('http', 'ws') + '/ws/secret?since=all&presence=1')
  socket.onmessage = ({ data }) => note(data)
  socket.onopen = () => socket.send('{"type":"publish","channel":"secret","data":"forged"}')
  const stream = new EventSource(hub + '/sse/secret?since=all', { withCredentials: true })
  stream.onmessage = ({ data }) => note(data)
  for (const [name, path] of [['script', '/history/secret'], ['img', '/poll/secret?presence=1'], ['iframe', '/history/secret']]) {
    const element = /** @type {any} */ (document.createElement(name))
    element.src = hub + path
    document.body.append(element)
  }
  window.onerror = (message) => note(message)
  const frame = document.createElement('iframe')
  frame.name = 'target'
  document.body.append(frame)
  for (const enctype of ['text/plain', 'application/x-www-form-urlencoded']) {
    const form = document.createElement('form')
    Object.assign(form, { method: 'post', action: hub + '/pub/secret', enctype, target: 'target' })
    form.innerHTML = '<input name="forged" value="forged">'
    document.body.append(form)
    form.submit()
  }
  await wait
  stream.close()
  socket.close()
  return read
}

for (const kind of BROWSERS.filter((kind) => kind !== 'webkit')) {
  test(`a page of another origin neither reads nor writes nor uses the cookie of its visitor, in ${kind}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'triway-'))
    writeFileSync(join(folder, 'secret'), SECRET)
    const hub = await Hub.start(['--jwt-secret-file', join(folder, 'secret'), '--cookie', 'sid'])
    const foreign = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html><title>foreign</title><body>'))
    await new Promise((resolve) => foreign.listen(0, () => resolve(0)))
    const { port } = /** @type {import('node:net').AddressInfo} */ (foreign.address())
    const browser = await Browser.start(kind)
    const headers = { authorization: 'Bearer ' + token() }
    const asVisitor = (/** @type {string} */ path, /** @type {RequestInit} */ init) => fetch(hub.address + path, { headers, ...init })
    try {
      assert.equal((await asVisitor('/pub/secret', { method: 'POST', body: WORD })).status, 201)
      const context = await browser.newContext()
      const own = await newPage(context)
      await own.goto(hub.address + '/')
      const sees = await own.evaluate(async (/** @type {string} */ cookie) => {
        document.cookie = cookie
        return (await fetch('/history/secret')).text()
      }, 'sid=' + token())
      assert.ok(sees.includes(WORD), `the page of the hub uses the cookie: ${sees}`)
      // The first one is of the same site: a browser sends it the cookies of each port.
      for (const host of ['127.0.0.1', 'localhost']) {
        const page = await newPage(context)
        await page.goto(`http://${host}:${port}/`)
        const read = await page.evaluate(attack, hub.address, TRIES_MS)
        assert.deepEqual(read.filter((/** @type {string} */ text) => text.includes(WORD)), [], host)
        assert.deepEqual(read.filter((/** @type {string} */ text) => /"key"|^20[01] ./.test(text)), [], host)
        await page.close()
      }
      const { frames } = await (await asVisitor('/history/secret', {})).json()
      assert.deepEqual(frames.map((/** @type {any} */ { data }) => data), [WORD], 'nothing was written')
      assert.equal((await (await asVisitor('/presence/secret', {})).json()).count, 0, 'nobody was shown')
    } finally {
      await browser.stop()
      foreign.close()
      await hub.stop()
      rmSync(folder, { recursive: true })
    }
  })
}
