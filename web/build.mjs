/**
 * Makes web/dist: the client as an ES module and as a classic script, and the chat page where its
 * source is. Names that end in an underscore are shared between the client's modules only and are
 * shortened, alike in all parts.
 */
import { build } from 'esbuild'
import { existsSync, readFileSync, writeFileSync, mkdirSync } from 'node:fs'

const here = (path) => new URL(path, import.meta.url).pathname
const version = JSON.parse(readFileSync(here('package.json'), 'utf8')).version
const shared = {
  bundle: true,
  minify: true,
  target: 'es2022',
  legalComments: 'none',
  mangleProps: /[^_]_$/,
  banner: { js: `/*! triway ${version} */` },
  logLevel: 'warning',
}

await build({ ...shared, entryPoints: [here('client.js')], format: 'esm', outfile: here('dist/client.mjs') })
await build({ ...shared, entryPoints: [here('client.js')], format: 'iife', globalName: 'triway', outfile: here('dist/client.js') })

if (existsSync(here('chat/index.html'))) {
  mkdirSync(here('dist/chat'), { recursive: true })
  writeFileSync(here('dist/chat/index.html'), readFileSync(here('chat/index.html')))
  const { mangleProps, banner, ...plain } = shared
  for (const [name, extra] of [['chat.js', { format: 'esm', external: ['/client.mjs'] }], ['chat.css', {}]]) {
    if (existsSync(here('chat/' + name))) await build({ ...plain, ...extra, entryPoints: [here('chat/' + name)], outfile: here('dist/chat/' + name) })
  }
}
