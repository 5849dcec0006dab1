// A guard against jobs that become more expensive: counts per job, which do not depend on the machine, against costs.json.
import { readFile, writeFile } from 'node:fs/promises';
import type { Costs } from './measure/costs.ts';
import type { Result } from './result.ts';

const FILE = new URL('costs.json', import.meta.url);

/** What is compared, and the step to which it is rounded up. */
const STEPS = { statements: 0.01, rpcs: 0.01, temporalBytes: 10 } as const;
type Guarded = keyof typeof STEPS;
type Kept = Partial<Record<Guarded, number>>;
type Kind = keyof NonNullable<Result['costs']>;

/**
 * What passes. One by one every job costs the same; something by the clock may fall together with one, and a lane may look
 * once more when it is rung for, but a further statement of every job does not pass. Together, the speed of the machine says
 * how many jobs share a statement.
 */
const LIMITS: Record<Kind, Record<Guarded, (kept: number) => number>> = {
  oneByOne: { statements: (kept) => kept + 0.6, rpcs: (kept) => kept + 0.6, temporalBytes: (kept) => kept * 1.05 },
  together: { statements: twice, rpcs: twice, temporalBytes: twice },
};

function twice(kept: number): number {
  return kept * 2;
}

export async function writeCosts(results: readonly Result[]): Promise<void> {
  const file = await readCosts();
  for (const { contestant, kind, costs, guarded } of costsOf(results)) {
    const kept = guarded.map((name) => [name, roundedUp(costs[name], STEPS[name])]);
    file[contestant] = { ...file[contestant], [kind]: Object.fromEntries(kept) as Kept };
  }
  await writeFile(FILE, `${JSON.stringify(file, null, 2)}\n`);
}

/** What has grown, in words; empty: nothing. */
export async function costComplaints(results: readonly Result[]): Promise<string[]> {
  const file = await readCosts();
  return costsOf(results).flatMap(({ contestant, kind, costs, guarded }) =>
    guarded.flatMap((name) => {
      const kept = file[contestant]?.[kind]?.[name];
      if (kept !== undefined && costs[name] <= LIMITS[kind][name](kept)) return [];
      const was = kept === undefined ? 'not in costs.json' : `was ${kept}`;
      return [`${contestant}, ${kind}: ${costs[name].toFixed(2)} ${name} per job, ${was}. ${HOW_TO_UPDATE}\n${details(costs)}`];
    }),
  );
}

const HOW_TO_UPDATE = 'If it has to be so: npm run bench -- --quick --update-costs';

async function readCosts(): Promise<Record<string, Partial<Record<Kind, Kept>>>> {
  return JSON.parse(await readFile(FILE, 'utf8')) as Record<string, Partial<Record<Kind, Kept>>>;
}

interface Entry {
  contestant: string;
  kind: Kind;
  costs: Costs;
  guarded: Guarded[];
}

function costsOf(results: readonly Result[]): Entry[] {
  const all = Object.keys(STEPS) as Guarded[];
  return results.flatMap(({ contestant, costs }): Entry[] => {
    if (costs === undefined) return [];
    const { oneByOne, together } = costs;
    if (together === undefined) return [{ contestant, kind: 'oneByOne', costs: oneByOne, guarded: all }];
    // Of a workflow that jobs share, only many jobs say what it costs.
    return [
      { contestant, kind: 'oneByOne', costs: oneByOne, guarded: ['statements'] },
      { contestant, kind: 'together', costs: together, guarded: all },
    ];
  });
}

function roundedUp(value: number, step: number): number {
  return Number((Math.ceil(Number((value / step).toFixed(6))) * step).toFixed(2));
}

function details({ statementsByText, rpcsByName }: Costs): string {
  return Object.entries({ ...rpcsByName, ...statementsByText })
    .map(([what, perJob]) => `  ${perJob.toFixed(2)} ${what}`)
    .join('\n');
}
