/**
 * Building elements out of code, never out of text: whatever a person typed
 * reaches the page as a text node or as a plain attribute value.
 *
 * This file does not know what a chat is. It has no way to parse markup, and
 * so the page cannot be talked into it (Trusted Types hold it to that).
 */

/** Attributes that could run or load something; no caller may build them. */
const REFUSED_ATTRIBUTE = /^(on|srcdoc$|style$)/i

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, string | number | boolean | undefined>} [attributes]
 *   `true` gives an empty attribute; `false` and `undefined` give none
 * @param {...(Node | string)} children  a string becomes a text node
 * @returns {HTMLElementTagNameMap[T]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue
    if (REFUSED_ATTRIBUTE.test(name)) throw new TypeError(`attribute ${name} is never built here`)
    element.setAttribute(name, value === true ? '' : String(value))
  }
  element.append(...children)
  return element
}

/**
 * Text that a person wrote: isolated, so that its direction cannot disturb the
 * words around it, and of unknown language, so that nothing reads or hyphenates
 * it as English.
 * @param {string} text
 * @param {string} [className]
 */
export function written(text, className) {
  return make('bdi', { class: className, dir: 'auto', lang: '' }, text)
}

/**
 * An element that the page's own markup must hold.
 * @template {HTMLElement} E
 * @param {string} id
 * @param {new () => E} kind  checked, so that a changed page fails here and not later
 * @returns {E}
 */
export function part(id, kind) {
  const element = document.getElementById(id)
  if (!(element instanceof kind)) throw new Error(`the page has no ${kind.name} #${id}`)
  return element
}
