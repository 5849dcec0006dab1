import { defineConfig } from 'asyncjob';
import orm from './mikro-orm.config.ts';

export default defineConfig({ name: 'web', orm });
