// The lifeline's thread: sees the main loop from outside. While that is blocked it renews the worker's registry row, says
// who blocks it, and ends the process for an attempt that nobody can stop otherwise. It answers probes at any time.
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { Pool } from 'pg';
import { createLog } from '../../app/log.ts';
import { anotherPool } from '../../app/open-pool.ts';
import type { AttemptRef } from '../../domain/ports.ts';
import { beatIntervalMs, beatQuery, renewalQuery } from '../../mirror/beat.ts';
import { findBlocking } from './blocking-job.ts';
import { describeBlock, nameOf, namesOf, seconds, type BlockDescription } from './describe-block.ts';
import { whyNotLive, whyNotReady, type Sight } from './judge-probes.ts';
import { BLOCK_MIN_MS, LoopWatch } from './loop-watch.ts';
import type { FromThread, JobNews, LogLevel, ThreadData, ToThread } from './messages.ts';
import { serveProbes } from './probe-server.ts';
import { RunningJobs } from './running-jobs.ts';
import { SharedState } from './shared-state.ts';

/** How often the main loop is looked at; it ticks as often. */
const LOOK_EVERY_MS = 100;
/** From then on a beat that is due is sent from here: the main thread may be too late for its own. */
const BEAT_FOR_BLOCKED_MS = 250;
const METRICS_PATIENCE_MS = 500;
/** An overdue attempt that does not block the loop itself is looked at again after this. */
const JUDGE_OVERDUE_EVERY_MS = 5_000;

const data = workerData as ThreadData;
const port = parentPort!;
const state = new SharedState(data.state);
const jobs = new RunningJobs();
const loop = new LoopWatch(state.ticks, performance.now());
const ownLog = data.log === null ? null : createLog(data.log.level, { format: data.log.format });

const tell = (message: FromThread) => port.postMessage(message);

function say(level: LogLevel, fields: object, message: string): void {
  if (ownLog) ownLog[level](fields, message);
  else tell({ kind: 'log', level, fields, message });
}

// What the main thread says.

let metricsText = '';
const metricsArrived: (() => void)[] = [];

port.on('message', ({ text }: ToThread) => {
  metricsText = text;
  for (const arrived of metricsArrived.splice(0)) arrived();
});

/** What was sent so far is known from now on. */
function hearOfJobs(): void {
  for (let received = receiveMessageOnPort(data.news); received; received = receiveMessageOnPort(data.news))
    jobs.hear(received.message as JobNews, performance.now());
}

// The main loop.

let blockedMs = 0;
let block: BlockDescription | null = null;
let overdueJudgedAt = -Infinity;
let isSparedSaid = false;

function look(): void {
  hearOfJobs();
  const now = performance.now();
  const news = loop.look(state.ticks, now);
  blockedMs = news.blockedMs;
  if (news.endedAfterMs !== null && block !== null) {
    tell({ kind: 'blockEnded', blockedMs: news.endedAfterMs, ...block });
    block = null;
  }
  if (blockedMs === 0) isSparedSaid = false;
  // Loading an application takes its time.
  if (state.phase === 'starting' || blockedMs === 0) return;
  if (blockedMs >= BEAT_FOR_BLOCKED_MS) void beat();
  if (news.isWorthSaying) void sayWhoBlocks(blockedMs);
  const overdue = jobs.overdue(now, blockedMs);
  if (overdue.length > 0 && now - overdueJudgedAt > JUDGE_OVERDUE_EVERY_MS) {
    overdueJudgedAt = now;
    void judgeOverdue(overdue);
  }
}

async function sayWhoBlocks(sinceMs: number): Promise<void> {
  block ??= describeBlock({ kind: 'unknown' }, jobs.atWork);
  const found = await findBlocking(state.isDebuggable);
  // Over meanwhile: that is said by the main thread.
  if (blockedMs === 0) return;
  if (found.kind !== 'unknown') block = describeBlock(found, jobs.atWork);
  say('warn', { ...block.fields, blockedMs: Math.round(sinceMs) }, `the event loop has been blocked for ${seconds(sinceMs)} ${block.by}`);
}

/** Ends the process for those that nothing else can stop: others take the jobs over, and the next start counts the crash. */
async function judgeOverdue(overdue: AttemptRef[]): Promise<void> {
  const { ticks } = state;
  const blocking = await findBlocking(state.isDebuggable);
  if (state.ticks !== ticks) return; // it has turned: they can be stopped from inside
  const guilty = jobs.toBeEnded(blocking, performance.now(), blockedMs);
  const [only] = guilty;
  if (only !== undefined) {
    const { jobType, id, run, attempt } = only;
    const fields = guilty.length === 1 ? { jobType, jobId: id, run, attempt } : { jobs: guilty.map(nameOf) };
    const where =
      blocking.kind === 'code' ? 'and blocks the event loop' : `in an event loop that has been blocked for ${seconds(blockedMs)}`;
    const message = `${namesOf(guilty)} exceeded ${guilty.length === 1 ? 'its' : 'their'} runTimeout ${where}, so that nothing can stop it: this process is killed`;
    // In a log of somebody else's the main thread would have to write it.
    (ownLog ?? createLog('error')).error({ ...fields, blockedMs: Math.round(blockedMs) }, message);
    process.kill(process.pid, 'SIGKILL');
  }
  if (blocking.kind !== 'unknown' || isSparedSaid) return;
  isSparedSaid = true;
  const message = `${namesOf(overdue)} exceeded runTimeout in a blocked event loop; since it could not be found out who blocks it, and others at work may still be in time, the process is not killed`;
  say('warn', { jobs: overdue.map(nameOf), blockedMs: Math.round(blockedMs) }, message);
}

// Beats.

let pool: Pool | null = null;
let isBeating = false;

async function beat(): Promise<void> {
  const isDue = state.renewalAgeMs !== null && state.renewalAgeMs >= beatIntervalMs(data.beat);
  if (data.database === null || isBeating || !isDue) return;
  isBeating = true;
  try {
    pool ??= anotherPool({ options: data.database }, { max: 1, log: { debug: (fields, message) => say('debug', fields, message) } });
    // In this order: a job that was listed before the main thread saw no beat is heard here, another one waits for the end.
    state.isBeating = true;
    // While a claim is under way nobody knows what runs: such a beat only says that the worker lives. Asked before the list is
    // taken: what an answered claim started is on it.
    const { isClaiming } = state;
    hearOfJobs();
    const sentAt = process.hrtime.bigint();
    const { rowCount } = await pool.query(isClaiming ? renewalQuery(data.beat) : beatQuery(data.beat, jobs.listed));
    if (rowCount) state.renewed(sentAt);
  } catch (error) {
    say('debug', { err: error }, 'the worker registry could not be renewed from outside of the blocked event loop');
  } finally {
    isBeating = false;
    state.isBeating = false;
  }
}

// Probes.

async function metrics(): Promise<string> {
  const arrived = new Promise<boolean>((resolve) => metricsArrived.push(() => resolve(true)));
  tell({ kind: 'metricsWanted' });
  const late = new Promise<boolean>((resolve) => setTimeout(resolve, METRICS_PATIENCE_MS, false));
  if (await Promise.race([arrived, late])) return metricsText + blockedGauge();
  return `# The event loop is blocked (${seconds(blockedMs)}): but for the last one these are the last known values.\n${metricsText}${blockedGauge()}`;
}

/** Known only here while it goes on. */
function blockedGauge(): string {
  const name = 'asyncjob_event_loop_blocked_seconds';
  return `\n# HELP ${name} For how long the event loop has been blocked now; 0 when that is less than a second.
# TYPE ${name} gauge\n${name} ${blockNow() / 1_000}\n`;
}

/** Between two ticks it is no block yet. */
function blockNow(): number {
  return blockedMs < BLOCK_MIN_MS ? 0 : blockedMs;
}

const sight = (): Sight => ({ phase: state.phase, blockedMs, renewalAgeMs: state.renewalAgeMs, ttlMs: data.beat.ttlMs });

async function serve(probePort: number): Promise<number> {
  return serveProbes(probePort, {
    whyNotLive: () => whyNotLive(sight()),
    whyNotReady: () => whyNotReady(sight()),
    blockedMs: blockNow,
    metrics,
  });
}

setInterval(look, LOOK_EVERY_MS);
try {
  tell({ kind: 'up', probePort: data.probePort === null ? null : await serve(data.probePort) });
} catch (error) {
  tell({ kind: 'refused', why: (error as Error).message });
}
