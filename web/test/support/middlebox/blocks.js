/**
 * Omits whole frames from an event stream. A frame is one block, which an empty line ends. Knows how blocks are
 * framed, but not what they contain.
 */

/**
 * Which frames of an event stream or a WebSocket are omitted.
 * @typedef {object} Omit
 * @property {string} [of] only frames that contain this text; any event by default
 * @property {number} [every] only one in this many of them
 * @property {number} [most] no more than this many, counted over all connections since the rules were set
 */

const END = '\n\n'

/** @param {(text: string) => boolean} isLeftOut @param {(bytes: Buffer) => void} out */
export function omitting(isLeftOut, out) {
  let rest = Buffer.alloc(0)
  return (/** @type {Buffer} */ bytes) => {
    rest = Buffer.concat([rest, bytes])
    /** @type {Buffer[]} */
    const kept = []
    for (let end = rest.indexOf(END); end >= 0; end = rest.indexOf(END)) {
      const block = rest.subarray(0, end + END.length)
      rest = rest.subarray(end + END.length)
      if (!isLeftOut(String(block))) kept.push(block)
    }
    if (kept.length) out(Buffer.concat(kept))
  }
}
