/**
 * Finds where JSON values begin and end, so that their text can be used unchanged: numbers beyond 2^53 stay
 * exact, and what a proxy appended to an answer is ignored. Pure.
 */

const SPACE = /[\s,:]*/y
const BORDER = /["{}[\]]/g
const LITERAL = /-?\d+(\.\d+)?([eE][+-]?\d+)?|true|false|null/y

/** The index after spaces and separators. @param {string} text @param {number} at */
function skip(text, at) {
  SPACE.lastIndex = at
  SPACE.test(text)
  return SPACE.lastIndex
}

/** The index after the string whose quote is at `at`; -1 if it does not end. @param {string} text @param {number} at */
function endOfString(text, at) {
  for (let from = at + 1; ; ) {
    const quote = text.indexOf('"', from)
    if (quote < 0) return -1
    let slash = quote
    while (text[slash - 1] === '\\') slash--
    if ((quote - slash) % 2 === 0) return quote + 1
    from = quote + 1
  }
}

/** The index after the object or array that begins at `at`; -1 if it does not end. @param {string} text @param {number} at */
function endOfContainer(text, at) {
  let depth = 0
  BORDER.lastIndex = at
  for (let found; (found = BORDER.exec(text)); ) {
    const [border] = found
    if (border === '"') {
      const end = endOfString(text, found.index)
      if (end < 0) return -1
      BORDER.lastIndex = end
    } else if (border === '{' || border === '[') depth++
    else if (--depth === 0) return found.index + 1
  }
  return -1
}

/** The index after the value that begins at `at`; -1 if there is none, or it does not end. @param {string} text @param {number} at */
function endOfValue(text, at) {
  if (text[at] === '"') return endOfString(text, at)
  if (text[at] === '{' || text[at] === '[') return endOfContainer(text, at)
  LITERAL.lastIndex = at
  return LITERAL.test(text) ? LITERAL.lastIndex : -1
}

/** The text of the first complete value; empty if there is none. @param {string} text */
export function firstValue(text) {
  const at = skip(text, 0)
  return text.slice(at, Math.max(at, endOfValue(text, at)))
}

/** The members of an object, each as its text. @param {string} json @returns {Record<string, string>} */
export function membersOf(json) {
  /** @type {Record<string, string>} */
  const members = {}
  for (let at = skip(json, json.indexOf('{') + 1); json[at] === '"'; ) {
    const keyEnd = endOfString(json, at)
    const begin = skip(json, keyEnd)
    const end = endOfValue(json, begin)
    if (end < 0) break
    members[JSON.parse(json.slice(at, keyEnd))] = json.slice(begin, end)
    at = skip(json, end)
  }
  return members
}

/** The elements of an array, each as its text. @param {string} json @returns {string[]} */
export function elementsOf(json) {
  const elements = []
  for (let at = skip(json, json.indexOf('[') + 1); json[at] !== ']'; ) {
    const end = endOfValue(json, at)
    if (end < 0) break
    elements.push(json.slice(at, end))
    at = skip(json, end)
  }
  return elements
}
