// What a soak does to whom and when: a plan that a seed decides, and its execution on a stage.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from './stage.ts';
import type { AppProcess } from './worker-process.ts';

/** Kinds of trouble, and how often each comes compared with the others. */
const WEIGHTS = {
  killWorker: 6,
  drainWorker: 3,
  hangWorker: 3,
  killPostgres: 3,
  killTemporal: 3,
  loseTemporal: 1,
  killBoth: 1,
} as const;
export type TroubleKind = keyof typeof WEIGHTS;
export const TROUBLE_KINDS = Object.keys(WEIGHTS) as TroubleKind[];

export interface Trouble {
  kind: TroubleKind;
  /** Since the beginning. */
  atMs: number;
  /** How long a server is away or a worker hangs. */
  lastsMs: number;
  /** Which worker, 0 to 1. */
  victim: number;
}

export interface PlanOptions {
  lengthMs: number;
  /** @default 4_000 */
  everyMs?: number;
  /** One outage of PostgreSQL in the middle that lasts so long. @default none */
  longOutageMs?: number;
  /** Kinds to leave out. @default none */
  without?: readonly TroubleKind[];
}

export function planTrouble(random: () => number, { lengthMs, everyMs = 4_000, longOutageMs = 0, without = [] }: PlanOptions): Trouble[] {
  const kinds = TROUBLE_KINDS.filter((kind) => !without.includes(kind));
  const total = kinds.reduce((sum, kind) => sum + WEIGHTS[kind], 0);
  const plan: Trouble[] = [];
  for (let atMs = everyMs / 2; atMs < lengthMs; atMs += everyMs * (0.5 + random())) {
    let left = random() * total;
    const kind = kinds.find((each) => (left -= WEIGHTS[each]) < 0)!;
    // A hang may be shorter or longer than a worker counts as alive.
    plan.push({
      kind,
      atMs: Math.round(atMs),
      lastsMs: Math.round(500 + random() * (kind === 'hangWorker' ? 7_000 : 3_500)),
      victim: random(),
    });
  }
  if (longOutageMs > 0) plan.push({ kind: 'killPostgres', atMs: Math.round(lengthMs / 2), lastsMs: longOutageMs, victim: 0 });
  return plan.sort((a, b) => a.atMs - b.atMs);
}

/** Carries out the plan, one trouble after the other; hangs of workers go on beside what follows them. */
export async function makeTrouble(stage: Stage, plan: readonly Trouble[], log: (line: string) => void): Promise<void> {
  const startedAt = Date.now();
  const hangs: Promise<void>[] = [];
  for (const trouble of plan) {
    await sleep(Math.max(0, startedAt + trouble.atMs - Date.now()));
    log(`${((Date.now() - startedAt) / 1_000).toFixed(1)} s: ${trouble.kind} (${trouble.lastsMs} ms)`);
    const hang = await play(stage, trouble);
    if (hang) hangs.push(hang);
  }
  await Promise.all(hangs);
}

async function play(stage: Stage, { kind, lastsMs, victim }: Trouble): Promise<Promise<void> | undefined> {
  const { postgres, temporal } = stage;
  switch (kind) {
    case 'killWorker':
      await victimOf(stage, victim)?.kill9();
      return undefined;
    case 'drainWorker':
      victimOf(stage, victim)?.terminate();
      return undefined;
    case 'hangWorker':
      return hang(victimOf(stage, victim), lastsMs);
    case 'killPostgres':
      await postgres.kill9();
      await sleep(lastsMs);
      await postgres.start();
      return undefined;
    case 'killTemporal':
    case 'loseTemporal':
      await temporal.kill9();
      await sleep(lastsMs);
      await temporal.start(kind === 'loseTemporal' ? { without: 'data' } : {});
      return undefined;
    case 'killBoth':
      await Promise.all([postgres.kill9(), temporal.kill9()]);
      await sleep(lastsMs);
      await Promise.all([postgres.start(), temporal.start()]);
  }
}

function victimOf({ workers }: Stage, victim: number): AppProcess | undefined {
  const living = [...workers].filter(({ hasEnded }) => !hasEnded);
  return living[Math.floor(victim * living.length)];
}

async function hang(worker: AppProcess | undefined, lastsMs: number): Promise<void> {
  if (!worker || worker.isFrozen) return;
  worker.freeze();
  await sleep(lastsMs);
  if (!worker.hasEnded) worker.thaw();
}
