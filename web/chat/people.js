/**
 * The list of who is here, and how many.
 *
 * This file knows names and ids; it does not know how presence is learnt.
 */
import { make, written } from './dom.js'
import { hueOf } from './line.js'
import { byName, countText } from './words.js'

/** People in the list. A longer list helps nobody find a name, and slows the page. */
const SHOWN_PEOPLE = 200
/** Last letters of an id that tell two people of one name apart: one in 32^4 are alike. */
const TAIL_LETTERS = 4

/** @typedef {{ id: string, nick: string }} Person */

export class People {
  /** @type {Map<string, Person>} */
  #people = new Map()
  /** @type {Map<string, HTMLElement>} */
  #items = new Map()
  #count = 0
  #drawing = false
  #list
  #more
  #onCount
  #onChoose
  #self = ''

  /**
   * @param {HTMLElement} list
   * @param {HTMLElement} more  says how many are not in the list
   * @param {{ count: (count: number) => void, choose: (person: Person) => void }} on
   */
  constructor(list, more, on) {
    this.#list = list
    this.#more = more
    this.#onCount = on.count
    this.#onChoose = on.choose
  }

  /**
   * @param {Person[]} people
   * @param {string} self  the id of this page's own session
   */
  replace(people, self) {
    this.#self = self
    this.#people = new Map(people.map((person) => [person.id, person]))
    this.#count = this.#people.size
    this.#draw()
  }

  /** @param {Person} person @param {number} [count] */
  join(person, count) {
    this.#people.set(person.id, person)
    this.#count = count ?? this.#people.size
    this.#draw()
  }

  /** @param {string} id @param {number} [count] */
  leave(id, count) {
    this.#people.delete(id)
    this.#count = count ?? this.#people.size
    this.#draw()
  }

  /** @param {number} count */
  counted(count) {
    this.#count = count
    this.#draw()
  }

  /** @param {string} id */
  has(id) {
    return this.#people.has(id)
  }

  /** @param {string} id */
  nickOf(id) {
    return this.#people.get(id)?.nick
  }

  /** Many may come at once; the list is drawn once for all of them. */
  #draw() {
    if (this.#drawing) return
    this.#drawing = true
    queueMicrotask(() => {
      this.#drawing = false
      this.#drawNow()
    })
  }

  #drawNow() {
    const self = this.#self
    const order = [...this.#people.values()].sort(
      (a, b) => Number(b.id === self) - Number(a.id === self) || byName(a.nick, b.nick) || (a.id < b.id ? -1 : 1),
    )
    const shown = order.slice(0, SHOWN_PEOPLE)
    const alike = new Map()
    for (const { nick } of order) alike.set(alikeOf(nick), (alike.get(alikeOf(nick)) ?? 0) + 1)
    const items = new Map(shown.map((person) => [person.id, this.#itemOf(person, alike.get(alikeOf(person.nick)) > 1)]))
    for (const [id, item] of this.#items) if (items.get(id) !== item) item.remove()
    this.#items = items
    // Only what is out of place moves, so that the focus stays where it is.
    let at = 0
    for (const item of items.values()) {
      const there = this.#list.children[at++]
      if (there !== item) this.#list.insertBefore(item, there ?? null)
    }
    const hidden = Math.max(this.#count, order.length) - shown.length
    this.#more.hidden = hidden <= 0
    this.#more.textContent = `and ${countText(hidden)} more`
    this.#onCount(Math.max(this.#count, shown.length))
  }

  /** @param {Person} person @param {boolean} isTwin  another has the same name */
  #itemOf(person, isTwin) {
    const isSelf = person.id === this.#self
    const words = `${person.nick}\n${isTwin}\n${isSelf}`
    const known = this.#items.get(person.id)
    if (known?.dataset.words === words) return known
    const tail = isTwin ? make('span', { class: 'small tail' }, ` ${person.id.slice(-TAIL_LETTERS)}`) : ''
    const inside = isSelf
      ? make('span', { class: 'person' }, written(person.nick), tail, make('span', { class: 'small' }, ' (you)'))
      : make('button', { type: 'button', class: 'person' }, written(person.nick), tail)
    if (!isSelf) inside.addEventListener('click', () => this.#onChoose(person))
    const item = make('li', { 'data-words': words }, inside)
    item.style.setProperty('--hue', String(hueOf(person.id)))
    return item
  }
}

/**
 * Names that people take for the same.
 * @param {string} nick
 */
const alikeOf = (nick) => nick.normalize('NFKC').toLowerCase()
