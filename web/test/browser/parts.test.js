/**
 * The pure parts of the chat page, without a browser: names, the frame of a file, and which bytes are a picture.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HEAD_BYTES, packFile, safeFileName, unpackFile } from '../../chat/files.js'
import { cleanNickname, fragmentOf, keepNickname, keepRoom, keptNickname, NICKNAME_LENGTH, roomOf, roomRefusal, ROOMS_KEPT } from '../../chat/names.js'
import { pictureIn } from '../../chat/pictures.js'
import { causeText, whyText } from '../../chat/why.js'
import { gapText, refusalText, sizeText } from '../../chat/words.js'

const bytesOf = (/** @type {string} */ text) => new TextEncoder().encode(text)

test('a file keeps its bytes and its name', () => {
  const bytes = Uint8Array.from({ length: 300 }, (_, at) => at & 255)
  const { head, bytes: back } = unpackFile(packFile({ file: 'a\nb "c".txt', nick: 'Ann', ref: '1-2' }, bytes))
  assert.deepEqual(back, bytes)
  assert.deepEqual(head, { file: 'ab _c_.txt', nick: 'Ann', ref: '1-2' })
})

test('an empty file is a file', () => {
  assert.equal(unpackFile(packFile({ file: 'x', nick: '', ref: '' }, new Uint8Array())).bytes.length, 0)
})

test('bytes without a head of ours are kept whole', () => {
  for (const text of ['', 'no line feed', '\n', '{}\nx', '[1]\nx', 'null\nx', '{"file":5}\nx', '{"file":"a"', `{"file":"${'a'.repeat(HEAD_BYTES)}"}\nx`, '\xff\n']) {
    const bytes = bytesOf(text)
    const { head, bytes: back } = unpackFile(bytes.buffer)
    assert.deepEqual([head.file, back.length], ['bytes.bin', bytes.length], text.slice(0, 20))
  }
})

test('a file name cannot leave its folder, hide, or turn round', () => {
  assert.equal(safeFileName('../../etc/passwd'), '_.._etc_passwd')
  assert.equal(safeFileName('C:\\x\\y.txt'), 'C_x_y.txt')
  assert.equal(safeFileName('photo\u202Egnp.exe'), 'photognp.exe')
  assert.equal(safeFileName('.bashrc'), 'bashrc')
  assert.equal(safeFileName('a. . '), 'a')
  for (const nothing of ['', '..', '\u0000\n', ' . ']) assert.equal(safeFileName(nothing), 'file.bin')
  const long = safeFileName(`${'長'.repeat(500)}.jpeg`)
  assert.ok([...long].length === 100 && long.endsWith('.jpeg'), long)
})

test('a nickname is one visible line of bounded length', () => {
  assert.equal(cleanNickname('  Ann \n\t Lee '), 'Ann Lee')
  assert.equal(cleanNickname('\u202eevil\u0000'), 'evil')
  assert.equal([...cleanNickname('😀'.repeat(99))].length, NICKNAME_LENGTH)
  assert.equal(cleanNickname('👩‍👩‍👧'), '👩‍👩‍👧')
  assert.equal(cleanNickname('می‌خواهم'), 'می‌خواهم')
  assert.equal(cleanNickname(`a${'\u0335'.repeat(50)}b`), `a${'\u0335'.repeat(4)}b`)
  for (const nothing of [undefined, null, 5, {}, '', '\u200b\u2066']) assert.equal(cleanNickname(nothing), '')
})

test('rooms are read from the address, and written into it', () => {
  assert.equal(roomOf(''), 'lobby')
  assert.equal(roomOf('#'), 'lobby')
  assert.equal(roomOf('#a%20b'), 'a b')
  assert.equal(roomOf('#100%'), '100%')
  for (const room of ['lobby', 'ü/ö', '<b>', '100%', '日本']) assert.equal(roomOf(fragmentOf(room)), room)
})

test('names that no channel may have are refused before they are asked for', () => {
  for (const room of ['', 'a,b', 'a\nb', '$presence/x', '@me', 'é'.repeat(65), '\ud800']) assert.notEqual(roomRefusal(room), '', room)
  for (const room of ['lobby', 'é'.repeat(64), 'a/b', 'a b', '<b>']) assert.equal(roomRefusal(room), '', room)
})

test('a tab keeps its own name, a browser the last one, and no store is needed', () => {
  const tab = storeOf()
  const other = storeOf()
  const browser = storeOf()
  keepNickname(tab, browser, 'Ann')
  keepNickname(other, browser, 'Bob')
  assert.equal(keptNickname(tab, browser), 'Ann')
  assert.equal(keptNickname(storeOf(), browser), 'Bob')
  const none = () => {
    throw new Error('storage is off')
  }
  keepNickname(none, none, 'Ann')
  assert.equal(keptNickname(none, none), '')
})

test('the last rooms are kept, newest first and bounded', () => {
  const browser = storeOf()
  for (let at = 0; at < ROOMS_KEPT + 3; at++) keepRoom(browser, `r${at}`)
  const rooms = keepRoom(browser, 'r9')
  assert.equal(rooms[0], 'r9')
  assert.equal(rooms.length, ROOMS_KEPT)
  assert.equal(new Set(rooms).size, ROOMS_KEPT)
})

test('pictures are known by their first bytes, with their size', () => {
  const picture = (/** @type {string} */ base64) => pictureIn(Buffer.from(base64, 'base64'))
  assert.deepEqual(picture('iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mPgjlmLFTEMLQkAzc5FAaNs8JMAAAAASUVORK5CYII='), { type: 'image/png', width: 8, height: 8 })
  assert.deepEqual(picture('R0lGODlhAQACAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAIAAAICBAoAOw=='), { type: 'image/gif', width: 1, height: 2 })
  const jpeg = Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0, 0xff, 0xff, 0xc2, 0, 17, 8, 0, 3, 0, 5, 3, 0, 0, 0])
  assert.deepEqual(pictureIn(jpeg), { type: 'image/jpeg', width: 5, height: 3 })
  const lossless = Buffer.concat([Buffer.from('RIFF\0\0\0\0WEBPVP8L\0\0\0\0', 'latin1'), Buffer.from([0x2f, 0x06, 0xc0, 0x01, 0]), Buffer.alloc(10)])
  assert.deepEqual(pictureIn(lossless), { type: 'image/webp', width: 7, height: 8 })
})

test('what is no such picture is none, however it begins', () => {
  for (const text of ['', '<svg xmlns="http://www.w3.org/2000/svg">', '<!doctype html>', 'GIF89a', 'BM', '\u0000\u0000\u0000 ftypavif']) assert.equal(pictureIn(bytesOf(text)), null)
  const huge = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAgAAAAI', 'base64')
  assert.deepEqual(pictureIn(huge)?.width, 8)
  huge.writeUInt32BE(100_000, 16)
  huge.writeUInt32BE(100_000, 20)
  assert.equal(pictureIn(huge), null, 'more pixels than are shown')
  // The search ends at a JPEG whose segments lead nowhere, whatever lengths they state.
  for (const tail of [[0xff, 0xe0, 0, 0], [0xff, 0xe0, 0xff, 0xff], [0xff, 0xff, 0xff, 0xff], [0, 0, 0, 0]]) {
    assert.equal(pictureIn(Buffer.from([0xff, 0xd8, 0xff, ...tail.slice(1), ...Array(20).fill(0)])), null)
  }
})

test('refusals, gaps and sizes are told in words', () => {
  assert.match(refusalText({ code: 'too_large', hint: 'raise --max-data' }, 70 * 1024, 64 * 1024), /70 KiB.*64 KiB.*raise --max-data.*\(too_large\)/)
  assert.match(refusalText({ code: 'odd', hint: 'do that' }, 0, 0), /do that \(odd\)/)
  assert.equal(refusalText(null, 0, 0), 'It could not be sent.')
  assert.match(gapText('evicted'), /history is full/)
  assert.match(gapText('else'), /else/)
  assert.equal(sizeText(1), '1 byte')
})

test('the report is told in sentences, and a reason unknown here is told as it is', () => {
  const at = Date.now()
  const tries = [
    { transport: /** @type {const} */ ('ws'), at, why: 'start', failedMs: 40, failed: 'refused', endedMs: 40, ended: 'refused' },
    { transport: /** @type {const} */ ('sse'), at, why: 'ws:refused', helloMs: 20, carriedMs: 1200 },
  ]
  const told = whyText({ state: 'connected', transport: 'sse', why: 'ws:refused', tries, learned: { ws: { until: at + 60_000 }, sse: {} } })
  assert.match(told.headline, /^Server-Sent Events is in use: WebSocket was refused\. WebSocket failed on this network, so it comes last until /)
  assert.deepEqual(told.tries.map(({ text }) => text), ['Server-Sent Events (WebSocket was refused): in use after 1.2 s', 'WebSocket (the first try): was refused after 40 ms'])
  assert.equal(whyText({ state: 'reconnecting', transport: null, why: '', tries: [] }).headline, 'No way is in use at the moment.')
  assert.equal(causeText('asked'), 'you chose it')
  assert.equal(causeText('poll:http_502'), 'Long polling was answered with status 502')
  assert.equal(causeText('ws:odd'), 'WebSocket ended (odd)')
  assert.equal(causeText('new'), 'new')
})

/** Returns a store that exists only in this test. */
function storeOf() {
  const map = new Map()
  const store = /** @type {Storage} */ (/** @type {unknown} */ ({
    getItem: (/** @type {string} */ key) => map.get(key) ?? null,
    setItem: (/** @type {string} */ key, /** @type {string} */ value) => map.set(key, value),
  }))
  return () => store
}
