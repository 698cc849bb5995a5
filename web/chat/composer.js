/**
 * The place to write: text, files, and for whom.
 *
 * This file knows the form and the keyboard; what happens to what was written
 * is the page's affair (`send`).
 */
import { part } from './dom.js'
import { HIGHEST_LIMIT_BYTES, USUAL_LIMIT_BYTES } from './files.js'
import { shrink } from './shrink.js'
import { sizeText } from './words.js'

/** Bytes kept free for the head before a file (its name, the nickname, the mark). */
const HEAD_ROOM_BYTES = 1024
/** Files taken in one go; more at once is more likely a slip than a wish. */
const FILES_AT_ONCE = 10

/** @typedef {import('./talk.js').Body} Body */
/** @typedef {import('./people.js').Person} Person */

export class Composer {
  #text = part('text', HTMLTextAreaElement)
  #file = part('file', HTMLInputElement)
  #whisper = part('whisper', HTMLElement)
  #trouble = part('trouble', HTMLElement)
  #send
  #note
  /** @type {Person | null} */
  #to = null

  /**
   * @param {(body: Body, to: Person | null) => void} send
   * @param {(words: string) => void} note  tells the person what was done for them
   */
  constructor(send, note) {
    this.#send = send
    this.#note = note
    part('limit', HTMLElement).textContent = `Files and pictures up to ${sizeText(USUAL_LIMIT_BYTES)}; larger pictures are made smaller.`
    const form = part('composer', HTMLFormElement)
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      this.#sendText()
    })
    this.#text.addEventListener('keydown', (event) => this.#onKey(event))
    this.#text.addEventListener('input', () => this.#grow())
    this.#text.addEventListener('paste', (event) => this.#take(event, event.clipboardData))
    part('attach', HTMLButtonElement).addEventListener('click', () => this.#file.click())
    this.#file.addEventListener('change', () => {
      this.#sendFiles([...(this.#file.files ?? [])])
      this.#file.value = ''
    })
    part('whisper-end', HTMLButtonElement).addEventListener('click', () => this.writeTo(null))
    this.#takeDrops(part('main', HTMLElement))
  }

  /** @param {Person | null} person  null is everyone in the room */
  writeTo(person) {
    this.#to = person
    this.#whisper.hidden = person === null
    part('whisper-name', HTMLElement).textContent = person?.nick ?? ''
    part('text-label', HTMLElement).textContent = person ? `Private message to ${person.nick}` : 'Message'
    part('composer', HTMLFormElement).classList.toggle('private', person !== null)
    this.#text.focus()
  }

  get to() {
    return this.#to
  }

  /** @param {string} words */
  trouble(words) {
    this.#trouble.textContent = words
  }

  focus() {
    this.#text.focus()
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    // While an input method composes, Enter chooses a word and sends nothing
    // (229 is what Safari says at the end of it).
    if (event.isComposing || event.keyCode === 229) return
    if (event.key === 'Enter' && !event.shiftKey && !event.altKey) {
      event.preventDefault()
      this.#sendText()
    } else if (event.key === 'Escape' && this.#to) {
      event.preventDefault()
      this.writeTo(null)
    }
  }

  #sendText() {
    const text = this.#text.value.replace(/\s+$/u, '').replace(/^\n+/, '')
    if (text === '') return this.#text.focus()
    this.trouble('')
    this.#text.value = ''
    this.#grow()
    this.#text.focus()
    this.#send({ text }, this.#to)
  }

  /** As tall as what was written, up to the bound in chat.css. */
  #grow() {
    this.#text.style.height = 'auto'
    this.#text.style.height = `${this.#text.scrollHeight}px`
  }

  /** @param {HTMLElement} place */
  #takeDrops(place) {
    place.addEventListener('dragover', (event) => {
      if (!event.dataTransfer?.types.includes('Files')) return
      event.preventDefault()
      place.classList.add('dropping')
    })
    for (const end of ['dragleave', 'drop']) place.addEventListener(end, () => place.classList.remove('dropping'))
    place.addEventListener('drop', (event) => this.#take(event, event.dataTransfer))
  }

  /** @param {Event} event @param {DataTransfer | null} transfer */
  #take(event, transfer) {
    const files = [...(transfer?.files ?? [])]
    if (files.length === 0) return
    event.preventDefault()
    this.#sendFiles(files)
  }

  /** @param {File[]} files */
  async #sendFiles(files) {
    this.trouble('')
    // For whom it is was settled when the files were chosen, not when they are read.
    const to = this.#to
    if (files.length > FILES_AT_ONCE) return this.trouble(`At most ${FILES_AT_ONCE} files at once.`)
    for (const file of files) await this.#sendFile(file, to)
    this.#text.focus()
  }

  /** @param {File} file @param {Person | null} to */
  async #sendFile(file, to) {
    try {
      const room = USUAL_LIMIT_BYTES - HEAD_ROOM_BYTES
      const smaller = file.size > room ? await shrink(file, room) : null
      if (smaller) {
        this.#note(`${file.name} was made smaller, from ${sizeText(file.size)} to ${sizeText(smaller.bytes.length)}.`)
        const name = file.name.replace(/\.[^.]*$/, '') + smaller.ending
        return this.#send({ head: { file: name, nick: '', ref: '' }, bytes: smaller.bytes }, to)
      }
      if (file.size > HIGHEST_LIMIT_BYTES) {
        return this.trouble(`${file.name} is too large: ${sizeText(file.size)}. No hub takes more than ${sizeText(HIGHEST_LIMIT_BYTES)} at once, and most take ${sizeText(USUAL_LIMIT_BYTES)}.`)
      }
      const bytes = new Uint8Array(await file.arrayBuffer())
      this.#send({ head: { file: file.name, nick: '', ref: '' }, bytes }, to)
    } catch {
      this.trouble(`${file.name} could not be read. A folder cannot be sent.`)
    }
  }
}
