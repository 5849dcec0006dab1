// #region worker
import { AsyncJobs } from 'asyncjob';
import config from './asyncjob.config.ts';
import './jobs/handlers.ts';

await using app = await AsyncJobs.connect(config);
await using worker = await app.worker({ queues: ['my_queue'], concurrency: 10 });
await worker.run(); // until SIGTERM, drained
// #endregion
