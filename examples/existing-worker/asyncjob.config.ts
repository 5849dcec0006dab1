import { defineConfig as ormConfig } from '@mikro-orm/postgresql';
import { defineConfig, jobs } from 'asyncjob';
import { Shout } from './jobs.ts';

export default defineConfig({
  orm: ormConfig({ clientUrl: process.env['DATABASE_URL'] ?? 'postgres://localhost:5432/app', entities: [...jobs(Shout)] }),
});
