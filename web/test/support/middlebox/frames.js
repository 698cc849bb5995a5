/**
 * How middleboxes change the frames of a WebSocket: drop the control frames, cut at a large one, forward them in
 * pieces, omit one, hold each until the next one arrives. Knows only how frames are framed (RFC 6455, section 5.2),
 * not what they contain.
 */

/**
 * @typedef {object} FrameRule
 * @property {boolean} [dropPings] pings and pongs are dropped
 * @property {number} [frameMost] a frame with more bytes of payload is not forwarded, and the connection is cut
 * @property {number} [fragment] data is forwarded in frames of this many bytes: a multiple of 4, so that the mask fits each
 * @property {import('./blocks.js').Omit} [omit] frames from the hub that are omitted
 * @property {boolean} [lag] each frame from the hub waits for the next one
 * @property {number} [lagAfterMs] lagging begins this long after the 101
 */

const TEXT = 1
const BINARY = 2
const PING = 9
const PONG = 10
const FINAL = 0x80

/** @typedef {{isFinal: boolean, opcode: number, mask: Buffer, payload: Buffer, whole: Buffer}} Frame */

/** @param {Buffer} bytes @returns {Frame | undefined} the first one, once it is there whole */
function parse(bytes) {
  if (bytes.length < 2) return
  const [first, second] = bytes
  let length = second & 0x7f
  let at = 2
  if (length === 126) {
    if (bytes.length < 4) return
    length = bytes.readUInt16BE(2)
    at = 4
  } else if (length === 127) {
    if (bytes.length < 10) return
    length = Number(bytes.readBigUInt64BE(2))
    at = 10
  }
  const maskLength = second & 0x80 ? 4 : 0
  const end = at + maskLength + length
  if (bytes.length < end) return
  return { isFinal: !!(first & FINAL), opcode: first & 0x0f, mask: bytes.subarray(at, at + maskLength), payload: bytes.subarray(at + maskLength, end), whole: bytes.subarray(0, end) }
}

/** @param {boolean} isFinal @param {number} opcode @param {Buffer} mask @param {Buffer} payload under 64 KiB */
function frame(isFinal, opcode, mask, payload) {
  const masked = mask.length ? 0x80 : 0
  const head = payload.length < 126 ? Buffer.from([0, masked | payload.length]) : Buffer.from([0, masked | 126, payload.length >> 8, payload.length & 0xff])
  head[0] = (isFinal ? FINAL : 0) | opcode
  return Buffer.concat([head, mask, payload])
}

/** Returns whether frames must be parsed at all. @param {FrameRule} rule */
const isFramed = ({ dropPings, frameMost, fragment, omit, lag }) => !!(dropPings || frameMost || fragment || omit || lag)

/**
 * Handles one direction. The rule may change meanwhile, but not whether frames are parsed.
 * @param {() => FrameRule} rule
 * @param {(bytes: Buffer) => void} out
 * @param {() => void} cut
 * @param {(text: string) => boolean} [isLeftOut] for the direction from the hub, which alone leaves out and lags
 * @returns {(bytes: Buffer) => void}
 */
export function framing(rule, out, cut, isLeftOut) {
  if (!isFramed(rule())) return out
  let rest = Buffer.alloc(0)
  const beganAt = Date.now()
  /** The frame that waits for the next one. @type {Buffer | undefined} */
  let waiting
  const pass = (/** @type {Buffer} */ bytes) => {
    const { lag, lagAfterMs = 0 } = rule()
    if (waiting) out(waiting)
    waiting = isLeftOut && lag && Date.now() >= beganAt + lagAfterMs ? bytes : undefined
    if (!waiting) out(bytes)
  }
  return (bytes) => {
    rest = Buffer.concat([rest, bytes])
    for (let one = parse(rest); one; one = parse(rest)) {
      rest = rest.subarray(one.whole.length)
      const { dropPings, frameMost = Infinity, fragment } = rule()
      const isData = one.opcode === TEXT || one.opcode === BINARY
      if (dropPings && (one.opcode === PING || one.opcode === PONG)) continue
      if (one.payload.length > frameMost) return cut()
      if (isData && isLeftOut?.(String(one.payload))) continue
      if (fragment && isData && one.payload.length > fragment) pieces(one, fragment).forEach(pass)
      else pass(one.whole)
    }
  }
}

/** @param {Frame} frame @param {number} size */
function pieces({ isFinal, opcode, mask, payload }, size) {
  const parts = []
  for (let at = 0; at < payload.length; at += size) parts.push(frame(isFinal && at + size >= payload.length, at ? 0 : opcode, mask, payload.subarray(at, at + size)))
  return parts
}
