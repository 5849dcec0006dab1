// Judges a chaos run: from what the rows say now, every move they made, what handlers really did, and what was done to
// processes and servers. Pure; the rules are the library's promises, one function each.
import { isSettled, MOVES, OPEN_STATUSES, type JobEvent, type Status } from '../../../src/domain/lifecycle.ts';
import type { Move } from './audit.ts';
import type { Death, Freeze, Outage } from './incidents.ts';

export interface RowState {
  jobType: string;
  id: string;
  status: Status;
  run: number;
  attempt: number;
  failures: number;
  crashes: number;
  /** The own column that handlers fill with their success. */
  note: string | null;
}

/** What a handler recorded, outside of PostgreSQL. */
export interface Effect {
  jobType: string;
  jobId: string;
  run: number;
  attempt: number;
  pid: number;
  what: 'began' | 'ended' | 'failed' | 'stopped' | 'page';
  detail: string;
  at: number;
}

/** What the jobs of a class may use up before they are a FAILURE. */
export interface Limits {
  maximumAttempts: number;
  crashRetries: number;
  /** A FAILURE may also be a time limit's. */
  timeLimit?: boolean;
}

export interface History {
  rows: readonly RowState[];
  moves: readonly Move[];
  effects: readonly Effect[];
  deaths: readonly Death[];
  freezes: readonly Freeze[];
  outages: readonly Outage[];
  revocations: ReadonlySet<string>;
  limits: Readonly<Record<string, Limits>>;
  workerTtlMs: number;
  /** How long a row may be STARTED without an attempt at work while the servers answer. */
  stuckAfterMs: number;
  now: number;
}

export interface Violation {
  rule: string;
  jobType: string;
  jobId: string;
  what: string;
}

export interface Judgement {
  violations: Violation[];
  /** Ends of handlers beyond the first of each successful job: allowed, and counted. */
  duplicates: number;
}

/** One job's part of a history. */
interface JobHistory {
  row: RowState;
  moves: readonly Move[];
  effects: readonly Effect[];
}

type Rule = (job: JobHistory, history: History) => string[];

const RULES: Record<string, Rule> = {
  'no job is lost': ({ row }) => (isSettled(row.status) || row.status === 'NEW' ? [] : [`it is still ${row.status} in run ${row.run}`]),

  'only moves of the lifecycle': ({ moves }) =>
    moves.filter((move) => !isAllowed(move)).map(({ from, to, run, attempt }) => `${from} → ${to} in run ${run}, attempt ${attempt}`),

  'the order key never goes back': ({ moves }) =>
    pairs(moves)
      .filter(([before, { run, attempt }]) => run < before.run || run > before.run + 1 || (run === before.run && attempt < before.attempt))
      .map(([before, after]) => `from run ${before.run}, attempt ${before.attempt} to run ${after.run}, attempt ${after.attempt}`),

  'one settled status a run': ({ moves }) => {
    const settled = moves.filter(({ from, to }) => from !== to && isSettled(to));
    return [...Map.groupBy(settled, ({ run }) => run)]
      .filter(([, ends]) => ends.length > 1)
      .map(([run, ends]) => `run ${run} ended as ${ends.map(({ to }) => to).join(', then ')}`);
  },

  'SUCCESS is for ever': ({ moves }) =>
    moves
      .filter(({ from, to, run }, i) => from === 'SUCCESS' && (to !== 'SUCCESS' || run !== moves[i - 1]?.run))
      .map(({ to }) => `→ ${to}`),

  'a SUCCESS has a handler that ended, and its result': ({ row, moves, effects }) => {
    const successes = moves.filter(({ from, to }) => to === 'SUCCESS' && from !== 'SUCCESS');
    const unfounded = successes
      .filter((move) => !effects.some((effect) => effect.what === 'ended' && isSameAttempt(effect, move)))
      .map(({ run, attempt }) => `no handler ended in run ${run}, attempt ${attempt}`);
    return row.status === 'SUCCESS' && row.note === null ? [...unfounded, 'its own column is empty'] : unfounded;
  },

  'no page is skipped': ({ effects }) => {
    const pages = new Set(effects.filter(({ what }) => what === 'page').map(({ detail }) => Number(detail)));
    return [...pages].filter((page) => page > 1 && !pages.has(page - 1)).map((page) => `page ${page} without page ${page - 1}`);
  },

  'a handler begins only when the row was started for it': ({ moves, effects }) =>
    effects
      .filter(({ what }) => what === 'began')
      .filter((effect) => !moves.some((move) => move.to === 'STARTED' && isSameAttempt(effect, move) && pidOf(move) === effect.pid))
      .map(({ run, attempt, pid }) => `in run ${run}, attempt ${attempt}, process ${pid}`),

  'never two handlers at once': ({ effects }, history) =>
    pairs(intervalsOf(effects, history))
      .filter(([before, after]) => after.from < before.to)
      .map(([before, after]) => `${describe(before)} and ${describe(after)}, for ${Math.round(before.to - after.from)} ms`),

  'a crash is that of a process that died': ({ moves }, history) =>
    pairs(moves)
      .filter(([before, { crashes, run }]) => crashes > before.crashes && run === before.run)
      .filter(([before, { at }]) => !wasDead(pidOf(before), at, history))
      .map(([before, { run, attempt }]) => `process ${pidOf(before)} lives, but run ${run}, attempt ${attempt} counts its crash`),

  'a failure is that of a handler': ({ row, moves, effects }) => {
    const made = failuresSince(firstRunOf(moves, moves.length), effects).length;
    return row.failures > made ? [`${row.failures} failures are counted, handlers failed ${made} times`] : [];
  },

  'FAILURE needs a reason': ({ row, moves, effects }, { limits }) =>
    moves.flatMap((move, i) => {
      if (move.to !== 'FAILURE' || move.from === 'FAILURE') return [];
      const { maximumAttempts, crashRetries, timeLimit = false } = limits[row.jobType]!;
      const failures = failuresSince(firstRunOf(moves, i), effects).filter(({ at }) => at <= move.at + CLOCKS_APART_MS);
      const gaveUp = failures.some(({ detail }) => detail.startsWith('GiveUp'));
      if (timeLimit || gaveUp || move.crashes > crashRetries || failures.length >= maximumAttempts) return [];
      return [
        `run ${move.run} after ${failures.length} of ${maximumAttempts} failures, ${move.crashes} crashes of ${crashRetries} forgiven`,
      ];
    }),

  'REVOKED was asked for': ({ row, moves }, { revocations }) =>
    moves.some(({ to }) => to === 'REVOKED') && !revocations.has(row.id) ? ['by nobody'] : [],

  'no row is STARTED for long without an attempt': ({ moves, effects }, history) =>
    moves.flatMap((move, i) => {
      if (move.to !== 'STARTED') return [];
      const to = moves[i + 1]?.at ?? history.now;
      const from = endOfWork(move, effects, history);
      const stuckMs = from === null ? 0 : to - from - outageWithin(history.outages, from, to);
      return stuckMs > history.stuckAfterMs ? [`for ${Math.round(stuckMs)} ms in run ${move.run}, attempt ${move.attempt}`] : [];
    }),
};

/** Names of the rules, for tests. */
export const RULE_NAMES: readonly string[] = Object.keys(RULES);

/** Clocks of processes on one machine may be apart by so much. */
const CLOCKS_APART_MS = 50;

export function checkHistory(history: History): Judgement {
  const moves = Map.groupBy(history.moves, ({ jobId }) => jobId);
  const effects = Map.groupBy(history.effects, ({ jobId }) => jobId);
  const jobs = history.rows.map((row) => ({
    row,
    moves: moves.get(row.id) ?? [],
    effects: (effects.get(row.id) ?? []).toSorted((a, b) => a.at - b.at),
  }));
  const known = new Set(history.rows.map(({ id }) => id));
  const unknown = [...effects].filter(([id]) => !known.has(id));
  return {
    violations: [
      ...unknown.map(([jobId, ofJob]) => ({
        rule: 'a handler runs only for a row',
        jobType: ofJob[0]!.jobType,
        jobId,
        what: 'there is none',
      })),
      ...jobs.flatMap((job) =>
        Object.entries(RULES).flatMap(([rule, check]) =>
          check(job, history).map((what) => ({ rule, jobType: job.row.jobType, jobId: job.row.id, what })),
        ),
      ),
    ],
    duplicates: jobs.reduce((sum, job) => sum + duplicatesOf(job), 0),
  };
}

function duplicatesOf({ row, moves, effects }: JobHistory): number {
  if (row.status !== 'SUCCESS') return 0;
  const first = firstRunOf(moves, moves.length);
  return Math.max(0, effects.filter(({ what, run }) => what === 'ended' && run >= first).length - 1);
}

function isAllowed({ from, to }: Move): boolean {
  if (from === null) return to === 'NEW' || to === 'PENDING';
  // The same status with another attempt, execution, run or holder.
  if (from === to) return true;
  // A run whose execution was lost: the next one.
  if (OPEN_STATUSES.includes(from) && to === 'PENDING') return true;
  return (Object.keys(MOVES) as JobEvent[]).some((event) => (MOVES[event] as Partial<Record<Status, Status>>)[from] === to);
}

/** The run in which the counters began that held at move `before`: an enqueue's or a retry's. */
function firstRunOf(moves: readonly Move[], before: number): number {
  const retried = moves.slice(0, before + 1).findLast(({ from, to }) => from !== null && isSettled(from) && to === 'PENDING');
  return retried?.run ?? 0;
}

function failuresSince(run: number, effects: readonly Effect[]): Effect[] {
  return effects.filter((effect) => effect.what === 'failed' && effect.run >= run);
}

function isSameAttempt(a: { run: number; attempt: number }, b: { run: number; attempt: number }): boolean {
  return a.run === b.run && a.attempt === b.attempt;
}

/** Process id of the worker that holds the row; worker ids are `host:pid:random`. */
export function pidOf({ holder }: { holder: string | null }): number | null {
  return holder === null ? null : Number(holder.split(':').at(-2));
}

/** Whether others had reason to take the process for dead at that time. */
function wasDead(pid: number | null, at: number, { deaths, freezes, workerTtlMs }: History): boolean {
  return (
    deaths.some((death) => death.pid === pid && death.at <= at + CLOCKS_APART_MS) ||
    freezes.some((freeze) => freeze.pid === pid && freeze.from < at && isLong(freeze, workerTtlMs))
  );
}

/** Its registry row may have run out meanwhile: nobody can keep a process that does not know its own state from going on. */
function isLong({ from, to }: Omit<Freeze, 'pid'>, workerTtlMs: number): boolean {
  return to - from > workerTtlMs / 2;
}

interface Interval {
  pid: number;
  run: number;
  attempt: number;
  from: number;
  to: number;
}

/** When handlers of the job were at work, in order of their beginnings. */
export function intervalsOf(effects: readonly Effect[], history: Pick<History, 'deaths' | 'freezes' | 'workerTtlMs'>): Interval[] {
  const intervals: Interval[] = [];
  for (const { pid, run, attempt, what, at } of effects) {
    if (what === 'began') {
      const died = history.deaths.find((death) => death.pid === pid)?.at ?? Infinity;
      intervals.push({ pid, run, attempt, from: at, to: Math.max(at, died) });
    } else if (what !== 'page') {
      const open = intervals.findLast((each) => each.pid === pid && each.run === run && each.attempt === attempt);
      if (open) open.to = Math.min(open.to, at);
    }
  }
  for (const interval of intervals) {
    // A process notes its own starvation from when it last looked: a moment too early.
    const since = ({ from }: Freeze) => Math.max(from, interval.from);
    const freeze = history.freezes.find(
      (each) => each.pid === interval.pid && each.from < interval.to && isLong({ from: since(each), to: each.to }, history.workerTtlMs),
    );
    if (freeze) interval.to = since(freeze);
  }
  return intervals.toSorted((a, b) => a.from - b.from);
}

function describe({ pid, run, attempt }: Interval): string {
  return `run ${run}, attempt ${attempt} in process ${pid}`;
}

/** When the attempt that this move started was at work no more; `null` while it is. */
export function endOfWork(move: Move, effects: readonly Effect[], { deaths }: Pick<History, 'deaths'>): number | null {
  const pid = pidOf(move);
  const end = effects.find(
    (effect) =>
      isSameAttempt(effect, move) && effect.pid === pid && effect.what !== 'began' && effect.what !== 'page' && effect.at >= move.at,
  );
  const death = deaths.find((each) => each.pid === pid);
  const ends = [end?.at, death?.at].filter((at) => at !== undefined);
  return ends.length === 0 ? null : Math.max(move.at, Math.min(...ends));
}

function outageWithin(outages: readonly Outage[], from: number, to: number): number {
  return outages.reduce((sum, outage) => sum + Math.max(0, Math.min(to, outage.to) - Math.max(from, outage.from)), 0);
}

function pairs<T>(items: readonly T[]): [T, T][] {
  return items.slice(1).map((item, i) => [items[i]!, item]);
}

/** The violations with everything that is known of their jobs, for people. */
export function explain(violations: readonly Violation[], { moves, effects }: Pick<History, 'moves' | 'effects'>): string {
  const lines: string[] = [];
  for (const [jobId, ofJob] of Map.groupBy(violations, ({ jobId }) => jobId)) {
    lines.push(`${ofJob[0]!.jobType} ${jobId}`);
    for (const { rule, what } of ofJob) lines.push(`  broken: ${rule}: ${what}`);
    const events = [
      ...moves
        .filter((move) => move.jobId === jobId)
        .map((m) => ({
          at: m.at,
          text: `row     ${m.from ?? ''} → ${m.to} run ${m.run} attempt ${m.attempt} failures ${m.failures} crashes ${m.crashes} execution ${m.runId?.slice(-6) ?? '-'} holder ${m.holder ?? '-'}`,
        })),
      ...effects
        .filter((effect) => effect.jobId === jobId)
        .map((e) => ({ at: e.at, text: `handler ${e.what} run ${e.run} attempt ${e.attempt} in ${e.pid} ${e.detail}` })),
    ];
    for (const { at, text } of events.toSorted((a, b) => a.at - b.at)) lines.push(`  ${new Date(at).toISOString().slice(11, 23)} ${text}`);
  }
  return lines.join('\n');
}
