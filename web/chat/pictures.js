/**
 * Which bytes are shown as a picture: an allow-list of four formats, known by
 * their own first bytes, with their size in pixels. Everything else (SVG and
 * HTML before all) is a file to save and nothing more.
 *
 * Pure: it reads bytes and knows no element. It does not decode pictures; the
 * browser does, in an `<img>`, which runs nothing.
 */

/** Pixels in a picture shown here: some 100 bytes can claim gigabytes of pixels. */
export const SHOWN_PIXELS = 24_000_000

/**
 * @typedef {object} Picture
 * @property {'image/png' | 'image/jpeg' | 'image/gif' | 'image/webp'} type
 * @property {number} width   pixels
 * @property {number} height  pixels
 */

/**
 * @param {Uint8Array} bytes
 * @returns {Picture | null} null when this is not shown as a picture
 */
export function pictureIn(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const picture = png(bytes, view) ?? gif(bytes, view) ?? webp(bytes, view) ?? jpeg(bytes, view)
  if (picture === null || picture.width === 0 || picture.height === 0) return null
  return picture.width * picture.height <= SHOWN_PIXELS ? picture : null
}

/** @param {Uint8Array} bytes @param {number} from @param {string} text  ASCII */
function has(bytes, from, text) {
  if (bytes.length < from + text.length) return false
  for (let at = 0; at < text.length; at++) if (bytes[from + at] !== text.charCodeAt(at)) return false
  return true
}

/** @param {Uint8Array} bytes @param {DataView} view @returns {Picture | null} */
function png(bytes, view) {
  if (bytes.length < 24 || !has(bytes, 0, '\x89PNG\r\n\x1a\n') || !has(bytes, 12, 'IHDR')) return null
  return { type: 'image/png', width: view.getUint32(16), height: view.getUint32(20) }
}

/** @param {Uint8Array} bytes @param {DataView} view @returns {Picture | null} */
function gif(bytes, view) {
  if (bytes.length < 10 || !(has(bytes, 0, 'GIF87a') || has(bytes, 0, 'GIF89a'))) return null
  return { type: 'image/gif', width: view.getUint16(6, true), height: view.getUint16(8, true) }
}

/** @param {Uint8Array} bytes @param {DataView} view @returns {Picture | null} */
function webp(bytes, view) {
  if (bytes.length < 30 || !has(bytes, 0, 'RIFF') || !has(bytes, 8, 'WEBP')) return null
  const type = 'image/webp'
  if (has(bytes, 12, 'VP8X')) {
    const width = 1 + (view.getUint32(24, true) & 0xffffff)
    return { type, width, height: 1 + (view.getUint16(27, true) | (view.getUint8(29) << 16)) }
  }
  if (has(bytes, 12, 'VP8L') && bytes[20] === 0x2f) {
    const bits = view.getUint32(21, true)
    return { type, width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff) }
  }
  if (has(bytes, 12, 'VP8 ') && has(bytes, 23, '\x9d\x01\x2a')) {
    return { type, width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff }
  }
  return null
}

/**
 * A JPEG tells its size in the first "start of frame" segment; the segments
 * before it are stepped over by their lengths.
 * @param {Uint8Array} bytes @param {DataView} view @returns {Picture | null}
 */
function jpeg(bytes, view) {
  if (!has(bytes, 0, '\xff\xd8\xff')) return null
  let at = 2
  while (at + 9 <= bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1] ?? 0
    if (marker === 0xff) {
      at += 1 // a fill byte before the marker
      continue
    }
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)
    if (isFrame) return { type: 'image/jpeg', height: view.getUint16(at + 5), width: view.getUint16(at + 7) }
    at += 2 + view.getUint16(at + 2)
  }
  return null
}
