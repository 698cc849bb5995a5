/**
 * The client in real engines: what a browser does to a page, and how the client handles it. The first engine runs
 * every test, the others only the transports; with --all, each engine runs every test. `TRIWAY_BROWSERS=webkit`
 * selects one engine, and `TRIWAY_STORY=killed` selects tests by name.
 */
import { BROWSERS } from '../browser/world.js'
import { tell } from './stage.js'
import back from './back.js'
import memory from './memory.js'
import restart from './restart.js'
import shared from './shared.js'
import transports from './transports.js'
import workers from './workers.js'

const [first, ...others] = BROWSERS
const every = { ...transports, ...back, ...memory, ...workers, ...restart, ...shared }
tell([first], every)
tell(others, process.env.TRIWAY_ALL === '1' ? every : transports)
