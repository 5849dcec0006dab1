import { getEventListeners } from 'node:events';
import { expect, it, vi } from 'vitest';
import { pause } from '../../../src/domain/pause.ts';

it('ends with the time or the signal, whichever comes first, and leaves no listener and no timer behind', async () => {
  vi.useFakeTimers();
  try {
    const stop = new AbortController();
    let ended = 0;
    void pause(1_000, stop.signal).then(() => ended++);
    await vi.advanceTimersByTimeAsync(999);
    expect(ended).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect([ended, getEventListeners(stop.signal, 'abort').length]).toEqual([1, 0]);
    const aborted = pause(1_000, stop.signal);
    stop.abort();
    await aborted;
    await pause(1_000, stop.signal);
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});
