// `asyncjob doctor`: what is wrong with an installation, and what to do about it.
import type { Command } from 'commander';
import type { Finding } from '../inspect/findings.ts';
import type { CliDeps } from './cli-deps.ts';
import { CommandEnded } from './command-ended.ts';
import { describeChecks, printFindings } from './print-findings.ts';
import type { SharedOptions } from './program.ts';
import { withQuietStdout } from './quiet-stdout.ts';
import { screenOf } from './terminal.ts';

interface DoctorOptions extends SharedOptions {
  json?: boolean;
  fix?: boolean;
}

export function addDoctorCommand(program: Command, deps: CliDeps): void {
  program
    .command('doctor')
    .description('Look for what is wrong: settings, handlers, packages, PostgreSQL, Temporal, workers, jobs.')
    .option('--fix', 'Repair jobs that Temporal sees otherwise, as workers do by themselves; without it nothing is changed')
    .option('--json', 'Print one JSON document with every finding')
    .addHelpText(
      'after',
      () =>
        `\nExit code: 0 fine, or warnings only; 1 problems; 2 wrong settings or no configuration.\n\nWhat it looks at:\n${describeChecks()}`,
    )
    .action((_options: unknown, command: Command) => runDoctor(command.optsWithGlobals<DoctorOptions>(), deps));
}

async function runDoctor(options: DoctorOptions, { env, cwd, version, loadConfig, write }: CliDeps): Promise<void> {
  // Only now: other commands need none of it.
  const [{ gatherFacts }, { judge, exitCodeOf, countLevels }] = await Promise.all([
    import('../inspect/gather-facts.ts'),
    import('../inspect/judge.ts'),
  ]);
  const overrides = { appFile: options.app, logLevel: options.logLevel ?? options.loglevel };
  const facts = await withQuietStdout(() => gatherFacts({ env, cwd, overrides, loadConfig, fix: options.fix ?? false }));
  const findings = judge(facts);
  const exitCode = exitCodeOf(facts, findings);
  if (options.json) write.out(`${JSON.stringify(toDocument(findings, { version, exitCode, counts: countLevels(findings) }), null, 2)}\n`);
  else write.out(printFindings(findings, screenOf(process.stdout)));
  if (exitCode !== 0) throw new CommandEnded(exitCode);
}

interface Summary {
  version: string;
  exitCode: number;
  counts: Record<Finding['level'], number>;
}

function toDocument(findings: readonly Finding[], { version, exitCode, counts }: Summary): object {
  return { version, ok: exitCode === 0, counts, findings };
}
