/**
 * Makes web/dist: the client as an ES module and as a classic script, the parts that are loaded only
 * when used, and the chat page where its source is. Names that are in use only between the client's
 * modules are listed here; they are shortened, alike in all parts.
 */
import { build } from 'esbuild'
import { existsSync, readFileSync, writeFileSync, mkdirSync } from 'node:fs'
import { minify } from 'terser'

const here = (path) => new URL(path, import.meta.url).pathname
const { version } = JSON.parse(readFileSync(here('package.json'), 'utf8'))

/**
 * Properties of the client's own objects: none of them is on the wire, the platform's or the
 * application's. They stand in the order of their new names, which compresses best (found by trying; 0.5 %).
 */
const internal = `
  helloAt foreign afterMs isFinal provenAt frameAt gap refuse openedAt wakeAt socket suspect look failed by
  bearer renewAt reads encoded isSent isRenewed isLost moved reload stop renew slow isRead places planned
  handleOf proven pinged memory rests command answered sending lead fulfil startOf base deliver see ping idle
  shown change wanted sync silentMs asking ms line take
`.trim().split(/\s+/)

const shared = { bundle: true, minify: true, target: 'es2022', legalComments: 'none', logLevel: 'warning' }

/** The parts stay files of their own, beside the client. */
const parts = {
  name: 'parts',
  setup: ({ onResolve }) => onResolve({ filter: /^\.\/(report|share)\.js$/ }, ({ path }) => ({ path: path.replace('./', './client-').replace('.js', '.mjs'), external: true })),
}

/** Letters of names, those first that text has most of: so they compress best, by 0.5 %. */
const LETTERS = 'etaoinsrhldcumfpgwybvkxjqz'
const FIRST = LETTERS + LETTERS.toUpperCase() + '$_'

/** The n-th name. @param {number} n @returns {string} */
const nameOf = (n) => (n < FIRST.length ? FIRST[n] : nameOf(Math.floor(n / FIRST.length) - 1) + FIRST[n % FIRST.length])

/** Read as TypeScript, for which a class field without a value is a type and no code. */
const asTypes = { loader: { '.js': 'ts' }, tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } } }

const client = { ...shared, ...asTypes, format: 'esm', write: false, plugins: [parts], mangleProps: new RegExp(`^(${internal.join('|')})$`), mangleCache: Object.fromEntries(internal.map((name, n) => [name, nameOf(n)])) }

mkdirSync(here('dist'), { recursive: true })
for (const name of ['client', 'report', 'share']) {
  const { outputFiles } = await build({ ...client, entryPoints: [here(name + '.js')] })
  // A second look by another minifier takes off 4 % more. Its unsafe assumptions hold: no function here
  // is called with `new` or has a `this`, no property read acts, and nothing tells true from 1.
  const compress = { passes: 5, ecma: 2020, unsafe_arrows: true, unsafe_methods: true, pure_getters: true, booleans_as_integers: true, lhs_constants: false }
  const compressed = await minify(outputFiles[0].text, { module: true, compress, mangle: false })
  const { code } = await minify(compressed.code, { module: true, compress: false, mangle: { nth_identifier: { get: nameOf } } })
  const banner = `/*! triway ${version} */\n`
  writeFileSync(here(`dist/${name === 'client' ? 'client' : 'client-' + name}.mjs`), banner + code)
  // The classic script is the same module inside a function, with its exports as the global's properties.
  const exported = /export\{(.*?)\};?$/.exec(code)
  const global = exported[1].split(',').map((pair) => pair.split(' as ')).map(([local, as]) => `${as}:${local}`)
  if (name === 'client') writeFileSync(here('dist/client.js'), `${banner}var triway=(()=>{"use strict";${code.slice(0, exported.index)}return{${global}}})();`)
}

if (existsSync(here('chat/index.html'))) {
  mkdirSync(here('dist/chat'), { recursive: true })
  for (const name of ['index.html', 'icon.svg']) {
    if (existsSync(here('chat/' + name))) writeFileSync(here('dist/chat/' + name), readFileSync(here('chat/' + name)))
  }
  for (const [name, more] of [['chat.js', { format: 'esm', external: ['/client.mjs', '../client.mjs'] }], ['chat.css', {}]]) {
    if (existsSync(here('chat/' + name))) await build({ ...shared, ...more, entryPoints: [here('chat/' + name)], outfile: here('dist/chat/' + name) })
  }
}
