// A Temporal worker as it may have been there before; the plugin is all that is new.
import { fileURLToPath } from 'node:url';
import { NativeConnection, Worker } from '@temporalio/worker';
import { AsyncJobs } from 'asyncjob';
import * as activities from './activities.ts';
import config from './asyncjob.config.ts';

await using app = await AsyncJobs.connect(config);
const connection = await NativeConnection.connect({ address: process.env['TEMPORAL_ADDRESS'] ?? 'localhost:7233' });
const worker = await Worker.create({
  connection,
  taskQueue: 'everything',
  workflowsPath: fileURLToPath(import.meta.resolve('./workflows.ts')),
  activities,
  plugins: [await app.plugin()],
});
await worker.run();
await connection.close();
