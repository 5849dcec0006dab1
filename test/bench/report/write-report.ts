// Puts the tables of a run into docs/benchmarks.md, between its markers, with when and where they were measured.
import { readFile, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { createRequire } from 'node:module';
import { CONTESTANTS } from '../contestants/index.ts';
import type { Options } from '../options.ts';
import type { Result } from '../result.ts';
import type { Servers } from '../servers.ts';
import { toTables } from './tables.ts';

const FILE = new URL('../../../docs/benchmarks.md', import.meta.url);
const BEGIN = '<!-- bench:begin -->';
const END = '<!-- bench:end -->';

export interface Report {
  options: Options;
  results: readonly Result[];
  versions: Servers['versions'];
}

export async function writeReport(report: Report): Promise<void> {
  const text = await readFile(FILE, 'utf8');
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin === -1 || end < begin) throw new Error(`docs/benchmarks.md has no ${BEGIN} … ${END}`);
  const body = [inWords(report), contestants(report), toTables(report.results)].join('\n\n');
  await writeFile(FILE, `${text.slice(0, begin + BEGIN.length)}\n${body}\n${text.slice(end)}`);
}

function inWords({ options, versions }: Report): string {
  const { rounds, jobs, idleJobs, concurrency, scenarios } = options;
  const [first] = cpus();
  const machine = `${cpus().length} × ${first?.model.trim() ?? 'unknown processor'}, ${Math.round(totalmem() / 2 ** 30)} GB, ${process.platform}`;
  const packages = ['@temporalio/worker', '@mikro-orm/core'].map((name) => `${name} ${versionOf(name)}`);
  const sizes = scenarios.map((scenario) => (scenario === 'at-once' ? `${jobs} jobs at once` : `${idleJobs} jobs on an idle system`));
  return [
    `Measured on ${new Date().toISOString().slice(0, 10)}: ${machine}; Node ${process.versions.node}, PostgreSQL ${versions.postgres},`,
    `${versions.temporal}, ${packages.join(', ')}.`,
    `${rounds === 1 ? 'One round' : `${rounds} interleaved rounds`} of ${sizes.join(' and ')}, concurrency ${concurrency}.`,
  ].join(' ');
}

function contestants({ options }: Report): string {
  return options.contestants.map((name) => `- \`${name}\`: ${CONTESTANTS[name].what}`).join('\n');
}

function versionOf(name: string): string {
  return (createRequire(import.meta.url)(`${name}/package.json`) as { version: string }).version;
}
