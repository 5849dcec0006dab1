// Every way in which a job's workflow can go, for histories that later versions must still be able to replay. What the
// row would say is scripted: a history knows only what attempts answered.
import type { AttemptEnd, AttemptHost, RunAttempt } from '../src/domain/attempt.ts';
import type { ErrorRecord } from '../src/domain/errors.ts';
import type { LaneEnd } from '../src/domain/lane.ts';
import type { DispatchRequest, JobEngine } from '../src/domain/ports.ts';

export type Attempt = (host: AttemptHost, invoke: Parameters<RunAttempt>[1]) => Promise<AttemptEnd>;
export type Closed = 'COMPLETED' | 'FAILED' | 'CANCELLED' | 'TERMINATED';

/** What a scenario can do and wait for while its job is under way. */
export interface Stage {
  engine: JobEngine;
  job: DispatchRequest;
  /** Resolves when the n-th attempt has begun. */
  attemptBegan(n: number): Promise<unknown>;
  /** Resolves when the server waits with the n-th attempt. */
  attemptWaits(n: number): Promise<unknown>;
}

export interface Scenario {
  /** The name of its file. */
  name: string;
  closes: Closed;
  /** What its attempts do, in order; the last one repeats. */
  attempts: Attempt[];
  request?: Partial<DispatchRequest>;
  /** Before there is a worker. */
  before?(stage: Stage): Promise<void>;
  /** While the worker is at work. */
  during?(stage: Stage): Promise<void>;
  /** The worker of the first attempt is killed. */
  firstWorkerDies?: true;
  /** So often the last word cannot be written. */
  lastWordFailures?: number;
  /** It is a lane's workflow, which ends for this reason. */
  lane?: Extract<LaneEnd, 'empty' | 'cancelled'>;
}

const error: ErrorRecord = {
  type: 'CardError',
  message: 'card declined',
  code: 'card_declined',
  stack: 'CardError: card declined\n    at pay (pay.ts:1:1)',
  retryable: false,
};
const LATER_MS = 60_000;

const answers =
  (end: AttemptEnd): Attempt =>
  async () =>
    end;
const succeeds: Attempt = async (_host, invoke) => {
  await invoke(async () => undefined);
  return { kind: 'succeeded' };
};
const untilStopped =
  (end: AttemptEnd): Attempt =>
  (host) =>
    new Promise((resolve) => host.signal.addEventListener('abort', () => resolve(end)));
/** Until Temporal gave the attempt up. */
const untilLost: Attempt = (host) =>
  new Promise((resolve) => {
    for (const signal of [host.lost!, host.signal]) signal.addEventListener('abort', () => resolve({ kind: 'handedBack', reason: 'lost' }));
  });
const cancelled = async ({ engine, job, attemptBegan }: Stage): Promise<void> => {
  await attemptBegan(1);
  await engine.cancel(job, 'not needed');
};

export const SCENARIOS: readonly Scenario[] = [
  { name: 'success', closes: 'COMPLETED', attempts: [succeeds] },
  { name: 'success-with-priority', closes: 'COMPLETED', attempts: [succeeds], request: { priority: 1 } },
  { name: 'failure', closes: 'FAILED', attempts: [answers({ kind: 'failed', error })] },
  { name: 'retry-then-success', closes: 'COMPLETED', attempts: [answers({ kind: 'retry', error, delayMs: 300 }), succeeds] },
  {
    name: 'retry-then-give-up',
    closes: 'FAILED',
    attempts: [
      answers({ kind: 'retry', error, delayMs: 300 }),
      answers({ kind: 'failed', error: { type: 'GiveUp', message: 'enough', retryable: false } }),
    ],
  },
  { name: 'handed-back-then-success', closes: 'COMPLETED', attempts: [answers({ kind: 'handedBack', reason: 'shutdown' }), succeeds] },
  { name: 'behind-then-success', closes: 'COMPLETED', attempts: [answers({ kind: 'behind' }), succeeds] },
  {
    name: 'crash-then-success',
    closes: 'COMPLETED',
    attempts: [succeeds],
    firstWorkerDies: true,
    request: { heartbeatTimeoutMs: 1_500 },
  },
  { name: 'delayed-start', closes: 'COMPLETED', attempts: [succeeds], request: { startAt: new Date(Date.now() + 1_500) } },
  { name: 'refused', closes: 'COMPLETED', attempts: [answers({ kind: 'refused', why: 'the row is FAILURE in run 2' })] },
  { name: 'not-found', closes: 'FAILED', attempts: [answers({ kind: 'not_found' })] },
  { name: 'revoked-while-running', closes: 'CANCELLED', attempts: [answers({ kind: 'revoked' })] },
  { name: 'cancelled-while-running', closes: 'CANCELLED', attempts: [untilStopped({ kind: 'cancelled' })], during: cancelled },
  {
    name: 'cancelled-before-a-worker-came',
    closes: 'CANCELLED',
    attempts: [succeeds],
    before: ({ engine, job }) => engine.cancel(job, 'not needed'),
  },
  {
    name: 'cancelled-between-attempts',
    closes: 'CANCELLED',
    attempts: [answers({ kind: 'retry', error, delayMs: LATER_MS })],
    async during({ engine, job, attemptWaits }) {
      await attemptWaits(2);
      await engine.cancel(job, 'not needed');
    },
  },
  {
    name: 'handed-back-after-cancel',
    closes: 'CANCELLED',
    attempts: [untilStopped({ kind: 'handedBack', reason: 'shutdown' })],
    during: cancelled,
  },
  { name: 'failed-after-cancel', closes: 'FAILED', attempts: [untilStopped({ kind: 'failed', error })], during: cancelled },
  { name: 'succeeded-after-cancel', closes: 'COMPLETED', attempts: [untilStopped({ kind: 'succeeded' })], during: cancelled },
  {
    name: 'time-limit-while-running',
    closes: 'FAILED',
    attempts: [untilLost],
    request: { totalTimeoutMs: 1_500, heartbeatTimeoutMs: 3_000 },
  },
  {
    name: 'time-limit-between-attempts',
    closes: 'FAILED',
    attempts: [answers({ kind: 'retry', error, delayMs: LATER_MS })],
    request: { totalTimeoutMs: 1_500 },
  },
  {
    name: 'last-word-by-remote-activity',
    closes: 'FAILED',
    attempts: [answers({ kind: 'failed', error })],
    lastWordFailures: 6,
  },
  {
    name: 'last-word-of-a-revoked-job-by-remote-activity',
    closes: 'CANCELLED',
    attempts: [answers({ kind: 'revoked' })],
    lastWordFailures: 4,
  },
  {
    name: 'terminated',
    closes: 'TERMINATED',
    attempts: [untilLost],
    async during({ engine, job, attemptBegan }) {
      await attemptBegan(1);
      await engine.terminate(job, 'test');
    },
  },
  { name: 'lane', closes: 'COMPLETED', attempts: [], lane: 'empty' },
  { name: 'lane-cancelled', closes: 'COMPLETED', attempts: [], lane: 'cancelled' },
];
