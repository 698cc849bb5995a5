/**
 * The chat page in real browsers, with at least two visitors on different transports. Each test has its own room.
 */
import assert from 'node:assert/strict'
import { Visitor } from './visitor.js'
import { pngOf } from './picture.js'
import { tell } from './stage.js'
import { Hub, until } from './world.js'

/** The interval of messages while readers change their transport, in ms: several are in flight at each change. */
const SPEAK_EVERY_MS = 15
/** Fewer messages than the page shows, so that none of them is removed as too old. */
const SPOKEN_MOST = 900

/** @typedef {import('./stage.js').Stage} Stage */

/**
 * Returns two visitors of a room: Ann on WebSocket and Bob on long polling.
 * @param {Pick<Stage, 'hub' | 'browser'>} stage @param {string} room
 */
async function annAndBob({ hub, browser }, room) {
  const ann = await Visitor.enter(browser, `${hub.address}/#${room}`, 'Ann', { use: 'ws' })
  const bob = await Visitor.enter(browser, `${hub.address}/#${room}`, 'Bob', { use: 'poll' })
  await Promise.all([ann.seesPerson('Bob'), bob.seesPerson('Ann')])
  return { ann, bob }
}

/** @param {...Visitor} visitors */
async function goHome(...visitors) {
  for (const visitor of visitors) {
    visitor.isClean()
    await visitor.leave()
  }
}

tell('the chat page', {
  async 'two people talk, one by WebSocket, one by long polling, and see each other come and go'({ hub, browser }) {
    const ann = await Visitor.enter(browser, `${hub.address}/#talk`, 'Ann', { use: 'ws' })
    await ann.seesCount(1)
    const bob = await Visitor.enter(browser, `${hub.address}/#talk`, 'Bob', { use: 'poll' })
    await ann.seesLine('You entered #talk', 'notice')
    const entered = await ann.seesLine('Bob entered', 'notice')
    assert.ok(Math.abs(Date.parse(entered.time) - Date.now()) < 60_000, 'the notice tells its time')
    await Promise.all([ann.seesCount(2), bob.seesCount(2)])
    assert.deepEqual(await ann.people(), ['Ann', 'Bob'])
    assert.deepEqual(await bob.people(), ['Bob', 'Ann'])

    await ann.say('Hello Bob')
    const heard = await bob.seesLine('Hello Bob')
    assert.equal(heard.nick, 'Ann')
    assert.equal(heard.via, 'LP')
    await bob.say('Hello Ann')
    const answer = await ann.seesLine('Hello Ann')
    assert.equal(answer.nick, 'Bob')
    assert.equal(answer.via, 'WS')
    const own = await ann.seesLine('Hello Bob')
    assert.equal(own.id, heard.id, 'one event, one id, on both transports')
    await Promise.all([ann.shot('talk-ws'), bob.shot('talk-poll')])

    bob.isClean()
    await bob.leave()
    await ann.seesLine('Bob left', 'notice')
    await ann.seesCount(1)
    await ann.seesNoPerson('Bob')
    await goHome(ann)
  },

  async 'server-sent events carry the same talk'({ hub, browser }) {
    const { ann, bob } = await annAndBob({ hub, browser }, 'third')
    const eve = await Visitor.enter(browser, `${hub.address}/#third`, 'Eve', { use: 'sse' })
    await eve.seesPerson('Ann')
    await bob.say('from a poll')
    assert.equal((await eve.seesLine('from a poll')).via, 'SSE')
    await eve.say('from a stream')
    assert.equal((await ann.seesLine('from a stream')).via, 'WS')
    assert.equal((await bob.seesLine('from a stream')).via, 'LP')
    await goHome(eve, bob, ann)
  },

  async 'a private message is seen by the two and by nobody else'({ hub, browser }) {
    const { ann, bob } = await annAndBob({ hub, browser }, 'whispers')
    const eve = await Visitor.enter(browser, `${hub.address}/#whispers`, 'Eve')
    await bob.seesPerson('Eve')
    await ann.choose('Bob')
    assert.match(await ann.textOf('#whisper'), /Only Bob will see this/)
    await ann.say('between us')
    const heard = await bob.seesLine('between us')
    assert.ok(heard.private)
    const own = await ann.seesLine('between us')
    assert.ok(own.private)
    await bob.page.evaluate(() => /** @type {HTMLElement} */ (document.querySelector('.private button.who')).click())
    await bob.say('and back')
    assert.ok((await ann.seesLine('and back')).private)
    await Promise.all([ann.shot('private-ann'), bob.shot('private-bob')])
    await ann.click('#whisper-end')
    await ann.say('to everyone')
    await eve.seesLine('to everyone')
    assert.deepEqual(await eve.texts(), ['to everyone'])
    await bob.click('#whisper-end')
    await bob.say('me too, by the same way')
    assert.equal((await eve.seesLine('me too, by the same way')).nick, 'Bob')
    await bob.isConnected('poll')
    await goHome(eve, bob, ann)
  },

  async 'a file and a picture arrive byte for byte, on every transport'({ hub, browser }) {
    const { ann, bob } = await annAndBob({ hub, browser }, 'files')
    const bytes = Uint8Array.from({ length: 40_000 }, (_, at) => (at * 7 + (at >> 8)) & 255)
    await ann.sendFile('notes, März ✓.bin', bytes)
    await bob.seesLine(/^notes, März ✓\.bin/)
    assert.ok((await bob.save('notes, März ✓.bin')).equals(bytes), 'by long polling')
    const picture = pngOf(160, 90, (x, y) => [x, 90 + y, 160])
    await bob.sendFile('small.png', picture)
    await ann.seesLine(/^small\.png/)
    assert.ok((await ann.save('small.png')).equals(picture), 'by WebSocket')
    const { width, src } = await until('the picture to be drawn', () =>
      ann.page.evaluate(() => {
        const image = /** @type {HTMLImageElement | null} */ (document.querySelector('img.picture'))
        return image?.complete && image.naturalWidth > 0 ? { width: image.naturalWidth, src: image.src } : null
      }))
    assert.equal(width, 160)
    assert.match(src, /^blob:/)
    await goHome(bob, ann)
  },

  async 'a picture over the limit is drawn smaller, and told so'({ hub, browser }) {
    const { ann, bob } = await annAndBob({ hub, browser }, 'large-pictures')
    const large = pngOf(900, 700, (x, y) => [(x * y) % 251, (x * x + y) % 241, (x ^ y) & 255])
    assert.ok(large.length > 64 * 1024)
    await ann.sendFile('photo.png', large)
    await ann.seesLine(/photo\.png was made smaller, from [\d.,]+ [KM]iB to [\d.,]+ KiB/, 'notice')
    const name = (await bob.seesLine(/^photo\./)).text.replace(/(webp|jpg).*/s, '$1')
    assert.ok((await bob.save(name)).length <= 64 * 1024)
    await bob.sees('the picture', () => (document.querySelector('img.picture')?.getAttribute('src') ?? '').startsWith('blob:'))
    await goHome(bob, ann)
  },

  async 'what only calls itself a picture is a file to save, and is never shown'({ hub, browser }) {
    const { ann, bob } = await annAndBob({ hub, browser }, 'false-pictures')
    const drawing = '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(2)</script></svg>'
    await ann.sendFile('drawing.svg', drawing)
    await ann.sendFile('page.html', '<!doctype html><script>alert(3)</script>')
    await bob.seesLine(/^drawing\.svg/)
    await bob.seesLine(/^page\.html/)
    const shown = await bob.page.evaluate(() => [...document.querySelectorAll('#lines img, #lines svg, #lines iframe, #lines object, #lines embed')].length)
    assert.equal(shown, 0)
    assert.equal((await bob.save('drawing.svg')).toString(), drawing)
    await goHome(bob, ann)
  },

  async 'a file too large is refused in plain words, and the talk goes on'({ hub, browser }) {
    const { ann, bob } = await annAndBob({ hub, browser }, 'too-large')
    await ann.sendFile('large.bin', new Uint8Array(70 * 1024))
    await ann.sees('the refusal', () => /too_large/.test(document.querySelector('.failed .failure')?.textContent ?? ''))
    assert.match(await ann.textOf('.failed .failure'), /Too large: this is 70 KiB, and a hub takes up to 64 KiB/)
    await ann.shot('too-large')
    await bob.sendFile('large-too.bin', new Uint8Array(70 * 1024))
    await bob.sees('the refusal', () => /too_large/.test(document.querySelector('.failed .failure')?.textContent ?? ''))
    await ann.say('still here')
    await bob.seesLine('still here')
    await bob.say('me too')
    await ann.seesLine('me too')
    const besides = /413|Payload Too Large|too large/i // the browser's message about the refused POST
    for (const visitor of [bob, ann]) {
      visitor.isClean(besides)
      await visitor.leave()
    }
  },

  async 'changing the way in mid-talk loses nothing and repeats nothing'({ hub, browser }) {
    const { ann, bob } = await annAndBob({ hub, browser }, 'changes')
    /** @type {string[]} */
    const sent = []
    let isChanging = true
    const sending = (async () => {
      while (isChanging && sent.length < SPOKEN_MOST) {
        const text = `line ${sent.length + 1}`
        await hub.publish('changes', JSON.stringify({ text, nick: 'Clock' }), 'application/json')
        sent.push(text)
        await new Promise((done) => setTimeout(done, SPEAK_EVERY_MS))
      }
    })()
    for (const way of /** @type {const} */ (['sse', 'ws', 'poll', 'sse', 'poll', 'ws'])) {
      await bob.use(way)
      await bob.isConnected(way)
      const other = way === 'ws' ? 'poll' : 'ws'
      await ann.use(other)
      await ann.isConnected(other)
    }
    isChanging = false
    await sending
    assert.ok(sent.length > 20, `${sent.length} were said meanwhile`)
    for (const visitor of [ann, bob]) {
      await visitor.seesLine(sent.at(-1) ?? '')
      assert.deepEqual((await visitor.texts()).filter((text) => text.startsWith('line ')), sent)
      assert.deepEqual((await visitor.lines()).filter((line) => line.classes.includes('gap')), [])
      assert.deepEqual((await visitor.lines()).filter((line) => / left$/.test(line.text) && line.kind === 'notice'), [], 'a change of transport is no leave')
    }
    await goHome(bob, ann)
  },

  async 'what a person sends while changing the way arrives once and in order'({ hub, browser }) {
    const { ann, bob } = await annAndBob({ hub, browser }, 'own-changes')
    const sent = Array.from({ length: 24 }, (_, at) => `mine ${at + 1}`)
    for (const [at, text] of sent.entries()) {
      if (at % 6 === 3) await ann.use(/** @type {const} */ (['sse', 'poll', 'ws', 'sse'])[(at - 3) / 6] ?? 'ws')
      await ann.page.evaluate((text) => {
        const field = /** @type {HTMLTextAreaElement} */ (document.querySelector('#text'))
        field.value = text
        field.form?.requestSubmit()
      }, text)
    }
    for (const visitor of [bob, ann]) {
      await visitor.seesLine(sent.at(-1) ?? '')
      await until('every line to be settled', async () => (await visitor.texts()).filter((text) => text.startsWith('mine ')).length >= sent.length)
      assert.deepEqual((await visitor.texts()).filter((text) => text.startsWith('mine ')), sent)
    }
    await goHome(bob, ann)
  },

  async 'the page explains which way it took, and why'({ hub, browser }) {
    const ann = await Visitor.enter(browser, `${hub.address}/#why`, 'Ann', { use: 'poll' })
    await ann.click('#report summary')
    await ann.sees('the report', () => /poll/.test(document.querySelector('#report-text')?.textContent ?? ''))
    assert.match(await ann.textOf('#state'), /Connected by long polling/)
    assert.equal(await ann.textOf('#report-why'), 'Long polling is in use: you chose it.')
    assert.match(await ann.textOf('#report-tries'), /WebSocket \(the first try\): in use after/)
    await ann.shot('report')
    await goHome(ann)
  },

  async 'who comes late reads what was said before'({ hub, browser }) {
    for (let at = 1; at <= 60; at++) await hub.publish('past', `said ${at}`)
    const ann = await Visitor.enter(browser, `${hub.address}/#past`, 'Ann')
    await ann.seesLine('said 60')
    assert.deepEqual(await ann.texts(), Array.from({ length: 50 }, (_, at) => `said ${at + 11}`))
    await goHome(ann)
  },

  async 'rooms are addresses: another one is entered by its link, and the first is left'({ hub, browser }) {
    const { ann, bob } = await annAndBob({ hub, browser }, 'first room')
    await ann.say('here')
    await bob.seesLine('here')
    await ann.fill('#go-room', 'zweites Zimmer/é')
    await ann.page.keyboard.press('Enter')
    await ann.sees('the new room', () => document.querySelector('#room-name')?.textContent === '#zweites Zimmer/é')
    assert.match(await ann.page.url(), /#zweites%20Zimmer%2F%C3%A9$/)
    await bob.seesLine('Ann left', 'notice')
    await ann.seesCount(1)
    assert.deepEqual(await ann.texts(), [])
    await ann.say('alone here')
    await ann.seesLine('alone here')
    await ann.click('#rooms a:not([aria-current])')
    await ann.seesLine('here')
    await ann.seesPerson('Bob')
    assert.deepEqual(await bob.texts(), ['here'])
    await goHome(bob, ann)
  },

  async 'a hub that was killed and came back is told as a gap, and the talk goes on'({ browser }) {
    const own = await Hub.start([])
    const { port } = own
    const ann = await Visitor.enter(browser, `${own.address}/#restart`, 'Ann', { use: 'ws' })
    await ann.say('before')
    await ann.seesLine('before')
    await own.stop('SIGKILL')
    await ann.sees('the loss of the hub', () => document.documentElement.dataset.state !== 'connected')
    await ann.shot('reconnecting')
    const next = await Hub.start([], `127.0.0.1:${port}`)
    try {
      await ann.isConnected()
      await ann.seesLine(/Some messages are missing here: the hub was restarted/, 'notice')
      await ann.say('after')
      await ann.seesLine('after')
      assert.deepEqual(await ann.texts(), ['before', 'after'])
      assert.equal((await ann.lines()).filter((line) => line.classes.includes('gap')).length, 1, 'one hole is told once')
      await ann.shot('gap')
      await ann.leave()
    } finally {
      await next.stop()
    }
  },
})
