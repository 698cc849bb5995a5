/**
 * Text that looks like markup, bytes that look like programs, and more lines than a page can hold. The page only
 * displays all of it.
 */
import assert from 'node:assert/strict'
import { packFile } from '../../chat/files.js'
import { SHOWN_LINES } from '../../chat/lines.js'
import { Visitor } from './visitor.js'
import { tell } from './stage.js'
import { until } from './world.js'

const MARKUP = '<img src=x onerror="alert(1)"><script>alert(2)</script>'
const NICKNAME = '<img src=x onerror=alert(3)>'

tell('the chat page against hostile words', {
  async 'a nickname and a text made of markup are shown as they were typed'({ hub, browser }) {
    const ann = await Visitor.enter(browser, `${hub.address}/#markup`, 'Ann')
    const eve = await Visitor.enter(browser, `${hub.address}/#markup`, NICKNAME)
    await ann.seesPerson(NICKNAME)
    await ann.seesLine(`${NICKNAME} entered`, 'notice')
    await eve.say(MARKUP)
    const line = await ann.seesLine(MARKUP)
    assert.equal(line.nick, NICKNAME)
    await ann.choose(NICKNAME)
    assert.ok((await ann.textOf('#whisper')).includes(NICKNAME))
    await ann.say(MARKUP)
    await eve.seesLine(MARKUP)
    const made = () => document.querySelectorAll('body img, body script, body iframe').length
    assert.equal(await ann.page.evaluate(made), 0)
    assert.equal(await eve.page.evaluate(made), 0)
    await ann.shot('markup')
    for (const visitor of [eve, ann]) {
      visitor.isClean()
      await visitor.leave()
    }
  },

  async 'a room whose name is markup is a room like any other'({ hub, browser }) {
    const room = '<svg onload=alert(4)>'
    const ann = await Visitor.enter(browser, `${hub.address}/#${encodeURIComponent(room)}`, 'Ann')
    await ann.sees('the room', (room) => document.querySelector('#room-name')?.textContent === `#${room}`, room)
    await ann.say('hello')
    await ann.seesLine('hello')
    assert.equal(await ann.page.evaluate(() => document.querySelectorAll('#room svg, #rooms svg').length), 0)
    ann.isClean()
    await ann.leave()
  },

  async 'anything that others publish is shown as what it is'({ hub, browser }) {
    const ann = await Visitor.enter(browser, `${hub.address}/#anything`, 'Ann')
    const json = 'application/json'
    await hub.publish('anything', 'plain words from a shell')
    await hub.publish('anything', '{"text":{"nested":true},"nick":["no"]}', json)
    await hub.publish('anything', 'null', json)
    await hub.publish('anything', '{"text":"odd nick","nick":"\\u202eevil\\n\\u0000","ref":5}', json)
    await hub.publish('anything', '{"__proto__":{"polluted":1},"text":"proto"}', json)
    await hub.publish('anything', new Uint8Array([1, 2, 3]), 'application/octet-stream')
    const head = { file: '../../\u202egnp.exe', nick: 'Eve', ref: '' }
    await hub.publish('anything', new Uint8Array(packFile(head, new Uint8Array([4, 5]))), 'application/octet-stream')
    await hub.publish('anything', 'the end')
    await ann.seesLine('the end')
    const lines = (await ann.lines()).filter((line) => line.kind === 'said')
    assert.deepEqual(
      lines.map((line) => line.text.replace(/\d+ bytes$/, '')),
      ['plain words from a shell', '{"text":{"nested":true},"nick":["no"]}', 'null', 'odd nick', 'proto', 'bytes.bin', '_.._gnp.exe', 'the end'],
    )
    assert.equal(lines[3]?.nick, 'evil')
    assert.equal(lines[0]?.nick, 'someone')
    ann.isClean()
    await ann.leave()
  },

  async 'the policy is on the page, and stops what it should'({ hub, browser }) {
    const answer = await fetch(hub.address)
    const policy = answer.headers.get('content-security-policy') ?? ''
    for (const word of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' blob:", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"]) {
      assert.ok(policy.includes(word), `${word} in ${policy}`)
    }
    const ann = await Visitor.enter(browser, `${hub.address}/#policy`, 'Ann')
    const ran = await ann.page.evaluate(async () => {
      const script = document.createElement('script')
      try {
        script.textContent = 'globalThis.ranInline = true'
      } catch {
        return false // Trusted Types refuse already the text
      }
      document.body.append(script)
      return 'ranInline' in globalThis
    })
    assert.equal(ran, false)
    await ann.leave()
  },

  async 'the page holds a bounded number of lines, the newest ones'({ hub, browser }) {
    const ann = await Visitor.enter(browser, `${hub.address}/#flood`, 'Ann')
    const count = SHOWN_LINES + 150
    for (let at = 1; at <= count; at++) await hub.publish('flood', `drop ${at}`)
    await ann.seesLine(`drop ${count}`)
    assert.equal((await ann.lines()).length, SHOWN_LINES)
    await until('the log to stand at its end', () =>
      ann.page.evaluate(() => {
        const log = /** @type {HTMLElement} */ (document.querySelector('#log'))
        return log.scrollHeight - log.scrollTop - log.clientHeight < 4
      }))
    ann.isClean()
    await ann.leave()
  },
})
