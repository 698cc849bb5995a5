/**
 * Makes the lines of the log: something said, a file, a notice.
 *
 * This file knows no hub and no scrolling. What people wrote goes in as text
 * nodes; files are offered as bytes to save; pictures are shown only when their
 * own first bytes say that they are pictures.
 */
import { make, written } from './dom.js'
import { inertBlob } from './files.js'
import { pictureIn } from './pictures.js'
import { clockText, exactText, sizeText, TRANSPORTS } from './words.js'

/** @typedef {import('./lines.js').Line} Line */
/** @typedef {import('./talk.js').Said} Said */

/** Letters beyond which a text gets its own scrolling box, so that it cannot bury the others. */
const LONG_TEXT_LETTERS = 2000
/** Steps of the colour circle between two people, as far apart as few people need. */
const HUES = 24

/**
 * @param {Said} said
 * @param {(person: { id: string, nick: string }) => void} [onName]  a click on the name
 * @returns {Line}
 */
export function saidLine(said, onName) {
  const body = 'text' in said.body ? textBody(said.body.text) : fileBody(said.body.head.file, said.body.bytes)
  const element = make(
    'div',
    { class: classesOf(said), 'data-id': said.id || undefined },
    make('span', { class: 'face', 'aria-hidden': 'true' }, [...said.nick][0] ?? '·'),
    make('p', { class: 'head' }, nameOf(said, onName), whisperOf(said), whenOf(said.time), viaOf(said)),
    ...body.nodes,
  )
  element.style.setProperty('--hue', String(hueOf(said.from || said.nick)))
  return {
    element,
    time: said.time,
    heading: `${said.mine ? 'me' : said.from} ${said.nick} ${said.whisper ?? ''}`,
    kept: said.whisper !== null,
    bytes: body.bytes,
    release: body.release,
  }
}

/**
 * A line on its way: it stays at the end until the hub has it.
 * @param {Said} said
 * @param {{ again: () => void, drop: () => void }} after  what the person may do when it fails
 * @returns {Line & { sent: (via: string) => void, failed: (why: string) => void, waiting: () => void }}
 */
export function pendingLine(said, after) {
  const line = saidLine({ ...said, time: Infinity })
  const state = make('span', { class: 'sending' })
  const failure = make('div', { class: 'failure', role: 'alert' })
  line.element.querySelector('.head')?.append(state)
  line.element.append(failure)
  const show = (/** @type {string} */ className, /** @type {string} */ sign, /** @type {string} */ words) => {
    line.element.classList.remove('pending', 'failed')
    if (className) line.element.classList.add(className)
    state.replaceChildren(sign, make('span', { class: 'sr' }, words))
    failure.replaceChildren()
  }
  const waiting = () => show('pending', '…', 'sending')
  waiting()
  return {
    ...line,
    waiting,
    sent: (via) => show('', '✓', `sent by ${viaText(via)}`),
    failed: (why) => {
      const again = make('button', { type: 'button', class: 'quiet' }, 'Send again')
      const drop = make('button', { type: 'button', class: 'quiet' }, 'Discard')
      again.addEventListener('click', after.again)
      drop.addEventListener('click', after.drop)
      show('failed', '!', 'not sent')
      failure.append(make('p', { class: 'trouble' }, `Not sent. ${why}`), again, ' ', drop)
    },
  }
}

/**
 * What the page itself says: enter, leave, gap, change of transport.
 * @param {'enter' | 'leave' | 'gap' | 'note'} kind
 * @param {number} time  milliseconds since 1970
 * @param {...(Node | string)} words
 * @returns {Line}
 */
export function noticeLine(kind, time, ...words) {
  const element = make('p', { class: `line notice ${kind}` }, make('span', {}, ...words), ' ', whenOf(time))
  return { element, time, heading: '', kept: false, bytes: 0, release: () => {} }
}

/** @param {Said} said */
function classesOf({ mine, whisper }) {
  return ['line', 'said', mine && 'mine', whisper !== null && 'private'].filter(Boolean).join(' ')
}

/** @param {Said} said @param {((person: { id: string, nick: string }) => void) | undefined} onName */
function nameOf({ mine, from, nick }, onName) {
  if (mine || !onName || from === '') return make('strong', { class: 'who' }, written(nick))
  // Reached by mouse, touch and a screen reader's browsing; the Tab key has the
  // list of people, or it would stop a thousand times on its way through here.
  const button = make('button', { type: 'button', class: 'who', tabindex: -1, title: 'Write to this person alone' }, written(nick))
  button.addEventListener('click', () => onName({ id: from, nick }))
  return button
}

/** @param {Said} said */
function whisperOf({ mine, whisper }) {
  if (whisper === null) return ''
  const words = mine ? ['private, to ', written(whisper)] : ['private']
  return make('span', { class: 'badge' }, ...words)
}

/** @param {number} time */
function whenOf(time) {
  if (time === Infinity) return ''
  return make('time', { datetime: new Date(time).toISOString(), title: exactText(time) }, clockText(time))
}

/** @param {Said} said */
function viaOf({ via, time }) {
  if (!via || time === Infinity) return ''
  return make('span', { class: `via ${via}`, title: `came by ${TRANSPORTS[via].long}` }, make('span', { class: 'sr' }, 'by '), TRANSPORTS[via].short)
}

/** @param {string} via */
const viaText = (via) => TRANSPORTS[/** @type {import('./words.js').Transport} */ (via)]?.short ?? 'the hub'

/** @param {string} text */
function textBody(text) {
  const long = text.length > LONG_TEXT_LETTERS
  const element = make('p', { class: long ? 'text long' : 'text', dir: 'auto', lang: '', tabindex: long ? 0 : undefined }, text)
  return { nodes: [element], bytes: 0, release: () => {} }
}

/**
 * @param {string} name
 * @param {Uint8Array<ArrayBuffer>} bytes
 */
function fileBody(name, bytes) {
  const address = URL.createObjectURL(inertBlob(bytes))
  const size = make('span', { class: 'small' }, sizeText(bytes.length))
  const link = make('a', { class: 'save', href: address, download: name }, written(name), size)
  const words = make('p', { class: 'file' }, link)
  const picture = pictureIn(bytes)
  const shown = picture && URL.createObjectURL(new Blob([bytes], { type: picture.type }))
  const image = picture && shown !== null ? make('img', { class: 'picture', src: shown, alt: `Picture ${name}`, width: picture.width, height: picture.height, decoding: 'async' }) : null
  // A picture whose first bytes promised more than the rest holds is only a file.
  if (image) image.addEventListener('error', () => image.remove())
  const release = () => {
    URL.revokeObjectURL(address)
    if (shown) URL.revokeObjectURL(shown)
    link.removeAttribute('href')
    link.removeAttribute('download')
    words.append(' (no longer held by this page)')
    image?.remove()
  }
  return { nodes: image ? [image, words] : [words], bytes: bytes.length, release }
}

/**
 * The same colour for the same person on every page.
 * @param {string} id
 */
export function hueOf(id) {
  let sum = 0
  for (let at = 0; at < id.length; at++) sum = (sum * 31 + id.charCodeAt(at)) % 9973
  return (sum % HUES) * (360 / HUES)
}
