import { defineConfig } from '@mikro-orm/postgresql';
import { jobs } from 'asyncjob';
import { Customer, Report } from './jobs.ts';

export default defineConfig({
  clientUrl: process.env['DATABASE_URL'] ?? 'postgres://localhost:5432/app',
  entities: [Customer, ...jobs(Report)],
});
