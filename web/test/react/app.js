/**
 * A typical application: one hub for the page, opened with the first component that needs it and closed after the
 * last one, and a short `useChannel` hook. The test drives it through `app`.
 */
import { register, reload } from './refresh.js'
import { createElement as h, StrictMode, useEffect, useState, version } from 'react'
import { createRoot } from 'react-dom/client'

/** How long the hub stays open after its last component, in ms: a remount follows at once. */
const LINGER_MS = 200

/** @type {any} */
let connect
/** @type {any} */
let setting
/** @type {any} */
let hub
let users = 0
/** @type {any} */
let closing
let connects = 0

function acquire() {
  clearTimeout(closing)
  users++
  if (!hub) {
    connects++
    hub = connect(setting.address, { transports: [setting.transport] })
  }
  return hub
}

function release() {
  if (--users) return
  closing = setTimeout(() => {
    hub.close()
    hub = undefined
  }, LINGER_MS)
}

/** @param {string} name @param {any} [options] */
function useChannel(name, { since, presence } = /** @type {any} */ ({})) {
  const [events, setEvents] = useState(/** @type {any[]} */ ([]))
  useEffect(() => {
    setEvents([])
    const channel = acquire().channel(name, { since, presence })
    channel.addEventListener('message', (/** @type {any} */ { data }) => setEvents((list) => [...list, data]))
    return () => {
      channel.close()
      release()
    }
  }, [name, since, presence])
  return events
}

/** What each component shows now, by its name. @type {Record<string, any[]>} */
const shown = {}
let renders = 0

/** @param {{name: string, room: string, since?: string, presence?: boolean}} props */
function Room({ name, room, since, presence }) {
  shown[name] = useChannel(room, { since, presence })
  renders++
  useEffect(() => () => void delete shown[name], [name])
  return h('p', null, `${name}: ${shown[name].length}`)
}

/** Another version of the same component, as after an edit of its file. @param {any} props */
function EditedRoom({ name, room, since }) {
  shown[name] = useChannel(room, { since })
  renders++
  useEffect(() => () => void delete shown[name], [name])
  return h('p', { className: 'edited' }, `${name} has ${shown[name].length}`)
}

/** A version with another hook, so React mounts it again. @param {any} props */
function RebuiltRoom({ name, room, since }) {
  const [label] = useState('rebuilt')
  shown[name] = useChannel(room, { since })
  useEffect(() => () => void delete shown[name], [name])
  return h('p', { className: label }, `${name}: ${shown[name].length}`)
}

register(Room, 'Room', 'useChannel')

/** @type {any} */
let root

/** Shows exactly this list of components. @param {any[]} rooms */
function show(rooms) {
  root ??= createRoot(/** @type {any} */ (document.querySelector('main')))
  root.render(h(StrictMode, null, rooms.map((props) => h(Room, { key: props.key ?? props.name, ...props }))))
}

Object.assign(globalThis, {
  app: {
    version,
    async start(/** @type {any} */ given) {
      setting = given
      ;({ connect } = await import(given.client))
    },
    show,
    /** Resolves after the browser has painted, when effects have run. */
    painted: () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))),
    /** Mounts and unmounts, each after a paint or at once. */
    async mounts(/** @type {any[]} */ rooms, /** @type {number} */ times, /** @type {boolean} */ isHasty) {
      for (let at = 0; at < times; at++) {
        show(rooms)
        if (!isHasty) await /** @type {any} */ (globalThis).app.painted()
        show([])
        if (!isHasty || at % 10 === 0) await /** @type {any} */ (globalThis).app.painted()
      }
    },
    unmount() {
      root.unmount()
      root = undefined
    },
    edit(/** @type {'edited' | 'rebuilt'} */ how) {
      if (how === 'edited') register(EditedRoom, 'Room', 'useChannel')
      else register(RebuiltRoom, 'Room', 'useState useChannel')
      reload()
    },
    look: () => ({ shown, users, connects, renders, state: hub?.state, html: document.querySelector('main')?.innerHTML }),
  },
})
