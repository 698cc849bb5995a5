/** Items 4 and 5: the end of the hub ends everything. A final refusal is final, and a temporary one never is. */
import { rule, subject } from './world.js'

/** How a hub ends. The scenario causes it. */
const ENDS = ['close', 'signal', 'refused']

subject('the end of the hub')

rule(4, 'ends every handle, loop, publish and listener, with the reason', async (t, { how, phase }) => {
  // A tab that shares makes no request that could be refused.
  if (how === 'refused' && t.setting.share) return
  const stop = new AbortController()
  let isSpoiled = how === 'refused' && phase === 'before hello'
  const hub = t.connect({ signal: stop.signal, ...(how === 'refused' && t.spoiled('token=bad', () => isSpoiled)) })
  const handles = [hub.channel(t.room()), hub.channel(t.room(), { since: 'all' }), hub.inbox]
  const closes = handles.map((handle) => t.events(handle, 'close'))
  const errors = t.events(hub, 'error', 'state')
  if (phase === 'later') await t.within(hub.ready, 5000, 'ready')
  // The responses are lost, so the publishes wait.
  if (phase === 'later' && how !== 'refused') await t.ask('set', { all: { refuse: 'reset' } })
  // Requests from here on are refused.
  if (how === 'refused') isSpoiled = true
  if (phase === 'later') await t.ask('cut')
  const loops = handles.map(async (handle) => {
    for await (const _ of handle);
    return 'ended'
  })
  const publishes = [handles[0].publish(1), handles[1].publish(new Uint8Array(3)), handles[0].publish(2)]
  const members = handles[0].members()
  for (const promise of [...loops, ...publishes, members]) promise.catch(() => {})
  if (how === 'close') hub.close()
  if (how === 'signal') stop.abort()
  const codes = how === 'refused' ? 'unauthorized' : 'closed'
  await t.until(() => hub.state === 'closed', 'the hub is closed', how === 'refused' ? 20_000 : 3000)
  for (const [at, loop] of loops.entries()) {
    if (how === 'refused') await t.rejects(loop, codes, `loop ${at}`)
    else t.is(await t.within(loop, 3000, `loop ${at}`), 'ended', `loop ${at} simply ends`)
  }
  // The hub ignores a token in the address of `/send`: publishes that got through before the end were answered.
  const mayBeAnswered = how === 'refused' && phase === 'later'
  for (const [at, publish] of publishes.entries()) {
    if (mayBeAnswered) await t.within(publish.catch(() => {}), 3000, `publish ${at}`)
    else await t.rejects(publish, codes, `publish ${at}`)
  }
  // If the request got through before the refusal, it was answered.
  if (how === 'refused' && phase === 'later') await t.within(members.catch(() => {}), 3000, 'members')
  else await t.rejects(members, '', 'members')
  await t.until(() => closes.every((list) => list.length === 1), () => `close events: ${closes.map((list) => list.length)}`, 3000)
  const closed = t.within(hub.closed, 3000, 'hub.closed')
  if (how === 'refused') await t.rejects(closed, codes, 'hub.closed')
  else await closed
  if (phase === 'before hello') await t.rejects(hub.ready, codes, 'hub.ready')
  else await t.within(hub.ready, 3000, 'ready stays resolved')
  if (how === 'refused') t.ok(errors.some(({ error }) => error?.code === codes && error.hint), 'state or error events carry code and hint')
  t.is([hub.transport, hub.state], [null, 'closed'], 'the hub at the end')
}, {
  limitMs: 30_000,
  cases: ENDS.flatMap((how) => ['before hello', 'later'].map((phase) => ({ how, phase }))),
})

rule(4, 'holds for what is opened after the end, too', async (t, how) => {
  if (how === 'refused' && t.setting.share) return
  const hub = t.connect(how === 'refused' ? t.spoiled('token=bad') : {})
  const known = hub.channel(t.room())
  if (how === 'close') hub.close()
  await t.until(() => hub.state === 'closed', 'closed', 8000)
  const code = how === 'close' ? 'closed' : 'unauthorized'
  const late = hub.channel(t.room(), { since: 'all' })
  const closes = t.events(late, 'close')
  const loops = [known, late, hub.inbox].map(async (handle) => {
    for await (const _ of handle);
    return 'ended'
  })
  // The loops end one after the other, and are checked in another order.
  for (const loop of loops) loop.catch(() => {})
  for (const loop of loops) {
    if (how === 'close') t.is(await t.within(loop, 3000, 'a loop'), 'ended', 'a loop')
    else await t.rejects(loop, code, 'a loop')
  }
  await t.rejects(late.publish(1), code, 'publish of a late handle')
  await t.rejects(known.publish(1), code, 'publish of an old handle')
  await t.rejects(late.members(), '', 'members of a late handle')
  await t.until(() => closes.length === 1, 'close of the late handle', 3000)
  const settled = t.within(hub.closed.then(() => 'resolved', () => 'rejected'), 3000, 'closed')
  t.is(await settled, how === 'close' ? 'resolved' : 'rejected', 'hub.closed')
  late.close()
  known.close()
  hub.close()
  hub.use('sse')
  await t.within(hub.report(), 3000, 'a report of a hub that ended')
  t.is(closes.length, 1, 'close events')
  t.is(hub.state, 'closed', 'it stays closed')
}, { cases: ['close', 'refused'] })

rule(4, 'a loop takes what came before the end, then ends; breaking out of one ends nothing else', async (t) => {
  const room = t.room()
  const hub = await t.ready()
  const handle = hub.channel(room)
  const all = t.heard(handle)
  const first = []
  const pulling = (async () => {
    for await (const { data, name } of handle) {
      if (name === 'count') continue
      first.push(data)
      if (first.length === 2) break
    }
  })()
  const slow = []
  let go
  const gate = new Promise((resolve) => (go = resolve))
  const late = (async () => {
    for await (const { data, name } of handle) {
      if (name === 'count') continue
      slow.push(data)
      if (slow.length === 1) await gate
    }
    return 'ended'
  })()
  await t.until(() => t.readers(room), 'it is read')
  for (let n = 1; n <= 4; n++) await t.post(room, n)
  await t.until(() => all.length === 4, 'all four')
  await t.within(pulling, 3000, 'the loop that breaks')
  hub.close()
  go()
  t.is(await t.within(late, 3000, 'the slow loop'), 'ended', 'the slow loop')
  t.is([first, slow], [[1, 2], [1, 2, 3, 4]], 'what each loop took')
})

rule(4, 'no request follows the end, and the process has nothing that keeps it alive', async (t) => {
  for (const phase of ['before hello', 'later']) {
    const hub = phase === 'later' ? await t.ready() : t.connect()
    hub.channel(t.room())
    hub.close()
    // A poll that was just answered returns its connection to the browser, which keeps it for a while.
    if (t.transport !== 'poll') await t.until(async () => (await t.ask('open', t.transport)) === 0, `${phase}: the connection is closed`)
    const before = await t.ask('asked')
    await t.observe(700)
    t.is((await t.ask('asked')) - before, 0, `${phase}: requests after the end`)
  }
}, { seats: ['page', 'worker', 'shared'] })

rule(4, 'a signal that was aborted before is an end at once; aborting twice or closing twice is one end', async (t) => {
  const early = t.connect({ signal: AbortSignal.abort() })
  await t.within(early.closed, 3000, 'closed')
  await t.rejects(early.ready, 'closed', 'ready')
  const stop = new AbortController()
  const hub = await t.ready({ signal: stop.signal })
  const states = t.events(hub, 'state')
  stop.abort()
  hub.close()
  stop.abort()
  await t.within(hub.closed, 3000, 'closed')
  t.is(states.map(({ to }) => to), ['closed'], 'changes of state')
})

subject('final refusals and those that pass')

rule(5, 'a final refusal at the start is final on whichever transport it arrives', async (t) => {
  const hub = t.connect(t.spoiled('token=bad'))
  hub.channel(t.room())
  const states = t.events(hub, 'state')
  const error = await t.rejects(hub.ready, 'unauthorized', 'ready')
  t.ok(error.hint && error.status === 401, `hint and status: ${error.hint} ${error.status}`)
  t.is(hub.state, 'closed', 'state')
  t.ok(states.at(-1).error === error || states.at(-1).error?.code === error.code, 'the state event has the error')
  // Requests in flight at the end still arrive on a busy machine.
  await t.observe(300)
  const before = await t.ask('asked')
  await t.observe(600)
  t.is((await t.ask('asked')) - before, 0, 'requests after the end')
}, { transports: ['ws', 'sse', 'poll', 'any'], seats: ['page', 'worker', 'shared'], wide: true })

rule(5, 'a token function is asked again once, then the refusal is final', async (t) => {
  let asked = 0
  const hub = t.connect({ token: async () => 'bad' + asked++, ...t.spoiled('token=bad') })
  await t.rejects(hub.ready, 'unauthorized', 'ready', 5000)
  t.ok(asked >= 1 && asked <= 3, `the token was asked for ${asked} times`)
  t.is(hub.state, 'closed', 'state')
}, { transports: ['ws', 'sse', 'poll', 'any'], seats: ['page', 'worker', 'shared'] })

rule(5, 'a final refusal later in life settles everything, too', async (t) => {
  let isSpoiled = false
  const hub = await t.ready(t.spoiled('token=bad', () => isSpoiled))
  const handle = hub.channel(t.room())
  isSpoiled = true
  await t.ask('cut')
  const error = await t.reported((watch) => void watch(hub), 'the hub ends', 6000)
  t.isReport(error, 'unauthorized', 'the hub')
  await t.rejects(handle.publish(1), 'unauthorized', 'publish')
  await t.rejects(hub.closed, 'unauthorized', 'closed')
}, { transports: ['ws', 'sse', 'poll', 'any'], seats: ['page', 'worker', 'shared'] })

rule(5, 'a hub that is full is no end: the client waits and gets in', async (t) => {
  await t.ask('stop')
  await t.ask('start', ['--publish-rate', '0', '--connections', '1'])
  const blocker = new AbortController()
  const held = fetch((await t.ask('hubAddress')) + 'sse/blocker', { signal: blocker.signal })
  await held
  const hub = t.connect()
  const heard = t.heard(hub.channel(t.room()))
  await t.observe(1500)
  t.ok(hub.state !== 'closed', `full, and the state is ${hub.state}`)
  t.is(hub.state === 'connected', false, 'it did not get in')
  blocker.abort()
  await t.ask('stop')
  await t.ask('start')
  await t.until(() => hub.state === 'connected', () => `it gets in: ${hub.state}`, 15_000)
  t.is(heard, [], 'nothing came')
}, { own: true, seats: ['page'], limitMs: 30_000 })

rule(5, 'a drain and a restart are no end', async (t) => {
  const hub = await t.ready()
  const room = t.room()
  const heard = t.heard(hub.channel(room))
  await t.ask('end', 'SIGTERM')
  await t.until(() => hub.state === 'reconnecting', () => `it notices the drain: ${hub.state}`)
  await t.ask('stop')
  await t.ask('start')
  await t.until(() => hub.state === 'connected', () => `it is back: ${hub.state}`, 15_000)
  await t.until(async () => (await t.post(room, 1)) && heard.includes(1), 'and reads')
  const { id } = await t.within(hub.channel(room).publish(2), 5000, 'publish')
  t.ok(id, 'and publishes')
}, { own: true, seats: ['page', 'worker', 'tab'], limitMs: 40_000 })

rule(5, 'a session that the hub no longer knows is no end', async (t) => {
  const hub = await t.ready()
  const room = t.room()
  const heard = t.heard(hub.channel(room))
  // Wait for the reader: the handle does not get events that are published before the hub reads its channel.
  await t.until(() => t.readers(room), 'the channel is read')
  const session = hub.session.id
  for (let round = 0; round < 2; round++) {
    await t.ask('stop')
    await t.ask('start')
    const { id } = await t.within(hub.channel(room).publish('after ' + round), 15_000, 'publish')
    t.ok(id, 'the publish is answered')
  }
  await t.until(() => heard.includes('after 1'), () => `${heard}`)
  t.ok(hub.state === 'connected' && hub.session.id !== session, 'another session, the same hub')
  t.is(heard.filter((data) => data === 'after 1').length, 1, 'acted on once')
}, { own: true, seats: ['page', 'tab'], limitMs: 40_000 })
