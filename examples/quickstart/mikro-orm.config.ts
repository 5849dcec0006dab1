// #region orm
import { defineConfig } from '@mikro-orm/postgresql';
import { jobs } from 'asyncjob';
import { MyJob } from './jobs/my-job.ts';

export default defineConfig({
  clientUrl: process.env['DATABASE_URL'] ?? 'postgres://localhost:5432/app',
  entities: [...jobs(MyJob)], // beside your own entities
});
// #endregion
