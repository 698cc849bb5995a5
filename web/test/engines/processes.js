/** Finds the processes of a browser and sends them signals. Knows no browser. */
import { readdirSync, readFileSync } from 'node:fs'

/** Returns a process and its descendants, oldest first, or only those whose command line matches. @param {number} root @param {RegExp} [fits] */
export function family(root, fits) {
  /** @type {Map<number, number[]>} */
  const children = new Map()
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    try {
      const parent = Number(readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1])
      children.set(parent, [...(children.get(parent) ?? []), Number(name)])
    } catch {
      // The process has ended meanwhile.
    }
  }
  const found = [root]
  for (const one of found) found.push(...(children.get(one) ?? []))
  return fits ? found.filter((one) => fits.test(commandOf(one))) : found
}

/** @param {number} one */
function commandOf(one) {
  try {
    return readFileSync(`/proc/${one}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

/** Returns the CPU time of a process, in ms. Linux counts hundredths of a second. @param {number} one */
export function workOf(one) {
  const fields = readFileSync(`/proc/${one}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
  return 10 * (Number(fields[11]) + Number(fields[12]))
}

/** @param {number[]} processes @param {NodeJS.Signals} signal */
export function tell(processes, signal) {
  for (const each of processes) {
    try {
      process.kill(each, signal)
    } catch {
      // The process has already ended.
    }
  }
}
