// #region test
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testApplication } from 'asyncjob/testing';
import config from './asyncjob.config.ts';
import './jobs/handlers.ts';
import { MyJob } from './jobs/my-job.ts';

await test('counts its steps', async () => {
  await using _app = await testApplication(config); // no Temporal, no worker: jobs run where they are enqueued
  const job = await MyJob.enqueue({ myField: 2 });
  assert.equal(job.status, 'SUCCESS');
  assert.equal(job.result, '2 steps done');
});
// #endregion
