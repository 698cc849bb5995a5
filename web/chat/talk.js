/**
 * One person's talk with the hub: the rooms, private words, files, and who is
 * here, said to the page in the page's own words.
 *
 * This file knows the client (`hub`) and no element. A room of the page is a
 * channel of the hub; a private word is an event in somebody's inbox.
 */
import { FILE_EVENT, packFile, unpackFile } from './files.js'
import { cleanNickname } from './names.js'

/**
 * The hub stands one step above this page's scripts, whatever prefix it was
 * mounted under; so its client is found from here and not from the root.
 */
const HUB = new URL('../', import.meta.url)
/** @type {typeof import('../client.js')} */
const { connect } = await import(new URL('client.mjs', HUB).href)

/** What a newcomer is shown of the room's past. */
const SINCE_ON_ENTERING = 'last:50'
/** The event name of spoken words. */
const TEXT_EVENT = 'chat'
/** Waiting before who is here is asked for again after it could not be learnt, in milliseconds. */
const ASK_AGAIN_MS = 2000
/** How often that is done for one entering; a hub that never says will not say. */
const ASKS_MOST = 10
/** The hub lists so many members at most; beyond it one's own absence says nothing. */
const MEMBERS_MOST = 1000
/** What a person without a name is called, such as one who speaks by curl. */
const NAMELESS = 'someone'

/** @typedef {import('./words.js').Transport} Transport */
/** @typedef {Transport | 'auto'} Way */
/** @typedef {import('./files.js').FileHead} FileHead */
/** @typedef {import('./people.js').Person} Person */
/** @typedef {{ text: string } | { head: FileHead, bytes: Uint8Array<ArrayBuffer> }} Body */

/**
 * @typedef {object} Said
 * @property {string} id          the event's id; '' before the hub has it
 * @property {number} time        milliseconds since 1970
 * @property {string} from        who published it: a session or user id; '' when unknown
 * @property {string} nick
 * @property {boolean} mine
 * @property {string | null} whisper  for whom alone it is: a nickname; null for the room
 * @property {Transport | null} via   the transport it came by
 * @property {string} ref         the sender's mark, by which it knows its own again
 * @property {Body} body
 */

/**
 * What a talk tells the page.
 * @typedef {object} Page
 * @property {(said: Said) => void} said
 * @property {(person: Person, time: number, count?: number) => void} joined
 * @property {(person: Person, time: number, count?: number) => void} left
 * @property {(count: number) => void} counted
 * @property {(people: Person[], self: string) => void} people
 * @property {(reason: string) => void} gap
 * @property {() => void} state
 * @property {(error: unknown) => void} refused  the hub will not have this page, or this room
 * @property {(to: Transport | null, reason: string) => void} transport
 */

/**
 * Ids that this page had: a new nickname, or a hub that was restarted, gives a new one.
 * @type {Set<string>}
 */
const selves = new Set()

export class Talk {
  #page
  #nickname
  #closing = new AbortController()
  /** @type {AbortController | null} ends what listens to the present room */
  #leaving = null
  /** @type {any} the present room's channel */
  #channel = null

  /**
   * @param {string} nickname
   * @param {Way} use
   * @param {Page} page
   */
  constructor(nickname, use, page) {
    this.#page = page
    this.#nickname = nickname
    this.hub = connect(HUB, { info: { name: nickname }, signal: this.#closing.signal })
    if (use !== 'auto') this.use(use)
    const { signal } = this.#closing
    this.hub.addEventListener('state', (/** @type {any} */ event) => {
      this.#noteSelf()
      page.state()
      if (event.to === 'closed' && event.error) page.refused(event.error)
    }, { signal })
    this.hub.addEventListener('transport', (/** @type {any} */ event) => {
      page.state()
      page.transport(event.to, event.reason ?? '')
    }, { signal })
    this.hub.inbox.addEventListener('message', (/** @type {any} */ event) => page.said(this.#heard(event, nickname)), { signal })
    this.hub.inbox.addEventListener('gap', (/** @type {any} */ event) => page.gap(event.reason), { signal })
  }

  get self() {
    return this.hub.session?.id ?? ''
  }

  /** @param {Way} way */
  use(way) {
    return this.hub.use(way)
  }

  /** @param {string} room */
  enter(room) {
    this.#leaving?.abort()
    this.#channel?.close()
    const leaving = new AbortController()
    const { signal } = leaving
    const page = this.#page
    const channel = this.hub.channel(room, { since: SINCE_ON_ENTERING, presence: true })
    this.#leaving = leaving
    this.#channel = channel
    channel.addEventListener('message', (/** @type {any} */ event) => page.said(this.#heard(event, null)), { signal })
    channel.addEventListener('gap', (/** @type {any} */ event) => page.gap(event.reason), { signal })
    channel.addEventListener('join', (/** @type {any} */ event) => page.joined(personOf(event.member), timeOf(event), event.count), { signal })
    channel.addEventListener('leave', (/** @type {any} */ event) => page.left(personOf(event.member), timeOf(event), event.count), { signal })
    channel.addEventListener('count', (/** @type {any} */ event) => page.counted(event.count), { signal })
    channel.addEventListener('error', (/** @type {any} */ event) => page.refused(event.error), { signal })
    channel.addEventListener('members', () => this.#learnPeople(channel, signal), { signal })
    this.hub.addEventListener('state', (/** @type {any} */ event) => {
      if (event.to === 'connected') this.#learnPeople(channel, signal)
    }, { signal })
    this.#learnPeople(channel, signal)
  }

  /**
   * @param {Body} body
   * @param {Person | null} to  one person alone, or the room
   * @returns {{ said: Said, send: () => Promise<{ via: Transport | null, id: string }> }}
   *   what to show while it is on its way, and what sends it (again)
   */
  say(body, to) {
    const ref = crypto.getRandomValues(new Uint32Array(2)).join('-')
    const nick = this.#nickname
    const channel = this.#channel
    const said = { id: '', time: Infinity, from: this.self, nick, mine: true, whisper: to?.nick ?? null, via: null, ref, body }
    const send = async () => {
      // Somebody's inbox is only written to; the handle is given back, or each talk would leave one.
      const place = to ? this.hub.channel(`@${to.id}`) : channel
      try {
        const { id } = await ('text' in body
          ? place.publish({ text: body.text, nick, ref }, { name: TEXT_EVENT })
          : place.publish(packFile({ ...body.head, nick, ref }, body.bytes), { name: FILE_EVENT }))
        return { id, via: this.hub.transport }
      } finally {
        if (to) place.close()
      }
    }
    return { said, send }
  }

  close() {
    this.#leaving?.abort()
    this.#closing.abort()
    this.hub.close()
  }

  #noteSelf() {
    if (this.self) selves.add(this.self)
  }

  /**
   * @param {any} event  of the client
   * @param {string | null} whisper  this person's own nickname when it came to the inbox
   * @returns {Said}
   */
  #heard(event, whisper) {
    this.#noteSelf()
    const { nick, ref, body } = contentOf(event.data)
    const from = typeof event.from === 'string' ? event.from : ''
    const via = event.via ?? this.hub.transport
    const mine = selves.has(from)
    return { id: event.id, time: timeOf(event), from, nick: nick || NAMELESS, mine, whisper, via, ref, body }
  }

  /** @param {any} channel @param {AbortSignal} signal @param {number} [asksLeft] */
  async #learnPeople(channel, signal, asksLeft = ASKS_MOST) {
    try {
      const members = await channel.members()
      if (signal.aborted) return
      this.#noteSelf()
      const people = members.map(personOf)
      this.#page.people(people, this.self)
      // A list without oneself was made before one was in: those who came beside are missing too.
      if (people.length < MEMBERS_MOST && !people.some((/** @type {Person} */ { id }) => id === this.self)) this.#askAgain(channel, signal, asksLeft)
    } catch {
      this.#askAgain(channel, signal, asksLeft)
    }
  }

  /** @param {any} channel @param {AbortSignal} signal @param {number} asksLeft */
  #askAgain(channel, signal, asksLeft) {
    if (signal.aborted || asksLeft === 0) return
    const timer = setTimeout(() => this.hub.state === 'connected' && this.#learnPeople(channel, signal, asksLeft - 1), ASK_AGAIN_MS)
    signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  }
}

/** @param {{ time?: number }} event */
const timeOf = (event) => (typeof event.time === 'number' ? event.time : Date.now())

/** @param {{ id: string, info?: { name?: unknown } }} member @returns {Person} */
const personOf = (member) => ({ id: String(member.id), nick: cleanNickname(member.info?.name) || NAMELESS })

/**
 * Anybody may publish anything into a room, by curl or by another page: words
 * of ours, plain text, any JSON, bytes. All of it is shown as what it is.
 * @param {unknown} data
 * @returns {{ nick: string, ref: string, body: Body }}
 */
function contentOf(data) {
  if (data instanceof ArrayBuffer) {
    const { head, bytes } = unpackFile(data)
    return { nick: head.nick, ref: head.ref, body: { head, bytes } }
  }
  if (typeof data === 'string') return { nick: '', ref: '', body: { text: data } }
  const { nick, ref, text } = /** @type {Record<string, unknown>} */ (data ?? {})
  if (typeof text !== 'string') return { nick: cleanNickname(nick), ref: '', body: { text: JSON.stringify(data) } }
  return { nick: cleanNickname(nick), ref: typeof ref === 'string' ? ref : '', body: { text } }
}
