/**
 * The end of a test file. Every process that it starts ends with it, however it ends, and the file has a time limit.
 * `node --import` loads this into every test file; the files that start processes load it themselves. Knows no test.
 */
import { spawn } from 'node:child_process'
import { isMainThread } from 'node:worker_threads'

/** Longest run of one test file, in seconds: the slowest of the quick tier takes three minutes on a quiet machine. */
const FILE_LIMIT_S = Number(process.env.TRIWAY_FILE_LIMIT_S ?? 900)

/** Processes that run, and whether each leads a group of its own. @type {Map<import('node:child_process').ChildProcess, boolean>} */
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

// The runner of many files, and a thread of one, have no end of their own.
if (isMainThread && !process.execArgv.includes('--test')) {
  process.on('exit', endProcesses)
  limitTime()
}
