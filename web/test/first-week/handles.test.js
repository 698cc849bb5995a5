/** Items 1 and 2: a handle belongs to the code that opened it, and starts at its own point. */
import { rule, subject } from './world.js'

subject('one handle, one user')

rule(1, 'each call of channel returns a handle of its own, and closing one ends that one alone', async (t) => {
  const hub = t.connect()
  const room = t.room()
  const a = hub.channel(room)
  a.close()
  const b = hub.channel(room)
  a.close()
  const c = hub.channel(room)
  t.ok(a !== b && b !== c, 'a new handle each time')
  const [heardA, heardB, heardC] = [a, b, c].map((handle) => t.heard(handle))
  await t.within(hub.ready, 5000, 'ready')
  await t.post(room, 1)
  await t.until(() => heardB.length === 1 && heardC.length === 1, 'b and c hear')
  c.close()
  c.close()
  a.close()
  await t.post(room, 2)
  await t.until(() => heardB.length === 2, 'b hears after c was closed')
  t.is([heardA, heardB, heardC], [[], [1, 2], [1]], 'what each handle heard')
}, { wide: true })

rule(1, 'handles opened and closed after the hub is connected are as independent', async (t) => {
  const hub = await t.ready()
  const room = t.room()
  const a = hub.channel(room)
  const heardA = t.heard(a)
  await t.until(() => t.readers(room), 'the channel is read')
  const b = hub.channel(room)
  const heardB = t.heard(b)
  a.close()
  const c = hub.channel(room)
  const heardC = t.heard(c)
  a.close()
  await t.until(() => t.readers(room), 'the channel is still read')
  await t.post(room, 'x')
  await t.until(() => heardB.includes('x') && heardC.includes('x'), () => `b and c hear: ${heardB} / ${heardC}`)
  b.close()
  await t.post(room, 'y')
  await t.until(() => heardC.includes('y'), 'c hears on')
  t.is([heardA, heardB, heardC], [[], ['x'], ['x', 'y']], 'what each handle heard')
})

rule(1, 'the events close come once, to the closed handle alone, and end its loops and listeners alone', async (t) => {
  const hub = await t.ready()
  const room = t.room()
  const [a, b] = [hub.channel(room), hub.channel(room)]
  const closes = [t.events(a, 'close'), t.events(b, 'close')]
  const looped = [[], []]
  const loops = [a, b].map(async (handle, at) => {
    for await (const { data } of handle) looped[at].push(data)
    return 'ended'
  })
  const named = []
  b.on('chat', (data) => named.push(data))
  await t.until(async () => (await t.post(room, 'look', { name: 'count' })) && looped.every((list) => list.length), 'both loops run')
  a.close()
  a.close()
  t.is(await t.within(loops[0], 3000, 'the loop of a ends'), 'ended', 'loop of a')
  await t.post(room, 'after', { name: 'chat' })
  await t.until(() => looped[1].includes('after') && named.length, 'b goes on')
  t.ok(!looped[0].includes('after'), 'a hears nothing more')
  t.is(closes.map((list) => list.length), [1, 0], 'close events')
  b.close()
  t.is(await t.within(loops[1], 3000, 'the loop of b ends'), 'ended', 'loop of b')
  t.is(closes.map((list) => list.length), [1, 1], 'close events at the end')
})

rule(1, 'the wire is shared and counted: one reader for many handles, none after the last', async (t) => {
  const hub = await t.ready()
  const room = t.room()
  const handles = [1, 2, 3].map(() => hub.channel(room))
  await t.until(async () => (await t.readers(room)) === 1, 'one reader')
  for (const handle of handles.splice(0, 2)) handle.close()
  const marker = hub.channel(room)
  const heard = t.heard(marker)
  await t.until(async () => (await t.post(room, 'm')) && heard.length, 'the last one hears')
  // Between two polls, there is no reader for a moment.
  await t.until(async () => (await t.readers(room)) === 1, 'one reader while one handle is open')
  marker.close()
  handles[0].close()
  // A transport that is being replaced may hold a closed session for a moment.
  await t.until(async () => (await t.readers(room)) === 0, 'no reader after the last handle')
})

rule(1, 'a hundred mounts in one tick leave what is open at the end, and nothing else', async (t) => {
  for (const phase of ['at the start', 'later']) {
    const hub = phase === 'later' ? await t.ready() : t.connect()
    const room = t.room()
    let last
    for (let at = 0; at < 100; at++) {
      last?.close()
      last = hub.channel(room)
    }
    const heard = t.heard(last)
    const other = hub.channel(t.room())
    other.close()
    await t.within(hub.ready, 5000, 'ready')
    await t.until(() => t.readers(room), `${phase}: it is read`)
    await t.post(room, phase)
    await t.until(() => heard.length, `${phase}: the last handle hears`)
    t.is(heard, [phase], `${phase}: heard once`)
    t.is(await t.readers(other.name), 0, `${phase}: the closed one is not read`)
    hub.close()
  }
})

rule(1, 'two hubs of one page are as independent as two handles', async (t) => {
  const [one, two] = [await t.ready(), await t.ready()]
  const room = t.room()
  const [a, b] = [one.channel(room), two.channel(room)]
  const [heardA, heardB] = [t.heard(a), t.heard(b)]
  await t.until(async () => (await t.post(room, 'x')) && heardA.length && heardB.length, 'both hear')
  one.close()
  await t.post(room, 'last')
  await t.until(() => heardB.includes('last'), 'the other hub hears on')
  t.ok(!heardA.includes('last'), 'the closed hub hears nothing')
}, { seats: ['page', 'worker', 'shared'] })

rule(1, 'a handle with presence and one without: each has its own options', async (t) => {
  const hub = await t.ready({ info: { name: 'Ann' } })
  const room = t.room()
  const [plain, shown] = [hub.channel(room), hub.channel(room, { presence: true })]
  const [quiet, loud] = [t.events(plain, 'join', 'leave'), t.events(shown, 'join', 'leave')]
  const watcher = hub.channel(room)
  await t.until(async () => (await watcher.members()).length === 1, 'the session is shown')
  const other = t.connect({ share: false, info: { name: 'Bob' } })
  const guest = other.channel(room, { presence: true })
  await t.until(() => loud.some(({ type, member }) => type === 'join' && member.info?.name === 'Bob'), 'Bob joins')
  t.is(quiet.length, 0, 'the handle without presence has no presence events')
  shown.close()
  await t.until(async () => (await watcher.members()).every(({ info }) => info?.name !== 'Ann'), 'Ann is shown no more')
  const heard = t.heard(plain)
  await t.post(room, 'x')
  await t.until(() => heard.includes('x'), 'the plain handle hears on')
  guest.close()
  other.close()
}, { flags: ['--presence-grace', '1s'], seats: ['page', 'worker', 'shared'] })

rule(1, 'options that cannot be combined are refused, and never dropped silently', async (t) => {
  const hub = await t.ready()
  for (const name of ['@', '@somebody', `$presence/${t.room()}`]) {
    t.throws(() => hub.channel(name, { presence: true }), ['bad_option', 'bad_channel'], `presence of ${name}, which shows nobody`)
  }
  await t.reported((watch) => void watch(hub.channel('@somebody', { since: 'all' })), 'a start in an inbox that cannot be read')
  const room = t.room()
  const heard = t.heard(hub.channel(room))
  await t.until(async () => (await t.post(room, 1)) && heard.length, 'the hub lives on')
})

rule(1, 'a handle may be closed and opened inside listeners', async (t) => {
  const hub = await t.ready()
  const room = t.room()
  const seen = []
  const open = (round) => {
    const handle = hub.channel(room)
    handle.addEventListener('message', ({ data }) => {
      seen.push(`${round}:${data}`)
      handle.close()
      if (round < 3) open(round + 1)
    })
    handle.addEventListener('close', () => seen.push(`closed ${round}`))
  }
  open(1)
  for (const round of [1, 2, 3]) {
    await t.until(async () => (await t.post(room, round)) && seen.includes(`closed ${round}`), `round ${round}`)
  }
  await t.until(async () => (await t.readers(room)) === 0, 'nobody reads at the end')
  t.is(seen.filter((line) => line.startsWith('closed')), ['closed 1', 'closed 2', 'closed 3'], 'each closed once')
  t.is(seen.filter((line) => !line.startsWith('closed')).length, 3, 'each heard one message')
})

subject('a handle begins at its own start')

rule(2, 'handles of one channel with different starts each get their own history, then all the same', async (t) => {
  for (const phase of ['at the start', 'later']) {
    const room = t.room()
    const ids = []
    for (let n = 1; n <= 5; n++) ids.push((await t.post(room, n)).id)
    const starts = { all: [1, 2, 3, 4, 5], 'last:2': [4, 5], [ids[2]]: [4, 5], now: [], '1h': [1, 2, 3, 4, 5] }
    const hub = phase === 'later' ? await t.ready() : t.connect()
    const handles = Object.keys(starts).map((since) => hub.channel(room, { since }))
    const heard = handles.map((handle) => t.heard(handle))
    await t.until(() => heard.every((list, at) => list.length >= Object.values(starts)[at].length), () => `${phase}: history of each: ${JSON.stringify(heard)}`)
    await t.until(async () => (await t.post(room, 'live')) && heard.every((list) => list.includes('live')), `${phase}: all hear what is live`)
    t.is(heard.map((list) => list.filter((data) => typeof data === 'number')), Object.values(starts), `${phase}: the numbers of each`)
    hub.close()
  }
}, { wide: true })

rule(2, 'opened, closed and opened again: the history comes again', async (t) => {
  const room = t.room()
  for (let n = 1; n <= 3; n++) await t.post(room, n)
  const hub = t.connect()
  for (const since of ['all', 'all', 'last:2', 'all']) {
    const handle = hub.channel(room, { since })
    const heard = t.heard(handle)
    const expected = since === 'all' ? [1, 2, 3] : [2, 3]
    await t.until(() => heard.length >= expected.length, () => `${since}: ${heard}`)
    t.is(heard, expected, since)
    handle.close()
  }
  const fresh = hub.channel(room)
  const heard = t.heard(fresh)
  await t.until(async () => (await t.post(room, 'live')) && heard.length, 'live')
  t.ok(!heard.some((data) => typeof data === 'number'), 'nothing old without a start')
}, { wide: true })

rule(2, 'opened again in the same tick, and while another handle stays open', async (t) => {
  const room = t.room()
  for (let n = 1; n <= 3; n++) await t.post(room, n)
  const hub = await t.ready()
  const stays = hub.channel(room, { since: 'all' })
  const stayed = t.heard(stays)
  await t.until(() => stayed.length === 3, 'the first history')
  for (let round = 0; round < 3; round++) {
    hub.channel(room, { since: 'all' }).close()
    const again = hub.channel(room, { since: 'all' })
    const heard = t.heard(again)
    await t.until(() => heard.length >= 3, () => `round ${round}: ${heard}`)
    t.is(heard, [1, 2, 3], `round ${round}`)
    again.close()
  }
  await t.post(room, 4)
  await t.until(() => stayed.length === 4, 'the handle that stayed hears on')
  t.is(stayed, [1, 2, 3, 4], 'and heard nothing twice')
})

rule(2, 'leaving leaves no position behind: after cuts and changes of transport, too', async (t) => {
  const room = t.room()
  for (let n = 1; n <= 3; n++) await t.post(room, n)
  const hub = await t.ready()
  const first = hub.channel(room, { since: 'all' })
  const heardFirst = t.heard(first)
  await t.until(() => heardFirst.length === 3, 'the history')
  first.close()
  await t.ask('cut')
  await t.post(room, 4)
  const second = hub.channel(room, { since: 'all' })
  const heardSecond = t.heard(second)
  await t.until(() => heardSecond.length >= 4, () => `after a cut: ${heardSecond}`)
  t.is(heardSecond, [1, 2, 3, 4], 'after a cut')
  second.close()
  await t.until(async () => (await t.readers(room)) === 0, 'it is left')
  // Between two polls, there is no reader for a moment either.
  if (t.transport === 'poll') await t.observe(500)
  await t.post(room, 5)
  const third = hub.channel(room)
  const heardThird = t.heard(third)
  await t.until(async () => (await t.post(room, 'live')) && heardThird.length, 'live')
  t.ok(!heardThird.includes(5), `what came between two handles belongs to neither: ${heardThird}`)
})

rule(2, 'a handle that stays open keeps its place over cuts: each event once', async (t) => {
  const room = t.room()
  const hub = await t.ready()
  const handles = [hub.channel(room, { since: 'all' }), hub.channel(room)]
  const heard = handles.map((handle) => t.heard(handle))
  await t.until(() => t.readers(room), 'it is read')
  let said = 0
  for (let cut = 0; cut < 3; cut++) {
    for (let at = 0; at < 5; at++) await t.post(room, ++said)
    await t.ask('cut')
    for (let at = 0; at < 5; at++) await t.post(room, ++said)
  }
  await t.until(() => heard.every((list) => list.length >= said), () => JSON.stringify(heard))
  t.is(heard[0], Array.from({ length: said }, (_, at) => at + 1), 'each number once and in order')
  t.is(heard[1], heard[0], 'the same for both')
})

rule(2, 'a handle closed in the middle of its history hears nothing more', async (t) => {
  const room = t.room()
  for (let n = 1; n <= 20; n++) await t.post(room, n)
  for (const phase of ['at the start', 'later']) {
    const hub = phase === 'later' ? await t.ready() : t.connect()
    const [short, whole] = [hub.channel(room, { since: 'all' }), hub.channel(room, { since: 'all' })]
    const heardWhole = t.heard(whole)
    const heardShort = []
    short.addEventListener('message', ({ data }) => {
      heardShort.push(data)
      if (data === 3) short.close()
    })
    // Each handle has a history of its own, and neither waits for the other.
    await t.until(() => heardWhole.length >= 20 && heardShort.length >= 3, () => `${phase}: both have theirs: ${heardWhole}, ${heardShort}`)
    await t.observe(100)
    t.is(heardShort, [1, 2, 3], `${phase}: the closed handle`)
    t.is(heardWhole.length, 20, `${phase}: the other handle`)
    hub.close()
  }
})

rule(2, 'loading is true until the history is there, then caughtup comes once', async (t) => {
  const room = t.room()
  for (let n = 1; n <= 10; n++) await t.post(room, n)
  const hub = t.connect()
  for (const since of ['all', 'last:3', undefined]) {
    const handle = hub.channel(room, { since })
    const order = []
    handle.addEventListener('message', ({ data }) => order.push(data))
    handle.addEventListener('caughtup', () => order.push('caughtup'))
    if (since) t.is(handle.loading, true, `${since}: loading at the call`)
    await t.until(() => handle.loading === false, `${since}: loading ends`)
    await t.until(() => order.includes('caughtup') || !since, `${since}: caughtup`)
    const expected = since === 'all' ? 10 : since ? 3 : 0
    if (since) t.is(order.indexOf('caughtup'), expected, `${since}: after the whole history: ${order}`)
    t.is(order.filter((one) => one === 'caughtup').length <= 1, true, `${since}: once`)
    handle.close()
  }
})
