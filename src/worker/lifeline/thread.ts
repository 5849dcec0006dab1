// The lifeline's thread: sees the main loop from outside. While that is blocked it renews the worker's registry row, says
// who blocks it, and ends the process for an attempt that nobody can stop otherwise. It answers probes at any time.
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { Pool } from 'pg';
import { createLog } from '../../app/log.ts';
import { anotherPool } from '../../app/open-pool.ts';
import type { AttemptRef } from '../../domain/ports.ts';
import { beatIntervalMs, beatQuery, renewalQuery } from '../../mirror/beat.ts';
import { findBlocking } from './blocking-job.ts';
import { describeBlock, seconds, type BlockDescription } from './describe-block.ts';
import { whyNotLive, whyNotReady, type Sight } from './judge-probes.ts';
import { LoopWatch } from './loop-watch.ts';
import type { FromThread, LogLevel, ThreadData, ToThread } from './messages.ts';
import { serveProbes } from './probe-server.ts';
import { isSameAttempt, RunningJobs } from './running-jobs.ts';
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

function hear(message: ToThread): void {
  if (message.kind === 'several') return message.messages.forEach(hear);
  if (message.kind !== 'metrics') return jobs.hear(message, performance.now());
  metricsText = message.text;
  for (const arrived of metricsArrived.splice(0)) arrived();
}

port.on('message', hear);

/** What was sent is known from now on, not only in a later turn of this thread's own loop. */
function hearEverything(): void {
  for (let received = receiveMessageOnPort(port); received; received = receiveMessageOnPort(port)) hear(received.message as ToThread);
}

// The main loop.

let blockedMs = 0;
let block: BlockDescription | null = null;
let overdueJudgedAt = -Infinity;

function look(): void {
  const now = performance.now();
  const news = loop.look(state.ticks, now);
  blockedMs = news.blockedMs;
  if (news.endedAfterMs !== null && block !== null) {
    tell({ kind: 'blockEnded', blockedMs: news.endedAfterMs, ...block });
    block = null;
  }
  // Loading an application takes its time.
  if (state.phase === 'starting' || blockedMs === 0) return;
  if (blockedMs >= BEAT_FOR_BLOCKED_MS) void beat();
  if (news.isWorthSaying) void sayWhoBlocks(blockedMs);
  const overdue = jobs.overdue(now, blockedMs);
  if (overdue.length > 0 && now - overdueJudgedAt > JUDGE_OVERDUE_EVERY_MS) {
    overdueJudgedAt = now;
    void endForOverdue(overdue);
  }
}

const whoBlocks = async () => (state.isDebugged ? null : findBlocking());

async function sayWhoBlocks(sinceMs: number): Promise<void> {
  block ??= describeBlock(null, jobs.atWork);
  const found = await whoBlocks();
  // Over meanwhile: that is said by the main thread.
  if (blockedMs === 0) return;
  if (found !== null) block = describeBlock(found, jobs.atWork);
  say('warn', { ...block.fields, blockedMs: Math.round(sinceMs) }, `the event loop has been blocked for ${seconds(sinceMs)} ${block.by}`);
}

/** Others take the jobs over, and the next start of this one counts the crash. */
async function endForOverdue(overdue: AttemptRef[]): Promise<void> {
  const blocking = await whoBlocks();
  const guilty = blocking === null ? overdue[0] : overdue.find((ref) => blocking.ref && isSameAttempt(ref, blocking.ref));
  if (guilty === undefined || blockedMs === 0 || state.isDebugged) return;
  const { jobType, id, run, attempt } = guilty;
  const message = `${jobType} ${id} exceeded its runTimeout and blocks the event loop, so that nothing can stop it: this process is killed`;
  // In a log of somebody else's the main thread would have to write it.
  (ownLog ?? createLog('error')).error({ jobType, jobId: id, run, attempt, blockedMs: Math.round(blockedMs) }, message);
  process.kill(process.pid, 'SIGKILL');
}

// Beats.

let pool: Pool | null = null;
let isBeating = false;

async function beat(): Promise<void> {
  const isDue = state.renewalAgeMs !== null && state.renewalAgeMs >= beatIntervalMs(data.beat);
  if (data.database === null || isBeating || !isDue) return;
  isBeating = true;
  try {
    pool ??= anotherPool({ options: data.database }, 1, { debug: (fields, message) => say('debug', fields, message) });
    // In this order: a job that was listed before the main thread saw no beat is heard here, another one waits for the end.
    state.isBeating = true;
    // While a claim is under way nobody knows what runs: such a beat only says that the worker lives. Asked before the list is
    // taken: what an answered claim started is on it.
    const { isClaiming } = state;
    hearEverything();
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
  if (await Promise.race([arrived, late])) return metricsText;
  return `# The event loop is blocked (${seconds(blockedMs)}): these are the last known values.\n${metricsText}`;
}

const sight = (): Sight => ({ phase: state.phase, blockedMs, renewalAgeMs: state.renewalAgeMs, ttlMs: data.beat.ttlMs });

async function serve(probePort: number): Promise<number> {
  return serveProbes(probePort, { whyNotLive: () => whyNotLive(sight()), whyNotReady: () => whyNotReady(sight()), metrics });
}

setInterval(look, LOOK_EVERY_MS);
try {
  tell({ kind: 'up', probePort: data.probePort === null ? null : await serve(data.probePort) });
} catch (error) {
  tell({ kind: 'refused', why: (error as Error).message });
}
