// Writes the generated part of docs/benchmarks.md, between its markers, and its pictures, from the results that are kept.
import { readFile, writeFile } from 'node:fs/promises';
import { CONTESTANTS, MODES } from '../contestants/index.ts';
import { spreadOf } from '../measure/spread.ts';
import { figureOf, type Result } from '../result.ts';
import { described, DESCRIBED_NAMES } from './described.ts';
import { kneesOf } from './knees.ts';
import { COLORS, lineChart, type LineChart } from './line-chart.ts';
import { readResults, type Measured } from './results-files.ts';
import { tablesOf } from './tables.ts';

const PAGE = new URL('../../../docs/benchmarks.md', import.meta.url);
const PICTURES = new URL('../../../docs/benchmarks/', import.meta.url);
const BEGIN = '<!-- bench:begin -->';
const END = '<!-- bench:end -->';

export async function renderReport(): Promise<void> {
  const page = await readFile(PAGE, 'utf8');
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin === -1 || end < begin) throw new Error(`docs/benchmarks.md has no ${BEGIN} … ${END}`);
  const sections = await Promise.all(DESCRIBED_NAMES.map(section));
  const body = [contestants(), ...sections.filter((text) => text !== null)].join('\n\n');
  await writeFile(PAGE, `${page.slice(0, begin + BEGIN.length)}\n${body}\n${page.slice(end)}`);
}

async function section(scenario: string): Promise<string | null> {
  const kept = await readResults(scenario);
  if (kept === null || kept.results.length === 0) return null;
  const { title, what } = described(scenario);
  const pictures = await Promise.all(described(scenario).pictures.map((key) => picture(scenario, key, kept.results)));
  const knees = kneesOf(kept.results, kept.measured.processors);
  return [`### ${title}`, `${what} ${circumstances(scenario, kept)}`, pictures.join('\n'), knees, ...tablesOf(scenario, kept.results)]
    .filter((part) => part !== null && part !== '')
    .join('\n\n');
}

async function picture(scenario: string, key: string, results: readonly Result[]): Promise<string> {
  const { title, scale, columns } = described(scenario);
  const { label } = columns.find((column) => column.key === key)!;
  const series = [...Map.groupBy(results, ({ contestant }) => contestant)].map(([name, of]) => ({
    name,
    color: colorOf(name),
    points: medians(of, key),
  }));
  const chart: LineChart = { title: `${title}: ${label}`, x: { ...scale! }, series };
  const file = `${scenario}-${key.replaceAll('.', '-')}.svg`;
  await writeFile(new URL(file, PICTURES), lineChart(chart));
  return `![${chart.title}](benchmarks/${file})`;
}

/** The last one is for all that is not this library. */
function colorOf(name: string): number {
  const mode = (MODES as readonly string[]).indexOf(name);
  return mode === -1 ? COLORS.length - 1 : mode;
}

function medians(results: readonly Result[], key: string): [number, number][] {
  return [...Map.groupBy(results, ({ x }) => x!)].map(([x, of]) => [x, spreadOf(of.map((result) => figureOf(result, key)!)).median]);
}

function circumstances(scenario: string, { measured, results }: { measured: Measured; results: readonly Result[] }): string {
  const rounds = Math.max(...results.map(({ round }) => round));
  const versions = Object.entries(measured.versions).map(([name, version]) => `${name} ${version}`);
  const how = rounds === 1 ? 'one round' : `${rounds} interleaved rounds`;
  const option = scenario === 'peers' ? '--peers' : `--scenario ${scenario}`;
  return `\`${option}\`, ${how} on ${measured.on}: ${measured.machine}; ${versions.join(', ')}.`;
}

function contestants(): string {
  return Object.entries(CONTESTANTS)
    .map(([name, { what }]) => `- \`${name}\`: ${what}`)
    .join('\n');
}
