/**
 * The ladder's clock: the page's time made monotonic, when to wake, and what a late timer excuses.
 * Pure: time comes in as an argument. Knows no attempt.
 */
export declare class Clock {
    now: number;
    /** When to wake, by the page's clock. */
    wakeAt: number;
    /** How far the page's clock was set back, in ms. */
    shiftMs: number;
    /** Observations may be waiting: nothing is judged to be missing before then. */
    graceUntil: number;
    /** Late observations in a row. */
    excuses: number;
    /** When the page was hidden; 0 while it is visible. */
    hiddenAt: number;
    /** Least difference between the page's clock and the hub's, in ms; a little more with each event, since clocks drift. */
    skewMs: number;
    /** Whether the page was busy just now. */
    get isBusy(): boolean;
    get isHidden(): boolean;
    /** @param {number} at by the page's clock @returns {boolean} whether the page slept, or its clock was set forward */
    advance(at: number): boolean;
    /** Whether a moment has come; if not, it is one to wake at. @param {number} at */
    hasPassed(at: number): boolean;
    /** Whether something that did not happen until then is missing. @param {number} at */
    isMissing(at: number): boolean;
    /** How late a frame is, in ms, compared with the fastest so far. @param {number} [time] by the hub's clock */
    lateness(time?: number): number;
    hide(): void;
    /** @returns {boolean} whether it was hidden for long */
    show(): boolean;
}
