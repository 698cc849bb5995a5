/** Item 3: a refusal of one channel ends and names that channel alone. */
import { rule, subject } from './world.js'

subject('a refusal about one channel')

rule(3, 'at the start: the refused channel ends with code and hint, the others and the hub live', async (t, { refusedAt, names }) => {
  const hub = t.connect()
  const rooms = [t.room(), t.room()]
  const wanted = [...rooms]
  wanted.splice(refusedAt, 0, ...names)
  const handles = new Map(wanted.map((name) => [name, hub.channel(name)]))
  const errors = names.map((name) => t.events(handles.get(name), 'error', 'close'))
  const heard = rooms.map((name) => t.heard(handles.get(name)))
  const hubErrors = t.events(hub, 'error')
  await t.within(hub.ready, 3000, 'ready')
  for (const [at, name] of names.entries()) {
    await t.until(() => errors[at].length >= 2, `${name} is refused`, 3000)
    t.is(errors[at].map(({ type }) => type), ['error', 'close'], `${name}: error, then close`)
    t.isReport(errors[at][0].error, 'forbidden', name)
    t.ok(errors[at][0].error.hint, `${name}: a hint`)
    t.ok(`${errors[at][0].error.message} ${errors[at][0].error.channel ?? ''}`.includes(name.split('/').at(-1)), `${name}: the error names it: ${errors[at][0].error.message}`)
  }
  for (const [at, name] of rooms.entries()) {
    await t.until(async () => (await t.post(name, at)) && heard[at].length, `${name} is read`)
    const { id } = await t.within(handles.get(name).publish('own'), 3000, 'publish')
    t.ok(id, 'a publish is answered')
  }
  t.is(hub.state, 'connected', 'the hub')
  t.is(hubErrors.length, 0, 'errors of the hub')
}, {
  cases: [
    { refusedAt: 0, names: ['$one'] },
    { refusedAt: 1, names: ['$one'] },
    { refusedAt: 2, names: ['$one', '$presence/@stranger', '$two/ü'] },
  ],
})

rule(3, 'later: the others miss nothing meanwhile, and none comes twice', async (t) => {
  const room = t.room()
  const hub = await t.ready()
  const states = t.events(hub, 'state')
  const heard = t.heard(hub.channel(room))
  await t.until(() => t.readers(room), 'it is read')
  let said = 0
  for (let round = 0; round < 3; round++) {
    await t.post(room, ++said)
    const refused = hub.channel('$late/' + round)
    const error = await t.reported((watch) => void watch(refused), `round ${round}`)
    t.isReport(error, 'forbidden', `round ${round}`)
    await t.post(room, ++said)
  }
  await t.until(() => heard.length >= said, () => `${heard}`)
  t.is(heard, Array.from({ length: said }, (_, at) => at + 1), 'each number once')
  t.is(states.map(({ to }) => to), [], 'changes of state')
})

rule(3, 'everything of the refused handle ends: loops reject, publishes and members reject, once', async (t) => {
  for (const phase of ['at the start', 'later']) {
    const hub = phase === 'later' ? await t.ready() : t.connect()
    const refused = hub.channel('$ends')
    const closes = t.events(refused, 'close')
    const loop = (async () => {
      for await (const _ of refused);
    })()
    await Promise.all([
      t.rejects(loop, 'forbidden', `${phase}: its loop`),
      t.rejects(refused.publish(1), '', `${phase}: its publish`),
      t.rejects(refused.members(), '', `${phase}: its members`),
    ])
    await t.until(() => closes.length, `${phase}: close`, 3000)
    const late = (async () => {
      for await (const _ of refused);
    })()
    await t.within(late.catch(() => {}), 3000, `${phase}: a loop begun after the end ends`)
    t.is(closes.length, 1, `${phase}: close events`)
    hub.close()
  }
})

rule(3, 'a start that is none is refused at the call, and harms no other', async (t) => {
  for (const phase of ['at the start', 'later']) {
    const hub = phase === 'later' ? await t.ready() : t.connect()
    const room = t.room()
    const heard = t.heard(hub.channel(room))
    for (const since of ['nonsense', 'last:', 'yesterday', '', 42]) t.throws(() => hub.channel(t.room(), { since }), 'bad_cursor', `${phase}: since ${since}`)
    await t.within(hub.ready, 3000, 'ready')
    await t.until(async () => (await t.post(room, 1)) && heard.length, `${phase}: the other is read`)
    hub.close()
  }
})

rule(3, 'channels beyond the bound of a session are refused one by one', async (t) => {
  for (const phase of ['at the start', 'later']) {
    const hub = phase === 'later' ? await t.ready() : t.connect()
    const rooms = Array.from({ length: 8 }, () => t.room())
    const handles = rooms.map((name) => hub.channel(name))
    const errors = handles.map((handle) => t.events(handle, 'error'))
    const heard = handles.map((handle) => t.heard(handle))
    await t.within(hub.ready, 3000, 'ready')
    // The inbox may be one of the five.
    await t.until(() => errors.flat().length >= 3, () => `${phase}: refused: ${errors.map((list) => list.length)}`, 5000)
    t.is([...new Set(errors.flat().map(({ error }) => error.code))], ['too_many_channels'], `${phase}: codes`)
    for (const [at, name] of rooms.entries()) {
      if (errors[at].length) continue
      await t.until(async () => (await t.post(name, at)) && heard[at].length, `${phase}: ${name} is read`)
    }
    t.ok([3, 4].includes(errors.flat().length), `${phase}: ${errors.flat().length} are refused`)
    // A closed channel frees a place.
    const open = handles.findIndex((_, at) => !errors[at].length)
    handles[open].close()
    await t.until(async () => (await t.readers(rooms[open])) === 0, `${phase}: it is left`)
    const next = hub.channel(t.room())
    const heardNext = t.heard(next)
    await t.until(async () => (await t.post(next.name, 1)) && heardNext.length, `${phase}: there is room again`)
    hub.close()
  }
}, { flags: ['--session-channels', '5'], seats: ['page', 'worker', 'shared'] })

rule(3, 'a refused channel is asked for once, and not again after a cut', async (t) => {
  const hub = t.connect()
  const room = t.room()
  const heard = t.heard(hub.channel(room))
  const refused = hub.channel('$once')
  await t.reported((watch) => void watch(refused), 'refused')
  await t.until(async () => (await t.post(room, 'before')) && heard.length, 'the other is read')
  const before = await t.ask('asked', '%24once')
  await t.ask('cut')
  await t.until(async () => (await t.post(room, 'after')) && heard.includes('after'), 'after the cut')
  t.is(await t.ask('asked', '%24once'), before, 'requests that name it')
  const again = hub.channel('$once')
  t.isReport(await t.reported((watch) => void watch(again), 'refused again'), 'forbidden', 'again')
  await t.until(async () => (await t.post(room, 'end')) && heard.includes('end'), 'the other is read on')
})

rule(3, 'a refused channel and a change of transport at once', async (t) => {
  const room = t.room()
  const hub = await t.ready({ transports: ['ws', 'sse', 'poll'] })
  const heard = t.heard(hub.channel(room))
  let said = 0
  for (const way of ['sse', 'poll', 'ws', 'poll', 'sse']) {
    hub.use(way)
    const refused = hub.channel('$during/' + way)
    const report = t.reported((watch) => void watch(refused), way)
    await t.post(room, ++said)
    t.isReport(await report, 'forbidden', way)
    await t.until(() => hub.transport === way, `over to ${way}`)
  }
  await t.until(async () => (await t.post(room, 'end')) && heard.includes('end'), 'the end')
  t.is(hub.state, 'connected', 'state')
}, { transports: ['any'], seats: ['page', 'worker', 'tab'] })
