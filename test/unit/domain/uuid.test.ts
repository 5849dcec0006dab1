// UUID version 7: its fixed bits, its order and its randomness.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/domain/uuid.ts';

const anyTime = fc.integer({ min: 0, max: 2 ** 48 - 1 });

describe('uuidv7', () => {
  it('has the canonical form with version 7 and the RFC variant', () => {
    fc.assert(
      fc.property(anyTime, (now) => {
        expect(uuidv7(now)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      }),
    );
  });

  it('begins with the time in milliseconds', () => {
    fc.assert(
      fc.property(anyTime, (now) => {
        expect(Number.parseInt(uuidv7(now).replaceAll('-', '').slice(0, 12), 16)).toBe(now);
      }),
    );
  });

  it('takes the present time by itself', () => {
    const before = Date.now();
    const time = Number.parseInt(uuidv7().replaceAll('-', '').slice(0, 12), 16);
    expect(time).toBeGreaterThanOrEqual(before);
    expect(time).toBeLessThanOrEqual(Date.now());
  });

  it('is ordered by time, as text and so in an index', () => {
    fc.assert(
      fc.property(anyTime, anyTime, (a, b) => {
        fc.pre(a !== b);
        expect(uuidv7(a) < uuidv7(b)).toBe(a < b);
      }),
    );
  });

  it('repeats none within one millisecond', () => {
    const count = 5_000;
    expect(new Set(Array.from({ length: count }, () => uuidv7(1_700_000_000_000))).size).toBe(count);
  });

  it('is random in every bit that is not fixed', () => {
    const FIXED = 48 + 4 + 2;
    const ids = Array.from({ length: 200 }, () => BigInt(`0x${uuidv7(0).replaceAll('-', '')}`));
    const varying = ids.reduce((bits, id) => bits | (id ^ ids[0]!), 0n);
    expect(varying.toString(2).replaceAll('0', '').length).toBe(128 - FIXED);
  });
});
