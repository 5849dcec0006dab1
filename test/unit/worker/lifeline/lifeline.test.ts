// The lifeline with its real thread, without a database.
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { expect, it } from 'vitest';
import type { Log } from '../../../../src/domain/ports.ts';
import { Lifeline } from '../../../../src/worker/lifeline/lifeline.ts';
import type { TransferableOptions } from '../../../../src/worker/lifeline/transferable-options.ts';
import { until } from '../../../support/until.ts';

function listeningLog(): { log: Log; lines: { level: string; fields: Record<string, unknown>; message: string }[] } {
  const lines: { level: string; fields: Record<string, unknown>; message: string }[] = [];
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, fields: { ...fields }, message });
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: () => log };
  return { log, lines };
}

const PATIENCE = { timeout: 15_000 };
const HAS_IPV6 = Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ family }) => family === 'IPv6'));

interface Given {
  blocks?: number[];
  module?: URL;
  text?: () => Promise<string>;
  database?: TransferableOptions;
}

function openLifeline(
  log: Log,
  probePort: number | null,
  { blocks = [], module, text = () => Promise.resolve('a 1\n'), database = { options: { port: 1 }, obstacle: null } }: Given = {},
): Lifeline {
  const worker = { id: 'w', application: '', host: 'h', pid: 1, version: '0', queues: [], concurrency: 1 };
  return new Lifeline({
    beat: { workers: 'async_job_worker', worker, ttlMs: 15_000 },
    database,
    probePort,
    log,
    metrics: { text, blockEnded: (ms) => blocks.push(ms) },
    ...(module ? { module } : {}),
  });
}

/** Blocks this thread for so long, not counting when it did not run: nor does the lifeline. */
function block(ms: number): void {
  let last = performance.now();
  for (let now = last; ms > 0; ms -= Math.min(now - last, 10)) [last, now] = [now, performance.now()];
}

it('a log of somebody else hears of a block once it is over, and the metrics of its length', async () => {
  const { log, lines } = listeningLog();
  const blocks: number[] = [];
  const lifeline = openLifeline(log, null, { blocks });
  await lifeline.open();
  try {
    lifeline.advance('ready');
    const ended = lifeline.began({ jobType: 'Report', id: 'a', run: 1, attempt: 1, runId: 'r' }, null);
    block(2_500);
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
  // A machine that stands still for a while is a block, too, or answers too late.
  const answers = (path: string, status: number, text: unknown) => expect.poll(() => ask(path), PATIENCE).toEqual([status, text]);
  try {
    await answers('/livez?verbose', 200, '{"live":true,"blockedMs":0}\n');
    await answers('/readyz', 503, '{"ready":false,"why":"starting","blockedMs":0}\n');
    const metrics = /^a 1\n\n# HELP asyncjob_event_loop_blocked_seconds .*\n# TYPE \S+ gauge\nasyncjob_event_loop_blocked_seconds 0\n$/;
    await answers('/metrics', 200, expect.stringMatching(metrics));
    expect((await ask('/'))[0]).toBe(404);
    expect(HAS_IPV6 ? (await fetch(`http://[::1]:${port}/livez`)).status : 200).toBe(200);
    lifeline.advance('ready');
    lifeline.renewed(process.hrtime.bigint());
    await answers('/readyz', 200, '{"ready":true,"blockedMs":0}\n');
    lifeline.advance('stopping');
    lifeline.advance('ready');
    await answers('/readyz', 503, '{"ready":false,"why":"shutting down","blockedMs":0}\n');
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

it('says at the start why there are no beats from outside, and what that means', async () => {
  const { log, lines } = listeningLog();
  const database = { options: null, obstacle: "'password' is a function" };
  await using lifeline = disposable(openLifeline(log, null, { database }));
  await lifeline.open();
  expect(lines).toEqual([
    { level: 'warn', fields: {}, message: expect.stringMatching(/^no beats .*'password' is a function.*look dead$/) as string },
  ]);
});

const NOWHERE = new URL('./nowhere.js', import.meta.url);

it('only warns when its thread cannot start', async () => {
  const { log, lines } = listeningLog();
  await using lifeline = disposable(openLifeline(log, null, { module: NOWHERE }));
  await lifeline.open();
  expect(lines).toMatchObject([{ level: 'warn', message: expect.stringContaining('cannot start') as string }]);
  lifeline.listed('a');
  lifeline.began({ jobType: 'Report', id: 'a', run: 1, attempt: 1, runId: 'r' }, null)();
  expect(lifeline.inFlight()).toBeNull();
});

it('refuses probes without its thread, and says what to do', async () => {
  await expect(openLifeline(listeningLog().log, 0, { module: NOWHERE }).open()).rejects.toMatchObject({
    code: 'settings.invalid',
    message: expect.stringMatching(/thread .* cannot start .*--allow-worker.*--probe-port/) as string,
  });
});

it.each([
  ['throws', "throw new Error('boom')"],
  ['ends', 'process.exit(3)'],
])('warns once when its thread %s later, and goes on', async (_, later) => {
  const { log, lines } = listeningLog();
  const code = `import { parentPort, workerData } from 'node:worker_threads'; workerData.news.once('message', () => { ${later} }); parentPort.postMessage({ kind: 'up', probePort: null })`;
  await using lifeline = disposable(openLifeline(log, null, { module: new URL(`data:text/javascript,${encodeURIComponent(code)}`) }));
  await lifeline.open();
  lifeline.listed('a');
  const broken = () => lines.filter(({ message }) => message.includes('broke'));
  await until(() => broken().length > 0);
  await lifeline[Symbol.asyncDispose]();
  expect(broken()).toMatchObject([{ level: 'warn' }]);
});

it('survives metrics that cannot be read', async () => {
  const { log, lines } = listeningLog();
  await using lifeline = disposable(openLifeline(log, 0, { text: () => Promise.reject(new Error('boom')) }));
  await lifeline.open();
  expect(lines.map(({ message }) => message)).toContain('the metrics could not be read: /metrics shows the last known values');
});

function disposable(lifeline: Lifeline): Lifeline & AsyncDisposable {
  return Object.assign(lifeline, { [Symbol.asyncDispose]: () => lifeline.close() });
}
