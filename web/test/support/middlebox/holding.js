/**
 * How middleboxes hold the body of a response, in the ways that were observed. Knows no socket and no HTTP: pieces
 * go in, pieces come out.
 */
import { createGzip } from 'node:zlib'

/**
 * @typedef {'whole' | 'body' | 'lag' | 'gzip' | 'drip' | number} Hold
 *   `whole`: nothing before the end, not even the head. `body`: only the head before the end. `lag`: each piece
 *   when the next one arrives. `gzip`: compressed and never flushed. `drip`: nothing is held, but each byte is
 *   sent alone. A number: blocks of this many bytes.
 */

/**
 * @callback Pour
 * @param {Buffer} piece
 * @returns {void}
 */

/** Holds the pieces that are poured in. Released pieces are passed to `out`. @param {Hold | undefined} hold @param {Pour} out */
export function holding(hold, out) {
  if (hold === 'gzip') return compressing(out)
  if (hold === 'lag') return lagging(out)
  if (hold === 'drip') return blocks(1, out)
  if (typeof hold === 'number') return blocks(hold, out)
  if (hold) return blocks(Infinity, out)
  return { pour: out, end: (/** @type {() => void} */ done) => done() }
}

/** @param {number} size in bytes @param {Pour} out */
function blocks(size, out) {
  let held = Buffer.alloc(0)
  return {
    pour(/** @type {Buffer} */ piece) {
      held = Buffer.concat([held, piece])
      while (held.length >= size) {
        out(held.subarray(0, size))
        held = held.subarray(size)
      }
    },
    end(/** @type {() => void} */ done) {
      if (held.length) out(held)
      done()
    },
  }
}

/** @param {Pour} out */
function lagging(out) {
  /** @type {Buffer | undefined} */
  let held
  return {
    pour(/** @type {Buffer} */ piece) {
      if (held) out(held)
      held = piece
    },
    end(/** @type {() => void} */ done) {
      if (held) out(held)
      done()
    },
  }
}

/** @param {Pour} out */
function compressing(out) {
  const gzip = createGzip()
  gzip.on('data', out)
  return {
    pour: (/** @type {Buffer} */ piece) => void gzip.write(piece),
    end(/** @type {() => void} */ done) {
      gzip.on('end', done)
      gzip.end()
    },
  }
}
