// CPU time and memory of processes, from Linux's /proc. A tree is a process with all its descendants; those that have
// ended are in their parent's figures (PostgreSQL's backends).
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const TICK_MS = 1_000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

export interface CpuReading<Name extends string> {
  /** CPU time of each tree so far. */
  trees: Record<Name, number>;
  /** CPU time of everything on the machine so far. */
  machineMs: number;
}

export function readCpu<Name extends string>(roots: Record<Name, readonly number[]>): CpuReading<Name> {
  const processes = new Map<number, { parent: number; cpuMs: number }>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    const found = Number.isInteger(pid) ? readProcess(pid) : null;
    if (found) processes.set(pid, found);
  }
  const names = new Map(
    Object.entries<readonly number[]>(roots).flatMap(([name, pids]) => pids.map((pid) => [pid, name as Name] as const)),
  );
  const trees = Object.fromEntries(Object.keys(roots).map((name) => [name, 0])) as Record<Name, number>;
  for (const [pid, { cpuMs }] of processes) {
    for (let at: number | undefined = pid; at !== undefined; at = processes.get(at)?.parent) {
      const name = names.get(at);
      if (name === undefined) continue;
      trees[name] += cpuMs;
      break;
    }
  }
  return { trees, machineMs: readMachine() };
}

/** The most memory a process had since it began, in MB. */
export function peakRssMb(pid: number): number {
  return readMemory(pid, 'VmHWM');
}

/** The memory that a process has now, in MB. */
export function rssMb(pid: number): number {
  return readMemory(pid, 'VmRSS');
}

function readMemory(pid: number, field: 'VmHWM' | 'VmRSS'): number {
  const [, kilobytes] = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
  return Number(kilobytes) / 1024;
}

/** Fields after the name, which may contain anything: state, ppid, …, utime, stime, cutime, cstime (see proc(5)). */
function readProcess(pid: number): { parent: number; cpuMs: number } | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    return { parent: Number(fields[1]), cpuMs: ticks * TICK_MS };
  } catch {
    return null; // it has ended meanwhile
  }
}

/** user, nice, system, irq and softirq of all processors. */
function readMachine(): number {
  const fields = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]!.trim().split(/\s+/).slice(1).map(Number);
  return [0, 1, 2, 5, 6].reduce((sum, i) => sum + fields[i]!, 0) * TICK_MS;
}
