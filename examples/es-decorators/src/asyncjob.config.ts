import { defineConfig as ormConfig } from '@mikro-orm/postgresql';
import { defineConfig, jobs } from 'asyncjob';
import { SendMail } from './send-mail.js';
import { orm } from './orm.js';

export default defineConfig({ orm: ormConfig({ ...orm, entities: [...jobs(SendMail)] }) });
