// Where the process that enqueues also runs a worker, a workflow begins with the answer to its start. Real Temporal.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openShop, SendInvoice, type Shop } from '../support/shop.ts';
import { until } from '../support/until.ts';

let shop: Shop;
beforeAll(async () => void (shop = await openShop()));
afterAll(() => shop?.[Symbol.asyncDispose]());

async function beganEagerly(job: SendInvoice): Promise<boolean> {
  const { events } = await shop.app.temporal.workflow.getHandle(`${shop.app.name}/SendInvoice/${job.id}/1`).fetchHistory();
  return events?.[0]?.workflowExecutionStartedEventAttributes?.eagerExecutionAccepted === true;
}

it('a worker begins what its own process enqueues, unless priorities or a later time have a say', async () => {
  using _ = shop.app.handle(SendInvoice, () => undefined);
  const worker = await shop.app.worker({ queues: ['default'], signals: false });
  const run = worker.run();
  await (await SendInvoice.enqueue()).wait({ timeout: '20 seconds' }); // it is at work
  const [plain, elsewhere, urgent, later] = await Promise.all([
    SendInvoice.enqueue(),
    SendInvoice.enqueue({}, { queue: 'billing' }),
    SendInvoice.enqueue({}, { priority: 1 }),
    SendInvoice.enqueue({}, { delay: '1 second' }),
  ]);
  for (const job of [plain, urgent, later]) await job.wait({ timeout: '20 seconds' });
  expect(await Promise.all([plain, elsewhere, urgent, later].map(beganEagerly))).toEqual([true, false, false, false]);

  await worker.shutdown();
  await run;
  const afterwards = await SendInvoice.enqueue();
  expect(await beganEagerly(afterwards)).toBe(false);
  expect(await afterwards.refresh()).toMatchObject({ status: 'PENDING' });
});

it('a run that was dispatched before is found, not started anew', async () => {
  using _ = shop.app.handle(SendInvoice, () => undefined);
  const waiting = await SendInvoice.enqueue();
  // The note may come a little later than the start.
  await until(async () => (await waiting.refresh()).runId);
  // As after a crash between the start call and its note on the row.
  await shop.db.query('update send_invoice set run_id = null, workflow_id = null, enqueued_at = null where id = $1', [waiting.id]);
  await using worker = await shop.app.worker({ queues: ['default'], signals: false });
  void worker.run();
  expect(await waiting.wait({ timeout: '20 seconds' })).toMatchObject({ status: 'SUCCESS', run: 1, attempt: 1 });
});
