// The lifeline with its real thread, without a database.
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import type { Log } from '../../../../src/domain/ports.ts';
import { Lifeline } from '../../../../src/worker/lifeline/lifeline.ts';
import { until } from '../../../support/until.ts';

function listeningLog(): { log: Log; lines: { level: string; fields: Record<string, unknown>; message: string }[] } {
  const lines: { level: string; fields: Record<string, unknown>; message: string }[] = [];
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, fields: { ...fields }, message });
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: () => log };
  return { log, lines };
}

function openLifeline(log: Log, probePort: number | null, blocks: number[] = []): Lifeline {
  const worker = { id: 'w', application: '', host: 'h', pid: 1, version: '0', queues: [], concurrency: 1 };
  return new Lifeline({
    beat: { workers: 'async_job_worker', worker, ttlMs: 15_000 },
    database: null,
    probePort,
    log,
    metrics: { text: () => Promise.resolve('a 1\n'), blockEnded: (ms) => blocks.push(ms) },
  });
}

it('a log of somebody else hears of a block once it is over, and the metrics of its length', async () => {
  const { log, lines } = listeningLog();
  const blocks: number[] = [];
  const lifeline = openLifeline(log, null, blocks);
  await lifeline.open();
  try {
    lifeline.advance('ready');
    const ended = lifeline.began({ jobType: 'Report', id: 'a', run: 1, attempt: 1, runId: 'r' }, null);
    const end = performance.now() + 2_500;
    while (performance.now() < end);
    ended();
    await until(() => blocks.length > 0);
    const said = lines.filter(({ level }) => level === 'warn').map(({ message }) => message);
    expect(said.at(-1)).toMatch(/^the event loop was blocked for \d\.\d s by /);
    expect(said.every((message) => message.startsWith('the event loop has been blocked for 1.') || message === said.at(-1))).toBe(true);
    expect(blocks[0]).toBeGreaterThan(2_000);
  } finally {
    await lifeline.close();
  }
});

it('answers probes and metrics on a free port, and gives it back when it is closed', async () => {
  const { log, lines } = listeningLog();
  const lifeline = openLifeline(log, 0);
  await lifeline.open();
  const { port } = lines.find(({ message }) => message.startsWith('probes'))!.fields as { port: number };
  const ask = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return [response.status, await response.text()];
  };
  try {
    expect(await ask('/livez?verbose')).toEqual([200, '{"live":true}\n']);
    expect(await ask('/readyz')).toEqual([503, '{"ready":false,"why":"starting"}\n']);
    expect(await ask('/metrics')).toEqual([200, 'a 1\n']);
    expect((await ask('/'))[0]).toBe(404);
    lifeline.advance('ready');
    lifeline.renewed(process.hrtime.bigint());
    expect(await ask('/readyz')).toEqual([200, '{"ready":true}\n']);
    lifeline.advance('stopping');
    lifeline.advance('ready');
    expect(await ask('/readyz')).toEqual([503, '{"ready":false,"why":"shutting down"}\n']);
  } finally {
    await lifeline.close();
  }
  const next = createServer().listen(port, '0.0.0.0');
  await once(next, 'listening');
  next.close();
});

it('refuses a port that is taken', async () => {
  const other = createServer().listen(0, '0.0.0.0');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  await expect(openLifeline(listeningLog().log, port).open()).rejects.toMatchObject({ code: 'settings.invalid' });
  other.close();
});
