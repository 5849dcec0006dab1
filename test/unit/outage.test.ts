import { expect, it } from 'vitest';
import { AsyncJobError } from '../../src/domain/errors.ts';
import { Outage } from '../../src/temporal/outage.ts';

const away = new AsyncJobError('temporal.unavailable', 'test');

function anOutage() {
  const clock = { now: 0 };
  const outage = new Outage(() => clock.now);
  const calls: boolean[] = [];
  const fail = (isProbe: boolean): Promise<string> => (calls.push(isProbe), Promise.reject(away));
  const answer = (isProbe: boolean): Promise<string> => (calls.push(isProbe), Promise.resolve('answer'));
  return { clock, outage, calls, fail, answer };
}

it('calls nobody for a while after a failure, and longer after each further one, up to ten seconds', async () => {
  const { clock, outage, calls, fail, answer } = anOutage();
  for (const pauseMs of [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]) {
    await expect(outage.guard(fail)).rejects.toBe(away);
    clock.now += pauseMs - 1;
    await expect(outage.guard(answer)).rejects.toBe(away);
    clock.now += 1;
  }
  expect(calls).toEqual([false, true, true, true, true, true]);
});

it('lets one call probe, and everybody after it succeeded', async () => {
  const { clock, outage, calls, fail, answer } = anOutage();
  await expect(outage.guard(fail)).rejects.toBe(away);
  clock.now = 1_000;
  const probe = outage.guard(answer);
  await expect(outage.guard(answer)).rejects.toBe(away);
  await expect(probe).resolves.toBe('answer');
  await expect(outage.guard(answer)).resolves.toBe('answer');
  expect(calls).toEqual([false, true, false]);
});

it('counts calls that fail together as one failure', async () => {
  const { clock, outage, fail, answer } = anOutage();
  await Promise.allSettled(Array.from({ length: 10 }, () => outage.guard(fail)));
  clock.now = 1_000;
  await expect(outage.guard(answer)).resolves.toBe('answer');
});

it('is over with any answer, errors included', async () => {
  const { clock, outage, fail, answer } = anOutage();
  await expect(outage.guard(fail)).rejects.toBe(away);
  clock.now = 1_000;
  await expect(outage.guard(() => Promise.reject(new Error('already started')))).rejects.toThrow('already started');
  await expect(outage.guard(answer)).resolves.toBe('answer');
});
