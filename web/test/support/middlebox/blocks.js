/**
 * Leaves whole frames out of an event stream: a frame is one block, which an empty line ends. Knows how
 * blocks are framed, and nothing of what they say.
 */

/**
 * Which frames are left out, of an event stream or a WebSocket.
 * @typedef {object} Omit
 * @property {string} [of] only frames in which this text stands; any event where none is given
 * @property {number} [every] only one in so many of those
 * @property {number} [most] no more than so many, counted over all connections since the rules were set
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
