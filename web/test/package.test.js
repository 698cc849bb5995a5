/** What is built and published: its size, its files, its exports, its types. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import vm from 'node:vm'
import { gzipSync } from 'node:zlib'

const dist = (name) => readFileSync(new URL('../dist/' + name, import.meta.url))
const zipped = (name) => gzipSync(dist(name), { level: 9 }).length

/** Bytes, minified and gzipped: what it is today and a little, so that it cannot grow unseen. The target of 6,500 is not reached. */
const CLIENT_MOST = 10_400
const PART_MOST = 1_000
const SHARE_MOST = 1_200

test('size', () => {
  for (const name of ['client.mjs', 'client.js']) assert.ok(zipped(name) <= CLIENT_MOST, `${name}: ${zipped(name)}`)
  assert.ok(zipped('client-report.mjs') <= PART_MOST, `report: ${zipped('client-report.mjs')}`)
  assert.ok(zipped('client-share.mjs') <= SHARE_MOST, `share: ${zipped('client-share.mjs')}`)
})

test('what is built is what the source makes', () => {
  const before = ['client.mjs', 'client.js', 'client-report.mjs', 'client-share.mjs'].map((name) => [name, String(dist(name))])
  execFileSync(process.execPath, [new URL('../build.mjs', import.meta.url).pathname])
  for (const [name, text] of before) assert.ok(text === String(dist(name)), `${name} is older than its source: node build.mjs`)
})

test('the classic script has one global, with the same exports as the module', async () => {
  const context = vm.createContext({ EventTarget, Event })
  vm.runInContext(String(dist('client.js')), context)
  const module = await import('../dist/client.mjs')
  assert.deepEqual(Object.keys(context.triway).sort(), Object.keys(module).sort())
})

test('npm pack: the built client and its types, no source, no dependencies', () => {
  const [{ files }] = JSON.parse(String(execFileSync('npm', ['pack', '--dry-run', '--json'], { cwd: new URL('..', import.meta.url), stdio: ['ignore', 'pipe', 'ignore'] })))
  const paths = files.map(({ path }) => path)
  for (const path of ['dist/client.mjs', 'dist/client.js', 'dist/client-report.mjs', 'dist/client-share.mjs', 'dist/types/client.d.ts', 'package.json']) assert.ok(paths.includes(path), path)
  assert.ok(paths.every((path) => path.startsWith('dist/') || path === 'package.json' || /^README|^LICENSE/.test(path)), paths.join(' '))
  assert.ok(!paths.some((path) => path.includes('chat')))
  const { dependencies, exports, sideEffects } = JSON.parse(String(readFileSync(new URL('../package.json', import.meta.url))))
  assert.equal(dependencies, undefined)
  assert.equal(sideEffects, false)
  assert.equal(Object.keys(exports['.'])[0], 'types')
})

test('types: what is for the application, and nothing of the inside', () => {
  const types = String(dist('types/client.d.ts'))
  for (const name of ['ready', 'channel', 'use', 'report', 'close', 'inbox']) assert.match(types, new RegExp(`\\b${name}\\b`))
  assert.doesNotMatch(types.replace(/\/\*.*?\*\//gs, ''), /\w_[:(]/)
})
