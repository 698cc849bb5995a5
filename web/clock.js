/**
 * The ladder's clock: the page's time made monotonic, when to wake, and what a late timer excuses.
 * Pure: time comes in as an argument. Knows no attempt.
 */

/** A timer that is later than this, in ms, shows that the page slept. */
const SLEEP_MS = 5000
/** A timer that is later than this, in ms, shows that the page was busy, and that frames may wait to be read. */
const BUSY_MS = 100
/** Time for those frames, in ms, in which none is judged to be missing. */
const GRACE_MS = 100
/** Late timers in a row that excuse missing frames. Timers of hidden pages are always late. */
const VISIBLE_EXCUSES = 5
const HIDDEN_EXCUSES = 1
/** Grace for a page that becomes visible, in ms: it may have been frozen. */
const VISIBLE_GRACE_MS = 1500
/** A page that was hidden longer than this, in ms, may be on another network. */
const HIDDEN_LONG_MS = 300_000

export class Clock {
  now = 0
  /** When to wake, by the page's clock. */
  wakeAt = Infinity
  /** How far the page's clock was set back, in ms. */
  shiftMs = 0
  /** Observations may be waiting: nothing is judged to be missing before then. */
  graceUntil = 0
  /** Late observations in a row. */
  excuses = 0
  /** When the page was hidden; 0 while it is visible. */
  hiddenAt = 0
  /** Least difference between the page's clock and the hub's, in ms; a little more with each event, since clocks drift. */
  skewMs = Infinity

  /** Whether the page was busy just now. */
  get isBusy() {
    return this.now < this.graceUntil
  }

  get isHidden() {
    return this.hiddenAt > 0
  }

  /** @param {number} at by the page's clock @returns {boolean} whether the page slept, or its clock was set forward */
  advance(at) {
    // A clock that was set back continues from where it was: no moment comes later by it.
    this.shiftMs = Math.max(this.shiftMs, Math.ceil(this.now - at))
    this.now = at + this.shiftMs
    const lateMs = at - this.wakeAt
    this.excuses = lateMs > BUSY_MS ? this.excuses + 1 : 0
    if (this.excuses && this.excuses <= (this.isHidden ? HIDDEN_EXCUSES : VISIBLE_EXCUSES)) this.graceUntil = this.now + GRACE_MS
    if (lateMs <= SLEEP_MS) return false
    this.skewMs = Infinity
    return true
  }

  /** Whether a moment has come; if not, it is one to wake at. @param {number} at */
  hasPassed(at) {
    if (this.now >= at) return true
    // Timers count whole milliseconds: never wake before the moment.
    this.wakeAt = Math.min(this.wakeAt, Math.ceil(at - this.shiftMs))
    return false
  }

  /** Whether something that did not happen until then is missing. @param {number} at */
  isMissing(at) {
    return this.hasPassed(Math.max(at, this.graceUntil))
  }

  /** How late a frame is, in ms, compared with the fastest so far. @param {number} [time] by the hub's clock */
  lateness(time) {
    if (!time) return 0
    const lateMs = this.now - time - this.skewMs
    this.skewMs = Math.min(this.skewMs + 1, this.now - time)
    // What a busy page reads late did not arrive late.
    return this.isBusy ? 0 : lateMs
  }

  hide() {
    this.hiddenAt = this.now
  }

  /** @returns {boolean} whether it was hidden for long */
  show() {
    const wasLong = this.now > this.hiddenAt + HIDDEN_LONG_MS
    this.hiddenAt = 0
    this.graceUntil = this.now + VISIBLE_GRACE_MS
    return wasLong
  }
}
