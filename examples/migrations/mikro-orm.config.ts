import { Migrator } from '@mikro-orm/migrations';
import { defineConfig } from '@mikro-orm/postgresql';
import { entities } from './jobs.ts';

export default defineConfig({
  clientUrl: process.env['DATABASE_URL'] ?? 'postgres://localhost:5432/app',
  extensions: [Migrator],
  migrations: { path: './migrations', snapshot: false },
  entities,
});
