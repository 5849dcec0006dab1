// The command line as a whole: what all commands share, and how a call of it ends. Each command is a file beside this one.
import { Command, CommanderError, Option } from 'commander';
import { describeSetting, SETTING_NAMES, SETTINGS } from '../app/settings.ts';
import type { CliDeps } from './cli-deps.ts';
import { CommandEnded } from './command-ended.ts';
import { describeOption } from './describe-option.ts';
import { addDoctorCommand } from './doctor.ts';
import { exitCodeOf, printError } from './print-error.ts';
import { addStatusCommand } from './status.ts';
import { addWorkerCommand } from './worker.ts';

/** Options that every command has, before it or behind it. */
export interface SharedOptions {
  app?: string;
  loglevel?: string;
  logLevel?: string;
}

export function createProgram(deps: CliDeps): Command {
  const program = new Command('asyncjob')
    .description('Durable jobs: a row in PostgreSQL that Temporal executes.')
    .version(deps.version, '-V, --version')
    .option('-A, --app <file>', describeOption('appFile'))
    .option('-l, --loglevel <level>', describeOption('logLevel'))
    .addOption(new Option('--log-level <level>').hideHelp()) // the other spelling of the same
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ writeOut: deps.write.out, writeErr: deps.write.err })
    .addHelpText(
      'afterAll',
      `\nEnvironment, weaker than options:\n${describeEnvironment()}\n  TEMPORAL_*  As in Temporal's own tools, with their profile file`,
    )
    .exitOverride();
  addWorkerCommand(program, deps);
  addDoctorCommand(program, deps);
  addStatusCommand(program, deps);
  return program;
}

/**
 * Runs one command line (without node and script) and returns the exit code: 0 done, 1 failed, 2 wrong usage or settings.
 * It never throws.
 */
export async function runCli(args: readonly string[], deps: CliDeps): Promise<number> {
  const program = createProgram(deps);
  try {
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommandEnded) return error.exitCode;
    // Commander has printed its own.
    if (!(error instanceof CommanderError)) {
      const { loglevel, logLevel = loglevel } = program.opts<SharedOptions>();
      printError(error, { withStack: /^(debug|trace)$/i.test(logLevel ?? deps.env[SETTINGS.logLevel.env] ?? ''), write: deps.write.err });
    }
    return exitCodeOf(error);
  }
}

function describeEnvironment(): string {
  const settings = SETTING_NAMES.map(describeSetting);
  const width = Math.max(...settings.map(({ env }) => env.length));
  return settings.map(({ env, help, default: value }) => `  ${env.padEnd(width)}  ${help} (default: ${value})`).join('\n');
}
