// For the tests of applications: an application whose jobs run where they are enqueued, and real servers to start.
import { AsyncJobs } from '../app/async-jobs.ts';
import type { Config } from '../app/config.ts';
import { readSettings } from '../app/settings.ts';

export { startPostgres, startTemporal, findTemporalCli } from '../dev/index.ts';

export interface TestApplicationOptions {
  /** Create what is missing of the tables. @default true */
  schema?: boolean;
}

/**
 * Opens the application with the inline engine: `enqueue()` returns when the job has ended, with the statuses, errors
 * and columns that a worker would have written. Needs PostgreSQL, but neither Temporal nor a worker. Quiet, unless
 * ASYNCJOB_LOG_LEVEL says otherwise.
 *
 * @throws AsyncJobError as `AsyncJobs.connect()`
 */
export async function testApplication(config: Config, { schema = true }: TestApplicationOptions = {}): Promise<AsyncJobs> {
  const settings = readSettings(process.env, { engine: 'inline', ...(process.env['ASYNCJOB_LOG_LEVEL'] ? {} : { logLevel: 'silent' }) });
  const app = await AsyncJobs.connect({ ...config, engine: 'inline' }, { settings });
  try {
    if (schema) await app.orm.schema.update({ safe: true });
    return app;
  } catch (error) {
    await app.close();
    throw error;
  }
}
