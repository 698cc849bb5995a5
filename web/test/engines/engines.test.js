/**
 * The client in real engines: what a browser does to a page, and what the client makes of it.
 * `TRIWAY_BROWSERS=webkit` leaves the others out, `TRIWAY_STORY=killed` all stories of another name.
 */
import { tell } from './stage.js'
import back from './back.js'
import memory from './memory.js'
import restart from './restart.js'
import shared from './shared.js'
import transports from './transports.js'
import workers from './workers.js'

tell({ ...transports, ...back, ...memory, ...workers, ...restart, ...shared })
