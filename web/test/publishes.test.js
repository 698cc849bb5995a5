/** Publishes keep their keys and are settled, whatever happens on their path. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Outbox } from '../outbox.js'

/** Returns an outbox whose requests get the responses of the test. @param {(path: string, given: any) => any} answer */
function outbox(answer, more = {}) {
  const sent = []
  const requests = {
    address: (path, query) => path + '?' + new URLSearchParams(query),
    command: async (commands) => answer('send', sent[sent.push(...JSON.parse(commands)) - 1]),
    request: async (path, query) => answer(path, sent[sent.push({ ...query, path }) - 1]),
  }
  const told = []
  const box = new Outbox({ requests, timeoutMs: 5000, transport: () => 'sse', isHubThere: async () => true, report: (fact) => told.push(fact), problem: () => undefined, isShared: false, ...more })
  return { box, sent, told }
}

const command = (data, sizeBefore = 0) => ({ head: '"type":"publish","channel":"a"', data, sizeBefore })
const one = { member: '"data":1', size: 1 }
const hung = () => {
  throw Object.assign(new Error('hung'), { kind: 'hung' })
}

for (const isShared of [false, true]) {
  test(`a publish that moves from POST to GET keeps its key, ${isShared ? 'its own' : 'a number'}`, async () => {
    const { box, sent, told } = outbox((path) => (path === 'send' ? hung() : path === 'pub' ? { id: 'e-1' } : {}), { isShared })
    box.setRoute(true, 's1')
    await box.publish(command(one))
    const keys = sent.filter(({ key }) => key).map(({ key }) => key)
    assert.equal(keys.length, 2)
    assert.equal(keys[0], keys[1])
    assert.equal(keys[0].startsWith('s1:'), !isShared)
    assert.deepEqual(told, ['blocked'])
  })
}

test('what was sent is for the hub to refuse, also where the hub takes less since then', async () => {
  const { box } = outbox(() => [])
  const sent = []
  box.setRoute((json) => sent.push(json), 's1')
  const answer = box.publish(command({ member: '"data":1', size: 60_000 }))
  box.setRoute(undefined)
  box.limits = { data: 1000, address: 4096 }
  box.setRoute((json, onReply) => {
    sent.push(json)
    onReply({ ok: false, error: { code: 'too_large', status: 413, hint: 'less' } })
  })
  await assert.rejects(answer, { code: 'too_large' })
  assert.equal(sent.length, 2)
  assert.equal(sent[0], sent[1])
})

for (const [word, ms] of [['ahead', 3_600_000], ['back', -3_600_000]]) {
  test(`a clock that is set ${word} by an hour ends no publish, and keeps none`, async (t) => {
    let isBack = false
    const { box } = outbox(() => (isBack ? [{ ok: true, id: 'e-1' }] : hung()), { timeoutMs: 1500, isHubThere: async () => false })
    const now = Date.now.bind(Date)
    box.setRoute(true, 's1')
    const kept = box.publish(command(one))
    t.mock.method(Date, 'now', () => now() + ms)
    const began = performance.now()
    const lost = box.publish(command(one))
    isBack = true
    box.setRoute(true, 's1')
    await kept
    isBack = false
    box.setRoute(undefined)
    await Promise.allSettled([lost, box.publish(command(one)).catch(({ code }) => assert.match(code, /unreachable|hung/))])
    const tookMs = performance.now() - began
    assert.ok(tookMs > 1000 && tookMs < 4000, `${tookMs} ms`)
  })
}

test('a publish with its own key is not sent again after so long a sleep that the hub may have forgotten the key', async (t) => {
  const { box } = outbox(() => [], { isShared: true, timeoutMs: 600_000 })
  const sent = []
  const now = Date.now.bind(Date)
  box.setRoute((json) => sent.push(json), 's1')
  const answer = box.publish(command(one))
  box.setRoute(undefined)
  t.mock.method(Date, 'now', () => now() + 300_000)
  box.setRoute((json) => sent.push(json), 's1')
  await assert.rejects(answer, { code: 'unreachable', hint: /may have acted/ })
  assert.equal(sent.length, 1)
})

test('an error of an outage that is over is no reason of the next one', async () => {
  let answer = () => hung()
  const { box } = outbox(() => answer(), { timeoutMs: 1500, isHubThere: async () => false })
  box.setRoute(true, 's1')
  answer = () => {
    throw Object.assign(new Error('draining'), { kind: 'passing', code: 'draining' })
  }
  await assert.rejects(box.publish(command(one)), { code: 'draining' })
  answer = () => [{ ok: true, id: 'e-1' }]
  await box.publish(command(one))
  box.setRoute(undefined)
  await assert.rejects(box.publish(command(one)), { code: 'unreachable' })
})

test('what waits for its channel counts with its size', async () => {
  const { box } = outbox(() => [])
  const waits = () => command(new Promise(() => {}), 60_000)
  const errors = []
  for (let n = 0; n < 200; n++) box.publish(waits()).catch(({ code }) => errors.push(code))
  await new Promise(setImmediate)
  assert.equal(errors.length, 200 - Math.floor((8 * 1024 * 1024) / 60_000))
  assert.ok(errors.every((code) => code === 'queue_full'))
})
