/**
 * What stands beside the talk: the drawer on a phone, the rooms, the state of
 * the connection, the switch between ways, and the report.
 *
 * This file reads a hub's state and report; it sends nothing.
 */
import { make, part, written } from './dom.js'
import { fragmentOf, roomRefusal } from './names.js'
import { whyText } from './why.js'
import { STATES, TRANSPORTS, countText } from './words.js'

/** Between two looks at round-trip time and report while somebody looks, in milliseconds. */
const LOOK_EVERY_MS = 2000

/** The part of the client that is read here. @typedef {{ state: string, transport: import('./words.js').Transport | null, rtt?: number | null, report?: () => unknown }} Hub */

export class Side {
  #side = part('side', HTMLElement)
  #button = part('side-button', HTMLButtonElement)
  #report = part('report', HTMLDetailsElement)
  /** @type {Hub | null} */
  #hub = null

  constructor() {
    this.#button.addEventListener('click', () => this.#open(!this.isOpen))
    part('side-close', HTMLButtonElement).addEventListener('click', () => this.close())
    this.#side.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && this.isOpen) this.close()
    })
    this.#report.addEventListener('toggle', () => this.#showReport())
    part('report-copy', HTMLButtonElement).addEventListener('click', (event) => this.#copy(/** @type {HTMLElement} */ (event.currentTarget)))
    const go = part('go', HTMLFormElement)
    go.addEventListener('submit', (event) => {
      event.preventDefault()
      this.#goTo(part('go-room', HTMLInputElement))
    })
    setInterval(() => {
      if (document.hidden) return
      this.#showTrip()
      if (this.#report.open) this.#showReport()
    }, LOOK_EVERY_MS)
  }

  /** Whether it lies over the talk, as it does on a phone. */
  get isOpen() {
    return this.#button.getAttribute('aria-expanded') === 'true'
  }

  close() {
    if (!this.isOpen) return
    this.#open(false)
    this.#button.focus()
  }

  /** @param {boolean} open */
  #open(open) {
    this.#button.setAttribute('aria-expanded', String(open))
    document.body.classList.toggle('side-open', open)
    part('main', HTMLElement).inert = open
    if (open) part('side-close', HTMLButtonElement).focus()
  }

  /** @param {Hub} hub */
  show(hub) {
    this.#hub = hub
    const { state, transport } = hub
    const way = state === 'connected' && transport ? TRANSPORTS[transport] : null
    const words = STATES[state] ?? state
    const told = way ? `${words} by ${way.long}` : words
    const place = part('state', HTMLElement)
    // Said again only when it changed: a live region repeats whatever is set.
    if (place.textContent !== told) place.textContent = told
    part('dot', HTMLElement).className = `dot ${state}`
    part('way', HTMLElement).textContent = way ? `${way.long} (${way.short})` : words
    document.documentElement.dataset.state = state
    document.documentElement.dataset.transport = transport ?? ''
    this.#report.hidden = typeof hub.report !== 'function'
    this.#showTrip()
    if (this.#report.open) this.#showReport()
  }

  #showTrip() {
    const rtt = this.#hub?.state === 'connected' ? this.#hub.rtt : null
    const words = typeof rtt === 'number' && rtt > 0 ? `${countText(Math.max(1, Math.round(rtt)))} ms there and back` : ''
    const place = part('rtt', HTMLElement)
    if (place.textContent !== words) place.textContent = words
  }

  async #showReport() {
    const hub = this.#hub
    if (!this.#report.open || !hub?.report) return
    const report = /** @type {import('./why.js').Report} */ (await hub.report())
    const words = String(report)
    if (hub !== this.#hub) return
    const place = part('report-text', HTMLElement)
    // An unchanged text is left alone, or what was marked in it would be lost.
    if (place.textContent === words) return
    place.textContent = words
    const { headline, tries } = whyText(report)
    part('report-why', HTMLElement).textContent = headline
    part('report-tries', HTMLElement).replaceChildren(...tries.map(({ time, text }) => make('li', {}, make('span', { class: 'small' }, time), ' ', text)))
  }

  /** @param {HTMLElement} button */
  async #copy(button) {
    const text = part('report-text', HTMLElement)
    try {
      await navigator.clipboard.writeText(text.textContent ?? '')
      button.textContent = 'Copied'
    } catch {
      // No clipboard without HTTPS: mark the text, so that one key copies it.
      getSelection()?.selectAllChildren(text)
    }
  }

  /** @param {HTMLInputElement} input */
  #goTo(input) {
    const room = input.value.trim().replace(/^#/, '')
    const refusal = roomRefusal(room)
    part('go-trouble', HTMLElement).textContent = refusal
    input.setAttribute('aria-invalid', String(refusal !== ''))
    if (refusal) return input.focus()
    input.value = ''
    location.hash = fragmentOf(room)
    this.close()
  }

  /** @param {string[]} rooms @param {string} present */
  rooms(rooms, present) {
    const links = rooms.map((room) => {
      const link = make('a', { href: fragmentOf(room), 'aria-current': room === present ? 'page' : undefined }, '#', written(room))
      link.addEventListener('click', () => this.close())
      return make('li', {}, link)
    })
    part('rooms', HTMLElement).replaceChildren(...links)
  }
}

/**
 * The switch between ways.
 * @param {string} chosen  'auto' or a transport
 * @param {(way: string) => void} use
 */
export function wireSwitch(chosen, use) {
  const field = part('use', HTMLFieldSetElement)
  for (const input of field.querySelectorAll('input')) {
    input.checked = input.value === chosen
    input.addEventListener('change', () => input.checked && use(input.value))
  }
}
