// Revocation is durable intent: it races with everything, and its answer holds.
import { expect, it } from 'vitest';
import { KINDS } from './fixtures/app/jobs.ts';
import { IS_LONG } from './support/patience.ts';
import { raceRevocations } from './support/races.ts';
import { seededRandom } from './support/random.ts';
import { withStage } from './support/with-stage.ts';

const stage = withStage();

const RACES = IS_LONG ? 10_000 : 300;

it(`${RACES} revocations that race with starts and ends are each decided once, and REVOKED is a promise`, async () => {
  const seed = Number(process.env['CHAOS_SEED'] ?? 1);
  await stage().workersOf(2);
  const outcome = await raceRevocations(stage(), { kinds: Object.values(KINDS), races: RACES, random: seededRandom(seed) });
  expect(outcome, `seed ${seed}`).toMatchObject({ races: RACES, brokenPromises: [] });
  expect(outcome.revoked + outcome.succeeded).toBe(RACES);
  // Otherwise nothing was raced.
  expect(outcome.revoked).toBeGreaterThan(RACES / 20);
  expect(outcome.succeeded).toBeGreaterThan(RACES / 20);
});

it('a revocation reaches a running handler within a second, also when Temporal cannot tell it', async () => {
  // A long time to live, so that the looks at rows come every two seconds: that a handler hears sooner is no accident.
  await stage().worker([], { ASYNCJOB_WORKER_TTL: '15s' });
  for (const { Held } of Object.values(KINDS)) {
    const jobs = await Promise.all([Held.enqueue({}), Held.enqueue({}), Held.enqueue({}), Held.enqueue({})]);
    for (const job of jobs) await stage().happened(job, 'began');
    const revoked: Promise<unknown>[] = [];
    const delaysMs: number[] = [];
    stage().temporal.freeze();
    try {
      for (const job of jobs) {
        revoked.push(stage().asksToRevoke(job).revoke());
        const { at } = await stage().happened(job, 'stopped');
        delaysMs.push(at - (await stage().row(job)).revokeRequestedAt!.getTime());
      }
    } finally {
      stage().temporal.thaw();
    }
    await Promise.all(revoked);
    for (const job of jobs) expect(await stage().settled(job)).toMatchObject({ status: 'REVOKED', attempt: 1 });
    // A handler that only a look stops makes the next one wait for the next look.
    expect(Math.min(...delaysMs.slice(1))).toBeLessThan(1_000);
  }
});

it('a retry of a terminated job waits until the terminated handler has really ended', async () => {
  await stage().workersOf(2);
  // Of lanes: integration/lanes.
  const jobs = await Promise.all([KINDS.workflow, KINDS.activity].map(({ Held }) => Held.enqueue({ deaf: true })));
  for (const job of jobs) {
    await stage().happened(job, 'began');
    expect(await stage().asksToRevoke(job).revoke({ terminate: true })).toBe('REVOKED');
    await job.retry();
    await stage().until(job, ({ run, runId }) => run === 2 && runId !== null);
  }
  await stage().release(...jobs);
  for (const job of jobs) {
    expect(await stage().settled(job)).toMatchObject({ status: 'SUCCESS', run: 2, crashes: 0, failures: 0 });
    const effects = (await stage().effects(job)).map(({ what, run }) => `${what} ${run}`);
    expect(effects).toEqual(['began 1', 'ended 1', 'began 2', 'ended 2']);
  }
});
