// Job options for every class of an application: those of its configuration, on top of what its engine means.
import type { JobOptions } from '../entity/job-options.ts';
import type { Config } from './config.ts';
import type { Engine } from './settings.ts';

export function jobDefaults({ defaults = {} }: Config, engine: Engine): JobOptions {
  return engine === 'inline' ? defaults : { engine, ...defaults };
}
