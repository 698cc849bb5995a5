/**
 * Makes web/dist: the client as an ES module and as a classic script, the parts that are loaded only
 * when used, and the chat page where its source is. Names that are in use only between the client's
 * modules end in an underscore, or are listed here; they are shortened, alike in all parts.
 */
import { build } from 'esbuild'
import { existsSync, readFileSync, writeFileSync, mkdirSync } from 'node:fs'

const here = (path) => new URL(path, import.meta.url).pathname
const { version } = JSON.parse(readFileSync(here('package.json'), 'utf8'))

/** Properties of the client's own objects: none of them is on the wire, the platform's or the application's. */
const internal = `
  memory link carrier fixed round roundWhy replaces nextAt failed lives changes calmUntil
  retryAt checkAt hasChecked upAt ups hiddenAt isOffline paused failures cuts strangers silences rttMs lastId wakeAt steps
  openedAt frameAt silentMs helloAt provenAt suspect renewed beatMs fromTime skew slow foreign planned afterMs idle proven
  items wake ending plan covered joining headed replies command starts sendable globals bytes number
  by heard moved tell reload who
`.trim().split(/\s+/)

const shared = { bundle: true, minify: true, target: 'es2022', legalComments: 'none', logLevel: 'warning' }
const client = { ...shared, mangleProps: new RegExp(`[^_]_$|^(${internal.join('|')})$`), mangleCache: {}, banner: { js: `/*! triway ${version} */` } }

/** The parts stay files of their own, beside the client. */
const parts = {
  name: 'parts',
  setup: ({ onResolve }) => onResolve({ filter: /^\.\/(report|share)\.js$/ }, ({ path }) => ({ path: path.replace('./', './client-').replace('.js', '.mjs'), external: true })),
}

for (const [entry, outfile, more] of [
  ['client.js', 'client.mjs', { format: 'esm', plugins: [parts] }],
  ['client.js', 'client.js', { format: 'iife', globalName: 'triway', plugins: [parts] }],
  ['report.js', 'client-report.mjs', { format: 'esm' }],
  ['share.js', 'client-share.mjs', { format: 'esm' }],
]) {
  const { mangleCache } = await build({ ...client, ...more, entryPoints: [here(entry)], outfile: here('dist/' + outfile) })
  Object.assign(client.mangleCache, mangleCache)
}

if (existsSync(here('chat/index.html'))) {
  mkdirSync(here('dist/chat'), { recursive: true })
  writeFileSync(here('dist/chat/index.html'), readFileSync(here('chat/index.html')))
  for (const [name, more] of [['chat.js', { format: 'esm', external: ['/client.mjs'] }], ['chat.css', {}]]) {
    if (existsSync(here('chat/' + name))) await build({ ...shared, ...more, entryPoints: [here('chat/' + name)], outfile: here('dist/chat/' + name) })
  }
}
