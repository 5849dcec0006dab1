// The watch of running attempts: when it looks at their rows, and whom it tells.
import type { Pool } from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import type { AttemptRef, Log } from '../../src/domain/ports.ts';
import { AttemptWatch } from '../../src/mirror/attempt-watch.ts';
import { until } from '../support/until.ts';

const LOG = { debug: () => undefined } as unknown as Log;
const TABLES = new Map([
  [
    'SendInvoice',
    {
      jobType: 'SendInvoice',
      name: 'send_invoice',
      columns: {},
      jsonColumns: new Set<string>(),
      opaqueColumns: new Set<string>(),
      lane: null,
    },
  ],
]);

/** A watch whose look every so often never comes, on rows that all carry the intent to revoke. */
function open(answering: () => Promise<void> = async () => undefined) {
  const looks: string[][] = [];
  const pool = {
    async query(_text: string, [ids]: [string[]]) {
      looks.push(ids);
      await answering();
      return { rows: ids.map((id) => ({ id, status: 'STARTED', run: 1, attempt: 1, run_id: 'exec', revoke_requested: true })) };
    },
  };
  const watch = new AttemptWatch(pool as unknown as Pool, TABLES, { attempts: '', workers: '' }, 3_600_000, LOG);
  const told: string[] = [];
  const begin = (id: string) => {
    const ref: AttemptRef = { jobType: 'SendInvoice', id, run: 1, attempt: 1, runId: 'exec' };
    return watch.watch(ref, { overtaken: () => undefined, revokeRequested: () => void told.push(id) });
  };
  return { watch, looks, told, begin };
}

describe('the watch of running attempts', () => {
  const opened: AttemptWatch[] = [];
  const opening: typeof open = (answering) => {
    const all = open(answering);
    opened.push(all.watch);
    return all;
  };
  afterEach(() => opened.splice(0).forEach((watch) => watch.stop()));

  it('looks at once when one of them is revoked, and not for others', async () => {
    const { watch, looks, told, begin } = opening();
    begin('a');
    watch.revoked('of another worker');
    expect(looks).toEqual([]);
    watch.revoked('a');
    await until(() => told.length > 0);
    expect([looks, told]).toEqual([[['a']], ['a']]);
  });

  it('looks once more, for all that is heard during a look', async () => {
    const answers: (() => void)[] = [];
    const { watch, looks, begin } = opening(() => new Promise((resolve) => answers.push(resolve)));
    begin('a');
    begin('b');
    const looking = watch.look();
    for (const id of ['a', 'b', 'a']) watch.revoked(id);
    expect(looks).toHaveLength(1);
    answers.shift()!();
    await until(() => looks.length === 2);
    answers.shift()!();
    await looking;
    expect(looks).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ]);
  });

  it('looks when an attempt begins whose job was revoked a moment before', async () => {
    const { watch, looks, told, begin } = opening();
    watch.revoked('a');
    begin('a');
    await until(() => told.length > 0);
    begin('a');
    expect([looks, told]).toEqual([[['a']], ['a']]);
  });

  it('goes on after a look that failed, and tells nobody whose attempt has ended', async () => {
    let isAway = true;
    const { watch, told, begin } = opening(async () => {
      if (isAway) throw new Error('away');
    });
    const end = begin('a');
    begin('b');
    watch.revoked('a');
    await watch.look();
    isAway = false;
    end();
    await until(async () => {
      await watch.look();
      return told.length > 0;
    });
    expect(new Set(told)).toEqual(new Set(['b']));
  });
});
