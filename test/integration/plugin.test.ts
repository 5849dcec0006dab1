// `app.plugin()` in a Temporal worker that is somebody else's: it takes nothing for itself, and ends nothing.
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { NativeConnection, Worker } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import type { PluginOptions } from '../../src/index.ts';
import { Lifeline } from '../../src/worker/lifeline/lifeline.ts';
import { WorkerServices } from '../../src/worker/worker-services.ts';
import { loadWorkflowBundle } from '../../src/worker/workflow-bundle.ts';
import { temporalAddress } from '../support/servers.ts';
import { Limited, openShop, type Shop } from '../support/shop.ts';

/** The port that the environment names for probes, which somebody has. */
const other = createServer();
let port: number;
let shop: Shop;
beforeAll(async () => {
  await once(other.listen(0), 'listening');
  ({ port } = other.address() as AddressInfo);
  shop = await openShop({ settings: { probePort: port } });
});
afterAll(async () => {
  other.close();
  await shop?.[Symbol.asyncDispose]();
});
afterEach(() => vi.restoreAllMocks());

/** A worker of theirs, for as long as `during` lasts. */
async function work(options: PluginOptions, during: () => Promise<unknown> = () => Promise.resolve()): Promise<void> {
  const connection = await NativeConnection.connect({ address: temporalAddress() });
  try {
    const taskQueue = `${shop.app.name}/default`;
    const plugins = [await shop.app.plugin(options)];
    const worker = await Worker.create({ connection, taskQueue, workflowBundle: await loadWorkflowBundle(), plugins });
    await worker.runUntil(during);
  } finally {
    await connection.close();
  }
}

it.each([
  [{}, null],
  [{ killBlocked: true }, 300],
])('with %o tells the lifeline of a runTimeout of %s, without the port of the environment', async (options, told) => {
  const began = vi.spyOn(Lifeline.prototype, 'began');
  using _ = shop.app.handle(Limited, () => undefined);
  await work(options, async () => (await Limited.enqueue()).wait({ timeout: '20 seconds' }));
  expect(began.mock.calls.map(([, runTimeoutMs]) => runTimeoutMs)).toEqual([told]);
});

it('leaves nothing open when it cannot start', async () => {
  const stop = vi.spyOn(WorkerServices.prototype, 'stop');
  const plugin = await shop.app.plugin({ probePort: port });
  plugin.configureWorker({ taskQueue: 'theirs' });
  const next = vi.fn<() => Promise<void>>();
  const theirs = { getState: () => 'INITIALIZED' } as unknown as Worker;
  await expect(plugin.runWorker(theirs, next)).rejects.toMatchObject({ code: 'settings.invalid' });
  expect(next).not.toHaveBeenCalled();
  expect(stop).toHaveBeenCalledTimes(1);
});

it.each([
  [{ probePort: -1 }, '-1 is no port'],
  [{ proobePort: 1 }, "did you mean 'probePort'"],
])('refuses the options %o', async (options, message) => {
  await expect(shop.app.plugin(options as PluginOptions)).rejects.toMatchObject({
    code: 'settings.invalid',
    message: expect.stringContaining(message) as string,
  });
});
