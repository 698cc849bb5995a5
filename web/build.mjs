/**
 * Makes web/dist: the client as an ES module and as a classic script, the parts that are loaded only when
 * used, and the chat page where its source is.
 */
import { build } from 'esbuild'
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs'

const here = (path) => new URL(path, import.meta.url).pathname
const { version } = JSON.parse(readFileSync(here('package.json'), 'utf8'))
const banner = { js: `/*! triway ${version} */` }
const shared = { bundle: true, minify: true, target: 'es2022', legalComments: 'none', logLevel: 'warning' }

/** Parts that are rarely needed stay files of their own beside the client, and are loaded when they are. */
const PARTS = ['adaptation', 'report', 'share']

/** Leaves the import of a part as it is, under the name of its file. */
const parts = {
  name: 'parts',
  setup: ({ onResolve }) =>
    onResolve({ filter: new RegExp(`^\\./(${PARTS.join('|')})\\.js$`) }, ({ path, kind }) =>
      kind === 'dynamic-import' ? { path: path.replace('./', './client-').replace('.js', '.mjs'), external: true } : undefined),
}

/** @param {string} entry @param {string} out @param {import('esbuild').BuildOptions} options */
const buildClient = (entry, out, options) => build({ ...shared, banner, plugins: [parts], entryPoints: [here(entry)], outfile: here('dist/' + out), ...options })

await buildClient('client.js', 'client.mjs', { format: 'esm' })
await buildClient('client.js', 'client.js', { format: 'iife', globalName: 'triway' })
for (const name of PARTS) await buildClient(name + '.js', `client-${name}.mjs`, { format: 'esm' })

if (existsSync(here('chat/index.html'))) {
  mkdirSync(here('dist/chat'), { recursive: true })
  for (const name of ['index.html', 'icon.svg']) if (existsSync(here('chat/' + name))) copyFileSync(here('chat/' + name), here('dist/chat/' + name))
  await build({ ...shared, format: 'esm', external: ['/client.mjs', '../client.mjs'], entryPoints: [here('chat/chat.js')], outfile: here('dist/chat/chat.js') })
  await build({ ...shared, entryPoints: [here('chat/chat.css')], outfile: here('dist/chat/chat.css') })
}
