import { EventEmitter } from 'node:events';
import type { Pool } from 'pg';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Log } from '../../src/domain/ports.ts';
import { RevocationListener } from '../../src/mirror/revocation-listener.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** `hears`: what is notified comes back. `notify` stands in for the statement that notifies. */
function listenerOn({ hears, notify = () => Promise.resolve() }: { hears: boolean; notify?: () => Promise<void> }) {
  let isEnded = false;
  const client = Object.assign(new EventEmitter(), {
    query: () => (isEnded ? Promise.reject(new Error('Connection terminated')) : Promise.resolve()),
    release: () => client.removeAllListeners(),
    end: () => client.emit('end', (isEnded = true)),
  });
  const query = async (_text: string, [payload]: [string]) => {
    await notify();
    if (hears) client.emit('notification', { channel: 'asyncjob', payload });
  };
  const connect = () => Promise.resolve(((isEnded = false), client));
  const pool = { connect, query } as unknown as Pool;
  const warnings: string[] = [];
  const log: Log = { debug() {}, info() {}, error() {}, warn: (_, message) => void warnings.push(message), child: () => log };
  const revoked: string[] = [];
  const listener = new RevocationListener(pool, { revoked: (id) => void revoked.push(id), mayHaveMissed: () => undefined }, log);
  return { listener, client, warnings, revoked };
}

it('warns once, with the name of the setting, when it does not hear itself', async () => {
  const { listener, client, warnings } = listenerOn({ hears: false });
  listener.start();
  await vi.advanceTimersByTimeAsync(1_900);
  expect(warnings).toEqual([]);
  await vi.advanceTimersByTimeAsync(200);
  expect(warnings).toEqual([expect.stringContaining('ASYNCJOB_LISTEN=false')]);
  client.end();
  await vi.advanceTimersByTimeAsync(20_000);
  expect(warnings.filter((warning) => warning.includes('LISTEN'))).toHaveLength(1);
  await listener.stop();
});

it('tells of revocations, and not of what listeners say to themselves', async () => {
  const { listener, client, warnings, revoked } = listenerOn({ hears: true });
  listener.start();
  await vi.advanceTimersByTimeAsync(10_000);
  client.emit('notification', { channel: 'asyncjob', payload: 'a' });
  client.emit('notification', { channel: 'asyncjob', payload: '' });
  expect([warnings, revoked]).toEqual([[], ['a']]);
  await listener.stop();
});

it.each([
  ['fails', () => Promise.reject(new Error('timeout exceeded when trying to connect'))],
  ['is not sent, since no connection is free', () => new Promise<void>(() => undefined)],
])('says nothing, and listens, when the word to itself %s', async (_, notify) => {
  const { listener, client, warnings, revoked } = listenerOn({ hears: false, notify });
  listener.start();
  await vi.advanceTimersByTimeAsync(60_000);
  client.emit('notification', { channel: 'asyncjob', payload: 'a' });
  expect([warnings, revoked]).toEqual([[], ['a']]);
  await listener.stop();
});
