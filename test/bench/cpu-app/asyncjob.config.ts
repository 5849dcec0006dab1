import { defineConfig as ormConfig } from '@mikro-orm/postgresql';
import { defineConfig, jobs } from 'asyncjob';
import { Compute } from './compute.ts';

export default defineConfig({ name: 'cpu', orm: ormConfig({ entities: [...jobs(Compute)] }) });
