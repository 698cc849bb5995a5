/**
 * Ends a test file. Every process that the file starts ends with it, however it ends, and the file has a time
 * limit. `node --import` loads this into every test file; files that start processes also import it. Knows no test.
 */
import { spawn } from 'node:child_process'
import { isMainThread } from 'node:worker_threads'

/**
 * The longest run of one test file, in seconds: the slowest of the quick tier takes three minutes on a quiet
 * machine.
 */
const FILE_LIMIT_S = Number(process.env.TRIWAY_FILE_LIMIT_S ?? 900)

/** Running processes, and whether each leads its own process group. @type {Map<import('node:child_process').ChildProcess, boolean>} */
const running = new Map()

/**
 * Starts a process that ends with this one at the latest.
 * @param {string} program @param {string[]} flags @param {import('node:child_process').SpawnOptions} options
 * @returns {import('node:child_process').ChildProcess}
 */
export function startProcess(program, flags, options) {
  const child = spawn(program, flags, options)
  running.set(child, options.detached === true)
  child.once('exit', () => running.delete(child))
  return child
}

function endProcesses() {
  for (const [{ pid }, leadsGroup] of running) {
    if (pid === undefined) continue
    try {
      process.kill(leadsGroup ? -pid : pid, 'SIGKILL')
    } catch {
      // It ended by itself.
    }
  }
}

function limitTime() {
  const timer = setTimeout(() => {
    const programs = [...running.keys()].map(({ spawnargs }) => spawnargs.join(' '))
    console.error(`${process.argv[1]} did not end within ${FILE_LIMIT_S} s (TRIWAY_FILE_LIMIT_S); still running: ${programs.join('; ') || 'no process'}`)
    process.exit(1)
  }, FILE_LIMIT_S * 1000)
  timer.unref()
}

// The runner of several test files, and a worker thread of one file, have no limit of their own.
if (isMainThread && !process.execArgv.includes('--test')) {
  process.on('exit', endProcesses)
  limitTime()
}
