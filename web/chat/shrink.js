/**
 * Makes a picture small enough to send: drawn anew, smaller, until it fits.
 * That also leaves behind what cameras write into pictures (the place, before all).
 *
 * This file knows the browser's canvas; it knows no hub, and only pictures that
 * the person in front of the page chose to send.
 */

/** Bytes of a picture that is worth opening for this; beyond it a phone may run out of memory. */
const OPENED_BYTES = 40 * 1024 * 1024
/** The longer side, in pixels, and the quality of each try: first the ones that look best. */
const TRIES = [[1600, 0.8], [1280, 0.75], [1024, 0.7], [800, 0.7], [640, 0.65], [480, 0.6], [320, 0.5]]
/** What is drawn anew. Moving pictures would stop moving, so GIF is left alone. */
const DRAWN_ANEW = /^image\/(png|jpeg|webp)$/

/**
 * @param {Blob} file
 * @param {number} limitBytes
 * @returns {Promise<{ bytes: Uint8Array<ArrayBuffer>, ending: string } | null>}
 *   null when it is no such picture, or will not fit
 */
export async function shrink(file, limitBytes) {
  if (!DRAWN_ANEW.test(file.type) || file.size > OPENED_BYTES) return null
  const picture = await createImageBitmap(file).catch(() => null)
  if (!picture) return null
  try {
    for (const [side = 0, quality] of TRIES) {
      const blob = await draw(picture, side, quality)
      if (!blob || blob.size > limitBytes) continue
      return { bytes: new Uint8Array(await blob.arrayBuffer()), ending: blob.type === 'image/webp' ? '.webp' : '.jpg' }
    }
    return null
  } finally {
    picture.close()
  }
}

/**
 * @param {ImageBitmap} picture @param {number} side @param {number | undefined} quality
 * @returns {Promise<Blob | null>}
 */
async function draw(picture, side, quality) {
  const scale = Math.min(1, side / Math.max(picture.width, picture.height))
  const canvas = document.createElement('canvas')
  canvas.width = Math.max(1, Math.round(picture.width * scale))
  canvas.height = Math.max(1, Math.round(picture.height * scale))
  const pen = canvas.getContext('2d')
  if (!pen) return null
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height)
  const as = (/** @type {string} */ type) => new Promise((/** @type {(blob: Blob | null) => void} */ done) => canvas.toBlob(done, type, quality))
  const webp = await as('image/webp')
  // A browser that cannot write WebP answers with a PNG instead, which is no smaller.
  return webp?.type === 'image/webp' ? webp : as('image/jpeg')
}
