/** Item 11: tabs that share behave like one client, in every order of events. */
import { rule, subject } from './world.js'
import { tabs } from './tabs.js'

subject('sharing tabs, one by one')

rule(11, 'state reaches a tab only when it is complete', async (t) => {
  const hub = t.connect()
  const seen = []
  const look = () => seen.push([hub.state, hub.session?.id, hub.transport])
  for (const type of ['state', 'transport']) hub.addEventListener(type, look)
  await t.within(hub.ready, 5000, 'ready')
  look()
  const whole = seen.filter(([state]) => state === 'connected')
  t.ok(whole.length && whole.every(([, session, transport]) => session && transport), `connected means session and transport: ${JSON.stringify(seen)}`)
  const whispers = t.heard(hub.inbox)
  await t.until(async () => (await t.post('@' + hub.session.id, 'psst')) && whispers.length, 'the inbox hears')
}, { node: false, seats: ['tab', 'lead', 'page'], wide: true })

rule(11, 'sharing behaves as not sharing does: text, bytes, presence, members', async (t) => {
  const hub = t.connect()
  const room = t.room()
  const channel = hub.channel(room, { since: 'all', presence: true })
  const heard = t.heard(channel)
  t.ok((await t.within(channel.publish({ n: 1 }), 6000, 'publish')).reached, 'a publish is answered in full')
  await t.within(channel.publish(new Uint8Array([1, 2, 3])), 6000, 'bytes')
  await t.rejects(channel.publish(new Map()), 'bad_data', 'bad data')
  await t.rejects(hub.channel('$no').publish(1), '', 'a refused channel')
  await t.until(() => heard.length >= 2, () => JSON.stringify(heard))
  t.is(heard.map((data) => (data instanceof ArrayBuffer ? [...new Uint8Array(data)] : data)), [{ n: 1 }, [1, 2, 3]], 'what came')
  await t.until(async () => (await channel.members()).some(({ id }) => id === hub.session.id), 'the session is a member')
}, { node: false, seats: ['tab', 'lead'], wide: true })

rule(11, 'where tabs cannot find each other, each reads for itself, and says nothing', async (t) => {
  const hub = t.connect({ share: true })
  await t.within(hub.ready, 5000, 'ready')
  const room = t.room()
  const heard = t.heard(hub.channel(room))
  await t.until(async () => (await t.post(room, 1)) && heard.length, 'it reads')
}, { seats: ['shared', 'worker'] })

tabs(11)
