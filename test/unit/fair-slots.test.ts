import { expect, it } from 'vitest';
import { FairSlots } from '../../src/worker/slots.ts';

const { signal } = new AbortController();

it('gives no more than there are, in the order of asking', async () => {
  const slots = new FairSlots(2);
  const order: number[] = [];
  const [first] = await Promise.all([slots.acquire(signal), slots.acquire(signal)]);
  const third = slots.acquire(signal).then((release) => (order.push(3), release));
  const fourth = slots.acquire(signal).then((release) => (order.push(4), release));
  await Promise.resolve();
  expect([order, slots.waiting]).toEqual([[], 2]);
  first();
  (await third)();
  await fourth;
  expect(order).toEqual([3, 4]);
});

it('takes a slot back once, however often it is released', async () => {
  const slots = new FairSlots(1);
  const release = await slots.acquire(signal);
  release();
  release();
  await slots.acquire(signal);
  void slots.acquire(signal);
  expect(slots.waiting).toBe(1);
});

it('lets those go who need not wait any longer', async () => {
  const slots = new FairSlots(1);
  const release = await slots.acquire(signal);
  const stop = new AbortController();
  const waiting = slots.acquire(stop.signal);
  stop.abort(new Error('cancelled'));
  await expect(waiting).rejects.toThrow('cancelled');
  expect(slots.waiting).toBe(0);
  release();
  await slots.acquire(signal);
  await expect(slots.acquire(stop.signal)).rejects.toThrow('cancelled');
});

it('lets nobody in once it is closed, those who wait included', async () => {
  const slots = new FairSlots(1);
  const release = await slots.acquire(signal);
  const waiting = slots.acquire(signal);
  slots.close();
  await expect(waiting).rejects.toMatchObject({ reason: 'shutdown' });
  await expect(slots.acquire(signal)).rejects.toMatchObject({ reason: 'shutdown' });
  release();
  expect(slots.waiting).toBe(0);
});
