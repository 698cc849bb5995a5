/** Items 7 and 8: data that cannot be sent is refused by the call, and no value silently turns into another one. */
import { rule, subject } from './world.js'

subject('data that JSON would change')

rule(8, 'what has a right JSON arrives as JSON says', async (t) => {
  class Point {
    x = 1
    #y = 2
  }
  const shared = { a: 1 }
  const good = [
    null, true, false, 0, 1.5, 1e21, '', 'text', '\u0000\u2028"\\</script>', 'ü✓😀', [], {}, [[[]]], [1, undefined, 2], { a: undefined, b: 1 }, [null],
    new Date(86_400_000), { at: new Date(0), list: [new Date(1)] }, { toJSON: () => 'mine' }, { deep: { toJSON: (key) => ({ key }) } }, new Point(), [new Point()],
    Object.create(null), Object.assign(Object.create(null), { a: 1 }), Object.freeze({ a: 1 }), { twice: [shared, shared] }, JSON.parse('{"__proto__":{"a":1}}'), { constructor: 1, toString: 2 },
    new Proxy({ a: 1 }, {}), [undefined], new URL('http://x.example/a'), { '': 1, 'a b': 2 }, Array.from({ length: 500 }, (_, n) => ({ n })),
  ]
  const hub = t.connect()
  const channel = hub.channel(t.room())
  const heard = t.heard(channel)
  // The first ones are published before hello.
  const early = good.slice(0, 6).map((data) => channel.publish(data))
  await t.within(hub.ready, 5000, 'ready')
  await Promise.all(early)
  await t.until(() => t.readers(channel.name), 'it is read')
  heard.length = 0
  for (const data of good) channel.publish(data).catch((error) => t.notes.push(`${JSON.stringify(data)}: ${error.code} ${error.message}`))
  await t.within(channel.publish('end'), 8000, 'the last one')
  await t.until(() => heard.includes('end'), () => `heard ${heard.length} of ${good.length}; ${t.notes}`)
  t.is(heard, [...good.map((data) => JSON.parse(JSON.stringify(data))), 'end'], 'all of them')
})

rule(8, 'publish without data is null, and undefined is what JSON makes of it', async (t) => {
  const hub = await t.ready()
  const channel = hub.channel(t.room())
  const heard = t.heard(channel)
  await t.until(() => t.readers(channel.name), 'it is read')
  await t.within(channel.publish(), 4000, 'publish()')
  await t.until(() => heard.length, 'it is heard')
  t.is(heard, [null], 'null')
})

rule(8, 'what JSON would silently change is refused with bad_data, and nothing arrives', async (t, phase) => {
  const circle = {}
  circle.self = circle
  const bad = {
    Map: new Map([[1, 2]]), Set: new Set([1]), WeakMap: new WeakMap(), WeakSet: new WeakSet(), BigInt: 10n, boxedBigInt: Object(10n), function: () => 1, class: class {}, async: async () => 1, symbol: Symbol('x'),
    stream: new ReadableStream(), writable: new WritableStream(), transform: new TransformStream(), promise: Promise.resolve(1), generator: (function* () {})(), iterator: [1].values(), mapIterator: new Map().entries(),
    regExp: /x/, error: new Error('x'), params: new URLSearchParams('a=1'), form: new FormData(), headers: new Headers({ a: '1' }), request: new Request('http://x.example/'), response: new Response('x'),
    circle, NaN: NaN, infinity: Infinity, minus: -Infinity, weakRef: new WeakRef({}), signal: new AbortController().signal, target: new EventTarget(), intl: new Intl.NumberFormat(), proxied: new Proxy(new Map(), {}),
    throwing: { toJSON() { throw new Error('no') } }, getter: { get a() { throw new Error('no') } }, toBigInt: { toJSON: () => 10n }, toMap: { toJSON: () => new Map() }, subMap: new (class extends Map {})(),
  }
  const bytes = { ArrayBuffer: new ArrayBuffer(3), view: new Uint8Array(3), float: new Float64Array(1), dataView: new DataView(new ArrayBuffer(2)), blob: new Blob(['x']) }
  const nested = [(data) => ({ deep: [{ data }] }), (data) => [data], (data) => ({ a: { toJSON: () => ({ data }) } })]
  const hub = phase === 'later' ? await t.ready() : t.connect()
  const channel = hub.channel(t.room())
  const heard = t.heard(channel)
  for (const [name, data] of Object.entries(bad)) await t.rejects(channel.publish(data), 'bad_data', `${phase}: ${name}`)
  for (const wrap of nested) {
    for (const [name, data] of Object.entries({ ...bad, ...bytes })) await t.rejects(channel.publish(wrap(data)), 'bad_data', `${phase}: nested ${name}`)
  }
  await t.within(hub.ready, 5000, 'ready')
  await t.until(async () => (await channel.publish('marker')) && heard.length, 'the marker')
  t.is([...new Set(heard)], ['marker'], 'nothing else arrived')
}, { cases: ['before hello', 'later'] })

rule(8, 'bytes of every kind arrive as bytes, in the order of the calls', async (t) => {
  const base = Uint8Array.from({ length: 256 }, (_, at) => at)
  const kinds = {
    buffer: base.buffer, empty: new ArrayBuffer(0), view: base, slice: base.subarray(10, 20), clamped: new Uint8ClampedArray([1, 300]), signed: new Int8Array([-1, 1]), wide: new Uint16Array([1, 2]).subarray(1),
    float: new Float64Array([1.5]), big: new BigInt64Array([5n]), dataView: new DataView(base.buffer, 5, 7), blob: new Blob([base, 'ü']), typed: new Blob(['<a>'], { type: 'text/html' }), emptyBlob: new Blob([]),
    part: new Blob([base]).slice(3, 9), file: new File([base], 'a.png'), large: new Blob([new Uint8Array(60_000).fill(7)]), ...(globalThis.Buffer && { node: Buffer.from('bytes') }),
  }
  const expected = await Promise.all(Object.values(kinds).map(async (data) => [...new Uint8Array(await new Blob([data]).arrayBuffer())]))
  const hub = await t.ready()
  const channel = hub.channel(t.room())
  const heard = []
  channel.addEventListener('message', ({ data, name }) => name === 'count' || heard.push(data instanceof ArrayBuffer ? [...new Uint8Array(data)] : data))
  await t.until(() => t.readers(channel.name), 'it is read')
  const answers = []
  for (const [name, data] of Object.entries(kinds)) answers.push(channel.publish(data), channel.publish('after ' + name))
  await t.within(Promise.all(answers), 8000, 'all are answered')
  await t.until(() => heard.length >= answers.length, () => `heard ${heard.length} of ${answers.length}`)
  t.is(heard, expected.flatMap((bytes, at) => [bytes, 'after ' + Object.keys(kinds)[at]]), 'in the order of the calls')
})

rule(8, 'bytes are those of the moment of the call', async (t) => {
  const hub = t.connect()
  const channel = hub.channel(t.room(), { since: 'all' })
  const heard = []
  channel.addEventListener('message', ({ data }) => heard.push(data instanceof ArrayBuffer ? [...new Uint8Array(data)] : data))
  const bytes = new Uint8Array([1, 2, 3])
  const object = { n: 1 }
  const answers = [channel.publish(bytes), channel.publish(bytes.buffer), channel.publish(object)]
  bytes.fill(9)
  object.n = 2
  await t.within(Promise.all(answers), 8000, 'answered')
  await t.until(() => heard.length >= 3, () => JSON.stringify(heard))
  t.is(heard, [[1, 2, 3], [1, 2, 3], { n: 1 }], 'what was given')
  const gone = new ArrayBuffer(3)
  structuredClone(gone, { transfer: [gone] })
  await t.rejects(channel.publish(gone), 'bad_data', 'a buffer that was transferred away')
})

rule(8, 'values of another realm are what they are there', async (t) => {
  let foreign
  if (globalThis.document) {
    const frame = document.createElement('iframe')
    document.body.append(frame)
    foreign = frame.contentWindow
  } else if (globalThis.process?.versions?.node) {
    const { createContext, runInContext } = await import('node:vm')
    const context = createContext({})
    foreign = new Proxy({}, { get: (_, name) => runInContext(`globalThis.${String(name)}`, context) })
  } else return
  const channel = (await t.ready()).channel(t.room())
  const heard = []
  channel.addEventListener('message', ({ data, name }) => name === 'count' || heard.push(data instanceof ArrayBuffer ? [...new Uint8Array(data)] : data))
  await t.until(() => t.readers(channel.name), 'it is read')
  const bytes = new foreign.Uint8Array([1, 2, 3])
  const good = [bytes, bytes.buffer, new foreign.DataView(bytes.buffer, 1), new foreign.Date(0), new foreign.Array(1, 2), new foreign.Object()]
  if (foreign.Blob) good.push(new foreign.Blob(['abc']))
  await t.within(Promise.all(good.map((data) => channel.publish(data))), 6000, 'answered')
  await t.until(() => heard.length >= good.length, () => JSON.stringify(heard))
  t.is(heard, [[1, 2, 3], [1, 2, 3], [2, 3], '1970-01-01T00:00:00.000Z', [1, 2], {}, ...(foreign.Blob ? [[97, 98, 99]] : [])], 'good ones')
  for (const data of [new foreign.Map(), new foreign.Set(), new foreign.RegExp('x'), [new foreign.Map()], { bytes }]) await t.rejects(channel.publish(data), 'bad_data', 'a bad one')
}, { seats: ['page', 'worker'] })

rule(8, 'objects of the page are refused, and not sent as {}', async (t) => {
  const channel = (await t.ready()).channel(t.room())
  const bad = [globalThis, document.body, document, new Image(), new Event('x'), document.querySelectorAll('*'), new MessageChannel().port1, navigator, new ImageData(1, 1), { node: document.body }]
  for (const [at, data] of bad.entries()) await t.rejects(channel.publish(data), 'bad_data', `object ${at}`)
  t.ok((await t.within(channel.publish(1), 4000, 'the next')).id, 'the next publish')
}, { node: false, seats: ['page'] })

rule(8, 'a Blob that cannot be read is a refusal of that one publish', async (t) => {
  const hub = await t.ready()
  const channel = hub.channel(t.room())
  const broken = new Blob(['x'])
  for (const name of ['arrayBuffer', 'stream', 'bytes', 'text']) Object.defineProperty(broken, name, { value: () => Promise.reject(new Error('the file is gone')) })
  const answers = [channel.publish('before'), channel.publish(broken).then(() => 'sent', (error) => error), channel.publish('after')]
  const [before, middle, after] = await t.within(Promise.all(answers), 6000, 'all settle')
  t.ok(before.id && after.id, 'those around it are answered')
  if (middle !== 'sent' && !middle.id) t.isReport(middle, 'bad_data', 'the broken one')
})

subject('info and the building of requests')

rule(7, 'info that cannot be sent is refused at the call', async (t) => {
  const circle = {}
  circle.self = circle
  const bad = [{ id: 10n }, 10n, circle, { f() {} }, () => 1, Symbol('x'), { m: new Map() }, new Map(), new Set(), { a: [new Uint8Array(2)] }, new ArrayBuffer(2), new Blob(['x']), { toJSON() { throw new Error('no') } }, { get a() { throw new Error('no') } }, { n: NaN }, { p: Promise.resolve() }, /x/]
  for (const [at, info] of bad.entries()) t.throws(() => t.connect({ info }), ['bad_option', 'bad_data'], `info ${at}`)
  for (const info of ['x'.repeat(1100), { text: 'ü'.repeat(600) }, { text: '"'.repeat(600) }]) t.throws(() => t.connect({ info }), ['too_large', 'bad_option', 'bad_data'], 'info beyond 1 KiB')
})

rule(7, 'info that JSON can say is shown as JSON says it', async (t) => {
  const good = [{ at: new Date(0), none: undefined, list: [undefined] }, 'text', 42, null, [1], { toJSON: () => ({ mine: 1 }) }, { name: 'Ü ✓ & = ? # %' }, { text: 'x'.repeat(1000) }]
  for (const info of good) {
    const hub = t.connect({ info })
    const room = hub.channel(t.room(), { presence: true })
    await t.within(hub.ready, 5000, 'ready')
    const [member] = await t.until(async () => {
      const list = await room.members()
      return list.length && list
    }, 'a member')
    t.is(member.info, JSON.parse(JSON.stringify(info)), 'info')
    hub.close()
  }
  const late = { name: 'Ann' }
  const hub = t.connect({ info: late })
  late.name = 10n
  const room = hub.channel(t.room(), { presence: true })
  await t.within(hub.ready, 5000, 'info is that of the call')
  t.is((await t.until(async () => (await room.members())[0], 'a member')).info, { name: 'Ann' }, 'info is that of the call')
}, { seats: ['page', 'worker', 'shared'] })

rule(7, 'nothing thrown while a request is built can loop: it is reported, and asked for with pauses', async (t) => {
  let asked = 0
  const broken = {
    fetch: () => {
      asked++
      throw new TypeError('built wrongly')
    },
    WebSocket: class {
      constructor() {
        asked++
        throw new SyntaxError('built wrongly')
      }
    },
  }
  const hub = t.connect(broken)
  hub.channel(t.room(), { presence: true })
  let turns = 0
  const heart = setInterval(() => turns++, 10)
  await t.observe(2000)
  clearInterval(heart)
  // A hidden page gets one turn per second.
  t.ok(turns > (globalThis.document?.hidden ? 0 : 60), `the thread was free: ${turns} turns of 200`)
  t.ok(asked > 0 && asked < 100, `asked ${asked} times in 2 s`)
  t.ok(hub.state !== 'connected', 'state')
  hub.close()
  const after = asked
  await t.observe(300)
  t.ok(asked - after <= 1, 'nothing after the end')
}, { seats: ['page', 'worker', 'shared'] })

rule(7, 'no loop walks a collection that it grows: listeners that open and close', async (t) => {
  const hub = await t.ready()
  const room = t.room()
  let opened = 0
  const open = () => {
    // Chromium allows about forty nested listeners.
    if (++opened > 30) return
    const handle = hub.channel(room)
    handle.addEventListener('close', open)
    handle.close()
  }
  open()
  const many = hub.channel(room)
  many.addEventListener('message', () => {
    for (let at = 0; at < 3; at++) hub.channel(room).addEventListener('message', () => {})
  })
  const heard = t.heard(many)
  await t.until(async () => (await t.post(room, 1)) && heard.length, 'it is heard')
  hub.addEventListener('state', () => hub.channel(t.room()))
  hub.close()
  await t.within(hub.closed, 3000, 'the end')
  t.is(opened, 31, 'so many were opened')
})
