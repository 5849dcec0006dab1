// Starts the servers that the tests of the project `servers` share, before the first of them and once. TEST_TEMPORAL_ADDRESS
// names one that runs already instead, for a run against a server as in production.
import type { TestProject } from 'vitest/node';
import { findTemporalCli, startPostgres, startTemporal } from '../../src/dev/index.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Of a superuser, on the database `postgres`. */
    postgresUrl: string;
    temporalAddress: string;
    /** Path of the Temporal CLI, for tests that start servers of their own. */
    temporalCli: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const log = (line: string) => process.stderr.write(`${line}\n`);
  const cli = await findTemporalCli({ log });
  const given = process.env['TEST_TEMPORAL_ADDRESS'];
  const existing = { address: given ?? '', stop: async () => {} };
  const started = await Promise.allSettled([startPostgres({ log }), given ? existing : startTemporal({ log, cli: cli.path, ui: false })]);
  const stop = async () => {
    for (const result of started) if (result.status === 'fulfilled') await result.value.stop();
  };
  const [postgres, temporal] = started;
  if (postgres.status === 'rejected' || temporal.status === 'rejected') {
    await stop();
    throw postgres.status === 'rejected' ? postgres.reason : (temporal as PromiseRejectedResult).reason;
  }
  project.provide('postgresUrl', postgres.value.url);
  project.provide('temporalAddress', temporal.value.address);
  project.provide('temporalCli', cli.path);
  return stop;
}
