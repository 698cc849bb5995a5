/**
 * The log on the page: lines in the order of their times, bounded, kept at its
 * end while the reader is there.
 *
 * This file does not know what is in a line (line.js makes them) and no hub.
 */
import { make } from './dom.js'
import { countText, dayText } from './words.js'

/** Lines on the page. More would make a phone slow, and nobody scrolls further. */
export const SHOWN_LINES = 1000
/** Bytes of files held for saving, in all lines together; beyond it the oldest give way. */
export const HELD_FILE_BYTES = 64 * 1024 * 1024
/** Pixels from the end within which the reader counts as being there: about two lines. */
const AT_END_PIXELS = 48
/** Lines of one person within this time, in milliseconds, share one heading. */
const ONE_HEADING_MS = 5 * 60 * 1000

/**
 * @typedef {object} Line
 * @property {HTMLElement} element
 * @property {number} time      milliseconds since 1970; Infinity keeps it at the end
 * @property {string} heading   lines with the same one may share a heading; '' never does
 * @property {boolean} kept     stays when another room is entered
 * @property {number} bytes     of a file that the line holds
 * @property {() => void} release  gives up what the line holds (blob addresses)
 */

export class Lines {
  #scroller
  #place
  #jump
  #nothing
  /** @type {Line[]} as on the page */
  #lines = []
  #heldBytes = 0
  #atEnd = true
  #top = 0
  #unread = 0
  #settling = false

  /**
   * @param {HTMLElement} scroller  the log
   * @param {HTMLElement} place  inside it, where the lines stand
   * @param {HTMLButtonElement} jump  leads to the end
   * @param {HTMLElement} nothing  what is said while there is no line
   */
  constructor(scroller, place, jump, nothing) {
    this.#scroller = scroller
    this.#place = place
    this.#jump = jump
    this.#nothing = nothing
    scroller.addEventListener('scroll', () => this.#look(), { passive: true })
    jump.addEventListener('click', () => {
      this.toEnd()
      scroller.focus({ preventScroll: true })
    })
    // Lines also grow by themselves: a picture, a refusal, another width.
    const sizes = new ResizeObserver(() => this.#settle())
    sizes.observe(scroller)
    sizes.observe(place)
  }

  /**
   * Puts a line where its time says: nearly always the end, so the search
   * begins there.
   * @param {Line} line
   * @param {{ follow?: boolean, counts?: boolean }} [how]  `follow` goes to the
   *   end whatever the reader does; `counts` makes it one to be read
   */
  add(line, { follow = false, counts = false } = {}) {
    let at = this.#lines.length
    while (at > 0 && (this.#lines[at - 1]?.time ?? 0) > line.time) at--
    this.#place.insertBefore(line.element, this.#lines[at]?.element ?? null)
    this.#lines.splice(at, 0, line)
    this.#heldBytes += line.bytes
    this.#regroup(at)
    this.#regroup(at + 1)
    if (follow) this.#atEnd = true
    else if (counts && !this.#atEnd) this.#unread++
    this.#bound()
    this.#settle()
  }

  /** @param {Line} line */
  remove(line) {
    const at = this.#lines.indexOf(line)
    if (at < 0) return
    this.#lines.splice(at, 1)
    this.#drop(line)
    this.#regroup(at)
    this.#settle()
  }

  /** Another room: only what belongs to no room stays. */
  clearRoom() {
    const gone = this.#lines.filter((line) => !line.kept)
    this.#lines = this.#lines.filter((line) => line.kept)
    for (const line of gone) this.#drop(line)
    for (let at = 0; at < this.#lines.length; at++) this.#regroup(at)
    this.toEnd()
  }

  toEnd() {
    this.#atEnd = true
    this.#settle()
  }

  /** The time of the newest line that has one, in milliseconds since 1970. */
  get newest() {
    for (let at = this.#lines.length - 1; at >= 0; at--) {
      const time = this.#lines[at]?.time ?? Infinity
      if (time !== Infinity) return time
    }
    return 0
  }

  /** @param {Line} line */
  #drop(line) {
    this.#heldBytes -= line.bytes
    line.element.remove()
    line.release()
  }

  #bound() {
    while (this.#lines.length > SHOWN_LINES) {
      const oldest = this.#lines.shift()
      if (oldest) this.#drop(oldest)
      this.#regroup(0)
    }
    for (const line of this.#lines) {
      if (this.#heldBytes <= HELD_FILE_BYTES) return
      this.#heldBytes -= line.bytes
      line.bytes = 0
      line.release()
    }
  }

  /**
   * Whether the line at this place begins a day or a heading depends on the one
   * before it, so it is said anew whenever that changes.
   * @param {number} at
   */
  #regroup(at) {
    const line = this.#lines[at]
    if (!line) return
    const before = this.#lines[at - 1]
    const follows =
      before !== undefined && line.heading !== '' && before.heading === line.heading &&
      (line.time === Infinity || line.time - before.time < ONE_HEADING_MS)
    line.element.classList.toggle('follow', follows)
    const day = line.time === Infinity ? '' : dayText(line.time)
    const isNewDay = day !== '' && (before === undefined ? day !== dayText(Date.now()) : dayText(before.time) !== day)
    const shown = line.element.querySelector(':scope > .day')
    if (!isNewDay) shown?.remove()
    else if (!shown) line.element.prepend(make('p', { class: 'day' }, day))
  }

  #look() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller
    const isAtEnd = scrollHeight - scrollTop - clientHeight < AT_END_PIXELS
    // Only a person scrolls up; that a line grew since the last look is no leaving.
    if (isAtEnd) this.#atEnd = true
    else if (scrollTop < this.#top) this.#atEnd = false
    this.#top = scrollTop
    if (this.#atEnd) this.#unread = 0
    this.#tell()
  }

  /** One look at the layout for however many lines came: a flood must not measure each. */
  #settle() {
    if (this.#settling) return
    this.#settling = true
    // A hidden page draws no frames; there nothing has to be scrolled in time.
    const soon = document.hidden ? (/** @type {() => void} */ run) => setTimeout(run, 100) : requestAnimationFrame
    soon(() => {
      this.#settling = false
      if (this.#atEnd) this.#scroller.scrollTop = this.#scroller.scrollHeight
      this.#tell()
    })
  }

  #tell() {
    this.#nothing.hidden = this.#lines.length > 0
    this.#jump.hidden = this.#atEnd
    this.#jump.textContent = this.#unread > 0 ? `${countText(this.#unread)} new ↓` : 'To the newest ↓'
  }
}
