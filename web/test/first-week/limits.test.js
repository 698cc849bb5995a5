/**
 * Item 9: hello states the limits. Every legal payload passes on every transport, and only the oversized one is
 * refused.
 */
import { rule, subject } from './world.js'

subject('limits')

rule(9, 'what is too large is refused before it is sent, and nothing is cut', async (t, phase) => {
  const hub = phase === 'later' ? await t.ready() : t.connect()
  const channel = hub.channel(t.room())
  const heard = t.heard(channel)
  const large = ['x'.repeat(200_000), 'x'.repeat(65_537), 'é'.repeat(32_769), '"'.repeat(65_537), { text: 'x'.repeat(65_530) }, Array(40_000).fill(1), new Uint8Array(65_537), new Uint8Array(500_000).buffer, new Blob([new Uint8Array(65_537)]), 'x'.repeat(9_000_000)]
  const answers = large.map((data) => channel.publish(data).then(() => 'sent', (error) => error))
  const small = channel.publish('small')
  await t.within(hub.ready, 5000, 'ready')
  for (const [at, answer] of answers.entries()) {
    const error = await t.within(answer, 5000, `too large, number ${at}`)
    t.ok(error !== 'sent', `number ${at} was sent`)
    // The queue before hello has its own limit.
    t.isReport(error, at === large.length - 1 ? ['too_large', 'queue_full'] : 'too_large', `number ${at}`)
  }
  t.ok((await t.within(small, 5000, 'the small one')).id, 'the small one')
  await t.until(async () => (await t.within(channel.publish('again'), 5000, 'again')) && heard.includes('again'), 'later ones pass')
  // The second round must not cut or open any connection.
  const transports = t.events(hub, 'transport', 'state')
  const attaches = `^(ws|sse) `
  const before = await t.ask('asked', attaches)
  for (const data of ['x'.repeat(200_000), new Uint8Array(200_000)]) await t.rejects(channel.publish(data), 'too_large', 'the second round')
  t.ok((await t.within(channel.publish('last'), 5000, 'the last')).id, 'the last')
  t.is((await t.ask('asked', attaches)) - before, 0, 'attaches of the second round')
  t.is(transports.length, 0, 'changes of transport and state')
  t.is(heard.filter((data) => !['small', 'again', 'last'].includes(data)).length, 0, 'large ones that arrived')
  const { learned } = await hub.report()
  t.ok(Object.values(learned).every(({ until }) => !until), `nothing is learned of the network: ${JSON.stringify(learned)}`)
}, { cases: ['before hello', 'later'] })

rule(9, 'every legal payload passes, however much escaping grows it', async (t) => {
  const hub = await t.ready()
  const channel = hub.channel(t.room())
  const legal = ['x'.repeat(65_536), '"'.repeat(65_536), '\\'.repeat(65_536), '\n'.repeat(65_536), '\u0001'.repeat(65_536), '\u007f'.repeat(65_536), 'é'.repeat(32_768), '\u2028'.repeat(21_845), '😀'.repeat(16_384), '<'.repeat(65_536), { text: 'x'.repeat(65_525) }, Array(32_767).fill(1), Array.from({ length: 9000 }, () => '"'), new Uint8Array(65_536).fill(10), new Uint8Array(65_536).fill(255).buffer]
  const heard = []
  channel.addEventListener('message', ({ data, name }) => name === 'count' || heard.push(data))
  await t.until(() => t.readers(channel.name), 'it is read')
  const answers = legal.map((data) => channel.publish(data))
  for (const [at, answer] of answers.entries()) t.ok((await t.within(answer, 8000, `number ${at}`)).id, `number ${at}`)
  await t.until(() => heard.length >= legal.length, () => `heard ${heard.length} of ${legal.length}`)
  const brief = (data) => (typeof data === 'string' ? `${data.length} of ${data.codePointAt(0)}` : data.byteLength ? 'b' + data.byteLength : `${JSON.stringify(data).length} of JSON`)
  t.is(heard.map(brief), legal.map(brief), 'all of them whole')
  t.is(hub.state, 'connected', 'state')
}, { limitMs: 40_000, flags: ['--history-bytes', '16MiB'] })

rule(9, 'the limit is the one of the hub, small or large', async (t, most) => {
  const hub = await t.ready()
  const channel = hub.channel(t.room())
  t.ok((await t.within(channel.publish('x'.repeat(most)), 15_000, 'at the limit')).id, 'at the limit')
  t.ok((await t.within(channel.publish('\u0001'.repeat(most)), 15_000, 'at the limit, escaped')).id, 'at the limit, escaped')
  await t.rejects(channel.publish('x'.repeat(most + 1)), 'too_large', 'beyond it', 8000)
  await t.rejects(channel.publish(new Uint8Array(most + 1)), 'too_large', 'bytes beyond it', 8000)
  t.ok((await t.within(channel.publish('x'), 8000, 'after it')).id, 'after it')
}, { cases: [100], flags: ['--max-data', '100'] })

rule(9, 'a large limit of the hub counts, too', async (t) => {
  const hub = await t.ready()
  const channel = hub.channel(t.room())
  t.ok((await t.within(channel.publish('"'.repeat(2_000_000)), 15_000, 'two million quotes')).id, 'two million quotes')
  await t.rejects(channel.publish('x'.repeat(2_097_153)), 'too_large', 'beyond it', 8000)
}, { flags: ['--max-data', '2MiB'], seats: ['page'], limitMs: 40_000 })

rule(9, 'many large ones at once keep their order, and later ones their time', async (t) => {
  const hub = await t.ready()
  const channel = hub.channel(t.room())
  const heard = []
  channel.addEventListener('message', ({ data, name }) => name === 'count' || heard.push(data.n))
  await t.until(() => t.readers(channel.name), 'it is read')
  const answers = Array.from({ length: 30 }, (_, n) => channel.publish({ n, text: '"'.repeat(n % 3 ? 30_000 : 10) }))
  await t.within(Promise.all(answers), 15_000, 'all are answered')
  await t.until(() => heard.length >= 30, () => `${heard}`)
  t.is(heard, Array.from({ length: 30 }, (_, n) => n), 'in order, each once')
}, { limitMs: 40_000, flags: ['--history-bytes', '16MiB'] })

rule(9, 'publishing by GET has its own limit, stated in its refusal, and the next one passes', async (t) => {
  await t.ask('set', { post: { refuse: 405 } })
  const hub = await t.ready()
  const channel = hub.channel(t.room())
  t.ok((await t.within(channel.publish('small'), 10_000, 'a small one')).id, 'a small one')
  const error = await t.rejects(channel.publish('x'.repeat(20_000)), ['too_large', 'post_blocked'], 'a large one', 10_000)
  t.ok(/GET|POST/.test(`${error.message} ${error.hint}`), `it says why: ${error.message} ${error.hint}`)
  t.ok((await t.within(channel.publish('small again'), 10_000, 'the next')).id, 'the next')
}, { transports: ['sse', 'poll'], seats: ['page'], limitMs: 40_000 })

rule(9, 'a body that something on the way finds too large is the refusal of no other publish', async (t) => {
  const hub = await t.ready()
  const channel = hub.channel(t.room())
  const heard = t.heard(channel)
  await t.until(() => t.readers(channel.name), 'it is read')
  const answers = Array.from({ length: 60 }, (_, n) => channel.publish({ n, text: 'x'.repeat(30_000) }).then(() => n, (error) => error))
  const settled = await t.within(Promise.all(answers), 20_000, 'all settle')
  t.is(settled.filter((one) => typeof one !== 'number').map((error) => error.code), [], 'refused')
  await t.until(() => heard.length >= 60, () => `heard ${heard.length}`)
}, { flags: ['--history-bytes', '16MiB', '--bodies-total', '3MiB'], seats: ['page'], limitMs: 40_000 })
