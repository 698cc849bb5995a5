/** The built package: its size, its files, its exports, its types. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import vm from 'node:vm'
import { gzipSync } from 'node:zlib'

const dist = (name) => readFileSync(new URL('../dist/' + name, import.meta.url))
const zipped = (name) => gzipSync(dist(name), { level: 9 }).length

/** Sizes in bytes, minified and gzipped: the present sizes with a small margin, so that growth is noticed. */
const CLIENT_MOST = 27_100
const PARTS_MOST = { 'client-adaptation.mjs': 950, 'client-report.mjs': 1_100, 'client-share.mjs': 3_200 }

test('size', () => {
  for (const name of ['client.mjs', 'client.js']) assert.ok(zipped(name) <= CLIENT_MOST, `${name}: ${zipped(name)}`)
  for (const [name, most] of Object.entries(PARTS_MOST)) assert.ok(zipped(name) <= most, `${name}: ${zipped(name)}`)
})

test('what is built is what the source makes', () => {
  const before = ['client.mjs', 'client.js', ...Object.keys(PARTS_MOST)].map((name) => [name, String(dist(name))])
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
  for (const path of ['dist/client.mjs', 'dist/client.js', 'dist/client-adaptation.mjs', 'dist/client-report.mjs', 'dist/client-share.mjs', 'dist/types/client.d.ts', 'package.json']) assert.ok(paths.includes(path), path)
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

/** The TypeScript of an application. The marked lines must not compile. */
const APPLICATION = `
import { connect, TriwayError, type Hub, type Channel, type Member } from 'triway'
const hub: Hub = connect('http://localhost/', { transports: ['ws', 'poll'], token: async () => 't' })
hub.addEventListener('state', (event) => { const to: 'connecting' | 'connected' | 'reconnecting' | 'captive' | 'offline' | 'closed' = event.to; event.reason.length })
hub.addEventListener('transport', ({ from, to }) => { const way: 'ws' | 'sse' | 'poll' | null = to ?? from })
const lobby: Channel = hub.channel('lobby', { since: 'last:50', presence: true })
lobby.addEventListener('message', (event) => { event.data.text; const id: string = event.id; event.time.toFixed(); event.preventDefault() }, { signal: new AbortController().signal })
lobby.addEventListener('gap', (event) => { event.after.length; const reason: 'evicted' | 'expired' | 'restart' | 'unknown' | 'incomplete' = event.reason })
lobby.addEventListener('join', (event) => { const member: Member = event.member; const user: string | null = member.user; event.count.toFixed() })
const end: () => void = lobby.on('chat', (data, event) => { data.text; event.name.length })
for await (const event of lobby) event.channel.length
const { id, reached } = await lobby.publish({ text: 'hi' }, { name: 'chat' })
id.length + reached.ws
await hub.ready
hub.use('auto')
try { hub.rtt?.toFixed(); hub.session?.id } catch (error) { if (error instanceof TriwayError) [error.code, error.hint, error.status, error.transport] }
String(await hub.report())
// @ts-expect-error
lobby.addEventListener('message', (event) => event.nothing)
// @ts-expect-error
hub.addEventListener('state', (event) => event.to.nothing)
// @ts-expect-error
hub.use('carrier pigeon')
`

test('types: an application in TypeScript compiles against the packed package, its events typed', () => {
  const root = new URL('..', import.meta.url).pathname
  const folder = mkdtempSync(join(tmpdir(), 'triway-types-'))
  try {
    const packed = join(folder, 'node_modules/triway')
    mkdirSync(packed, { recursive: true })
    const [{ filename }] = JSON.parse(String(execFileSync('npm', ['pack', '--json', '--pack-destination', folder], { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] })))
    execFileSync('tar', ['xzf', join(folder, filename), '-C', packed, '--strip-components=1'])
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
    writeFileSync(join(folder, 'application.ts'), APPLICATION)
    const options = ['--strict', '--noEmit', '--target', 'es2022', '--module', 'nodenext', '--lib', 'es2022,dom,dom.iterable', '--types', '']
    execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...options, 'application.ts'], { cwd: folder, stdio: 'pipe' })
  } catch (error) {
    assert.fail(String(error.stdout ?? error))
  } finally {
    rmSync(folder, { recursive: true })
  }
})
