#!/usr/bin/env node
// The bin: wires the command line to the process. Everything heavy is loaded by the command that needs it.
import { loadConfig } from '../app/load-config.ts';
import { createLog } from '../app/log.ts';
import { VERSION } from '../version.ts';
import { runCli } from './program.ts';

const code = await runCli(process.argv.slice(2), {
  version: VERSION,
  cwd: process.cwd(),
  env: process.env,
  argv: process.argv.slice(1),
  write: { out: (text) => process.stdout.write(text), err: (text) => process.stderr.write(text) },
  loadConfig,
  createLog,
  connect: async (config, options) => (await import('../app/async-jobs.ts')).AsyncJobs.connect(config, options),
  temporalTarget: async (config) => (await import('../temporal/connection.ts')).resolveTemporal(config.temporal),
});
// What an application forgot to close must not keep a drained worker alive until somebody kills it.
process.exit(code);
