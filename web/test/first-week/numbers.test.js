/** Item 14: an event offers its raw text, and `connect` accepts a reviver. */
import { rule, subject } from './world.js'

subject('numbers and raw text')

rule(14, 'event.text is the text of the data, digit for digit, live and from the history', async (t) => {
  const room = t.room()
  const texts = ['9007199254740993', '-9007199254740993', '12345678901234567890123456789', '{"id":9007199254740993,"list":[18446744073709551615]}', '1.10', '1e400', '-0', '0.1000000000000000055511151231257827', '"text"', '"with \\"quotes\\" and \\\\ and }]"', 'null', 'true', '[]', '{}', '{"data":{"data":9007199254740993},"type":"event","id":"x-1"}', '"{\\"data\\":1}"', '{"a":1,"a":9007199254740993}', '[1,[2,[3,{"x":9007199254740995}]]]', '"ü✓😀"', '{ "spaced" : [ 1 , 2 ] }']
  for (const raw of texts.slice(0, 10)) await t.post(room, 0, { raw })
  const hub = t.connect()
  const channel = hub.channel(room, { since: 'all' })
  const events = []
  channel.addEventListener('message', (event) => event.name === 'count' || events.push(event))
  await t.within(hub.ready, 5000, 'ready')
  await t.until(() => events.length >= 10, () => `history: ${events.length}`)
  for (const raw of texts.slice(10)) await t.post(room, 0, { raw })
  await t.until(() => events.length >= texts.length, () => `live: ${events.length}`)
  t.is(events.map(({ text }) => text), texts, 'texts')
  t.is(events.map(({ data }) => data), texts.map((text) => JSON.parse(text)), 'data without a reviver')
})

rule(14, 'a burst in one answer, and texts around cuts, are each the right one', async (t) => {
  const room = t.room()
  const hub = await t.ready()
  const channel = hub.channel(room)
  const texts = []
  channel.addEventListener('message', ({ text, name }) => name === 'count' || texts.push(text))
  await t.until(() => t.readers(room), 'it is read')
  const said = Array.from({ length: 60 }, (_, n) => `{"n":${9_007_199_254_740_992n + BigInt(n)},"data":"},{\\"data\\":${n}"}`)
  for (const [at, raw] of said.entries()) {
    await t.post(room, 0, { raw })
    if (at === 30) await t.ask('cut')
  }
  await t.until(() => texts.length >= said.length, () => `heard ${texts.length}`)
  t.is(texts, said, 'texts')
})

rule(14, 'bytes have no text; what this client publishes has the text that it sent', async (t) => {
  const room = t.room()
  const hub = await t.ready()
  const channel = hub.channel(room)
  const events = []
  channel.addEventListener('message', (event) => event.name === 'count' || events.push(event))
  await t.until(() => t.readers(room), 'it is read')
  await channel.publish(new Uint8Array([1, 2]))
  await channel.publish({ a: [1, 'x'] })
  await t.post(room, [0, 255, 10], { raw: [0, 255, 10], type: 'application/octet-stream' })
  await t.until(() => events.length >= 3, 'all three')
  t.is(events.map(({ text }) => text ?? null), [null, '{"a":[1,"x"]}', null], 'texts')
  t.is([events[0].data, events[2].data].map((data) => [...new Uint8Array(data)]), [[1, 2], [0, 255, 10]], 'bytes')
})

rule(14, 'a reviver gets what JSON.parse would give it, on every way that data comes', async (t) => {
  const room = t.room()
  await t.post(room, { at: '1970-01-01T00:00:00.000Z', list: ['$big:9007199254740993'] })
  const seen = []
  const reviver = function (key, value) {
    seen.push(key)
    if (this === undefined) throw new Error('no holder')
    if (typeof value === 'string' && value.startsWith('$big:')) return BigInt(value.slice(5))
    return key === 'at' ? new Date(value).getTime() : value
  }
  const hub = t.connect({ reviver })
  const channel = hub.channel(room, { since: 'all' })
  const heard = t.heard(channel)
  await t.within(hub.ready, 5000, 'ready')
  await t.until(() => heard.length === 1, 'the history')
  await t.post(room, [{ at: '1970-01-01T00:00:01.000Z' }])
  await t.until(() => heard.length === 2, 'live')
  t.is(heard, [{ at: 0, list: [9007199254740993n] }, [{ at: 1000 }]], 'revived')
  t.ok(!seen.some((key) => ['session', 'magic', 'heartbeat', 'channel', 'reached'].includes(key)), `it sees data alone: ${[...new Set(seen)]}`)
  t.is(seen.filter((key) => key === '').length, 2, 'once for each event')
})

rule(14, 'a reviver that throws is reported, ends nothing, and loses only that event', async (t) => {
  const room = t.room()
  const hub = await t.ready({ reviver: (key, value) => { if (value === 'poison') throw new Error('no such value'); return value } })
  const channel = hub.channel(room)
  const heard = t.heard(channel)
  await t.until(() => t.readers(room), 'it is read')
  const transports = t.events(hub, 'transport')
  const report = t.reported((watch) => (watch(hub), void watch(channel)), 'it is reported')
  await t.post(room, 'before')
  await t.post(room, ['poison'])
  await t.post(room, 'after')
  await report
  await t.until(() => heard.includes('after'), () => `what follows is heard: ${heard}`)
  t.is(heard.filter((data) => typeof data === 'string'), ['before', 'after'], 'what was heard')
  t.is(transports.length, 0, 'nothing was cut')
})
