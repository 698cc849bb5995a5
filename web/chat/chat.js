/**
 * The chat page: ties the talk with the hub (talk.js) to what is on the page.
 *
 * This file decides what is shown when; how it is made, and how it travels, is
 * known by the files it imports.
 */
import { Composer } from './composer.js'
import { part, written } from './dom.js'
import { USUAL_LIMIT_BYTES } from './files.js'
import { noticeLine, pendingLine, saidLine } from './line.js'
import { Lines } from './lines.js'
import { cleanNickname, keepNickname, keepRoom, keptNickname, roomOf, roomRefusal } from './names.js'
import { People } from './people.js'
import { Side, wireSwitch } from './side.js'
import { Talk } from './talk.js'
import { TRANSPORTS, countText, gapText, refusalText } from './words.js'

/** After entering, what comes at once is history: shown, not read aloud line by line. In milliseconds. */
const HISTORY_MS = 1500
/** Gaps of one reason within this time are one for the reader, in milliseconds. */
const ONE_GAP_MS = 2000
/** Waiting lines (sent, not yet answered) on the page; the client's queue is bounded too. */
const WAITING_LINES = 200

/** @typedef {import('./talk.js').Said} Said */
/** @typedef {import('./talk.js').Body} Body */
/** @typedef {import('./people.js').Person} Person */
/** @typedef {ReturnType<typeof pendingLine>} Pending */

const tabStore = () => sessionStorage
const browserStore = () => localStorage
const log = part('log', HTMLElement)
const lines = new Lines(log, part('lines', HTMLElement), part('jump', HTMLButtonElement), part('nothing', HTMLElement))
const side = new Side()
const composer = new Composer(send, (words) => lines.add(noticeLine('note', Date.now(), words)))
const people = new People(part('people', HTMLElement), part('people-more', HTMLElement), { count: showCount, choose: choosePerson })

/** @type {Talk | null} */
let talk = null
/** The talk that the present room was entered with. @type {Talk | null} */
let enteredBy = null
let nickname = ''
/** Whether the room's people were learnt since it was entered. */
let knowsPeople = false
let lastGap = { reason: '', at: 0 }
let room = ''
let unseen = 0
/** What was sent and has not come back, by its mark. @type {Map<string, Pending>} */
const waiting = new Map()
/** @type {import('./words.js').Transport | null} */
let lastWay = null
/** @type {import('./talk.js').Way} */
let use = wayOf(new URLSearchParams(location.search).get('via'))

/**
 * @param {string | null} word  of the address: /?via=poll begins by long polling
 * @returns {import('./talk.js').Way}
 */
function wayOf(word) {
  return word === 'ws' || word === 'sse' || word === 'poll' ? word : 'auto'
}

/** @type {import('./talk.js').Page} */
const page = {
  said(said) {
    const own = said.mine && waiting.get(said.ref)
    if (own) {
      waiting.delete(said.ref)
      lines.remove(own)
    }
    lines.add(saidLine(said, choosePerson), { counts: !said.mine })
    if (document.hidden && !said.mine) showTitle(unseen + 1)
  },
  joined(person, time, count) {
    const isNew = !people.has(person.id)
    people.join(person, count)
    // Before it is known who was here, nobody is new; one's own coming is told there.
    if (isNew && knowsPeople && person.id !== talk?.self) lines.add(noticeLine('enter', time, written(person.nick), ' entered'))
  },
  left(person, time, count) {
    const wasHere = people.has(person.id)
    const nick = people.nickOf(person.id) ?? person.nick
    people.leave(person.id, count)
    if (wasHere && person.id !== talk?.self) lines.add(noticeLine('leave', time, written(nick), ' left'))
  },
  counted: (count) => people.counted(count),
  people(all, self) {
    people.replace(all, self)
    if (!knowsPeople) lines.add(noticeLine('enter', Math.max(Date.now(), lines.newest), 'You entered ', written(`#${room}`)))
    knowsPeople = true
    log.setAttribute('aria-busy', 'false')
  },
  gap(reason) {
    // The room and the inbox tell the same restart each; one line says it.
    const isTold = lastGap.reason === reason && Date.now() - lastGap.at < ONE_GAP_MS
    lastGap = { reason, at: Date.now() }
    if (!isTold) lines.add(noticeLine('gap', lines.newest || Date.now(), gapText(reason)))
  },
  state() {
    if (talk) side.show(talk.hub)
  },
  refused(error) {
    const wayOut = talk?.hub.state === 'closed' ? ' Load the page again to try once more.' : ''
    composer.trouble(refusalText(error, 0, USUAL_LIMIT_BYTES) + wayOut)
  },
  transport(to, reason) {
    // A cut goes from one to none to another; what a person wants to know is the two.
    const before = lastWay
    if (to === null) return
    lastWay = to
    if (before === null || before === to) return
    // What the person chose needs no reason.
    const why = reason && reason !== 'asked' ? ` (${reason})` : ''
    lines.add(noticeLine('note', lines.newest || Date.now(), `The way changed from ${TRANSPORTS[before].long} to ${TRANSPORTS[to].long}${why}`))
  },
}

/** @param {Body} body @param {Person | null} to */
function send(body, to) {
  if (!talk) return
  const { said, send: publish } = talk.say(body, to)
  const line = pendingLine(said, {
    again: () => attempt(),
    drop: () => {
      waiting.delete(said.ref)
      lines.remove(line)
      composer.focus()
    },
  })
  const attempt = () => {
    line.waiting()
    publish().then(
      ({ id, via }) => arrived(said, line, id, via),
      (error) => {
        const bytes = 'text' in body ? new TextEncoder().encode(body.text).length : body.bytes.length
        line.failed(refusalText(error, bytes, USUAL_LIMIT_BYTES))
      },
    )
  }
  waiting.set(said.ref, line)
  if (waiting.size > WAITING_LINES) waiting.delete(waiting.keys().next().value ?? '')
  lines.add(line, { follow: true })
  attempt()
}

/**
 * The hub has it. A room's line is replaced when it comes back as an event; a
 * private one goes to its reader only, so it is settled here.
 * @param {Said} said @param {Pending} line @param {string} id
 * @param {import('./words.js').Transport | null} via
 */
function arrived(said, line, id, via) {
  if (!waiting.has(said.ref)) return // its event was here before the answer
  line.sent(via ?? '')
  if (said.whisper === null) return
  waiting.delete(said.ref)
  lines.remove(line)
  lines.add(saidLine({ ...said, id, via, time: Math.max(Date.now(), lines.newest) }), { follow: true })
}

/** @param {Person} person */
function choosePerson(person) {
  if (person.id === talk?.self) return
  side.close()
  const isHere = people.has(person.id)
  composer.trouble(isHere ? '' : `${person.nick} is not in this room now, and may not read it.`)
  composer.writeTo(person)
}

function enterRoom() {
  const wanted = roomOf(location.hash)
  const refusal = roomRefusal(wanted)
  composer.trouble(refusal && `The address names no room that can be entered. ${refusal}`)
  if (refusal || (wanted === room && enteredBy !== null && enteredBy === talk)) return
  room = wanted
  part('room-name', HTMLElement).textContent = `#${room}`
  log.setAttribute('aria-label', `Messages in ${room}`)
  side.rooms(keepRoom(browserStore, room), room)
  showTitle(0)
  if (!talk) return
  enteredBy = talk
  lines.clearRoom()
  waiting.clear()
  people.replace([], talk.self)
  knowsPeople = false
  log.setAttribute('aria-busy', 'true')
  setTimeout(() => log.setAttribute('aria-busy', 'false'), HISTORY_MS)
  talk.enter(room)
}

/** @param {string} name */
function begin(name) {
  nickname = name
  keepNickname(tabStore, browserStore, name)
  part('you', HTMLElement).textContent = name
  // A name is part of a session's presence: a new one is a new session.
  talk?.close()
  lastWay = null
  composer.writeTo(null)
  talk = new Talk(name, use, page)
  side.show(talk.hub)
  enterRoom()
}

function askName() {
  const dialog = part('welcome', HTMLDialogElement)
  part('nickname', HTMLInputElement).value = nickname
  part('welcome-cancel', HTMLButtonElement).hidden = talk === null
  if (!dialog.open) dialog.showModal()
  part('nickname', HTMLInputElement).select()
}

function wireWelcome() {
  const dialog = part('welcome', HTMLDialogElement)
  const input = part('nickname', HTMLInputElement)
  part('welcome-form', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault()
    const name = cleanNickname(input.value)
    part('nickname-trouble', HTMLElement).textContent = name ? '' : 'Please type a name.'
    input.setAttribute('aria-invalid', String(!name))
    if (!name) return input.focus()
    dialog.close()
    if (name !== nickname || !talk) begin(name)
    composer.focus()
  })
  part('welcome-cancel', HTMLButtonElement).addEventListener('click', () => dialog.close())
  part('rename', HTMLButtonElement).addEventListener('click', askName)
  // Without a name there is nothing behind the dialog, so Escape leads back to it.
  dialog.addEventListener('close', () => talk ?? askName())
}

/** @param {number} count */
function showCount(count) {
  part('count', HTMLElement).textContent = `${countText(count)} online`
  part('people-count', HTMLElement).textContent = countText(count)
  part('side-button', HTMLButtonElement).setAttribute('aria-label', `People and connection, ${countText(count)} online`)
}

/** @param {number} count  of what was said while nobody looked */
function showTitle(count) {
  unseen = count
  document.title = `${count > 0 ? `(${countText(count)}) ` : ''}#${room} · triway`
}

wireWelcome()
wireSwitch(use, (way) => {
  use = wayOf(way)
  Promise.resolve(talk?.use(use)).catch((error) => composer.trouble(refusalText(error, 0, USUAL_LIMIT_BYTES)))
})
addEventListener('hashchange', enterRoom)
document.addEventListener('visibilitychange', () => document.hidden || showTitle(0))
enterRoom()
const known = keptNickname(tabStore, browserStore)
if (known) begin(known)
else askName()
