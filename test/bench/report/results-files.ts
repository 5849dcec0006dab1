// The results that the page is made from: a file of JSON lines per scenario, so that one can be measured anew by itself.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { createRequire } from 'node:module';
import { fromJsonLine, toJsonLine, type Result } from '../result.ts';

const FOLDER = new URL('../../../docs/benchmarks/', import.meta.url);

/** When and where. */
export interface Measured {
  on: string;
  machine: string;
  processors: number;
  versions: Record<string, string>;
}

export interface Kept {
  measured: Measured;
  results: Result[];
}

export async function keepResults(scenario: string, servers: Record<string, string>, results: readonly Result[]): Promise<void> {
  const [first] = cpus();
  const packages = ['@temporalio/worker', '@mikro-orm/core'].map((name) => [name, versionOf(name)] as const);
  const measured: Measured = {
    on: new Date().toISOString().slice(0, 10),
    machine: `${cpus().length} × ${first?.model.trim() ?? 'unknown processor'}, ${Math.round(totalmem() / 2 ** 30)} GB, ${process.platform}`,
    processors: cpus().length,
    versions: { Node: process.versions.node, ...servers, ...Object.fromEntries(packages) },
  };
  await mkdir(FOLDER, { recursive: true });
  await writeFile(fileOf(scenario), `${[JSON.stringify({ measured }), ...results.map(toJsonLine)].join('\n')}\n`);
}

/** `null`: never measured. */
export async function readResults(scenario: string): Promise<Kept | null> {
  const text = await readFile(fileOf(scenario), 'utf8').catch(() => null);
  if (text === null) return null;
  const [head, ...lines] = text.trimEnd().split('\n');
  return { ...(JSON.parse(head!) as { measured: Measured }), results: lines.map(fromJsonLine) };
}

function fileOf(scenario: string): URL {
  return new URL(`${scenario}.jsonl`, FOLDER);
}

function versionOf(name: string): string {
  return (createRequire(import.meta.url)(`${name}/package.json`) as { version: string }).version;
}
