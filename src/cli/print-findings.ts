// The report of `asyncjob doctor` for people.
import { CHECKS, type CheckCode, type Finding, type Level } from '../inspect/findings.ts';
import { countLevels } from '../inspect/judge.ts';
import { count } from '../inspect/words.ts';
import { wrap, type Paint, type Screen } from './terminal.ts';

/** The first part of a code → the heading under which its findings stand, in order. */
const SECTIONS: [RegExp, string][] = [
  [/^(settings|configuration|application|handlers)/, 'Application'],
  [/^packages/, 'Packages'],
  [/^database/, 'PostgreSQL'],
  [/^temporal/, 'Temporal'],
  [/^workers/, 'Workers'],
  [/^(jobs|queues)/, 'Jobs'],
];
const MARKS: Record<Level, string> = { ok: 'ok     ', warning: 'WARNING', problem: 'PROBLEM' };
const STYLES: Record<Level, Parameters<Paint>[0]> = { ok: 'good', warning: 'odd', problem: 'bad' };
const INDENT = ' '.repeat(MARKS.ok.length + 1);

export function printFindings(findings: readonly Finding[], screen: Screen): string {
  const sections = SECTIONS.map(([pattern, title]) => ({ title, findings: findings.filter(({ code }) => pattern.test(code)) }));
  const lines = sections
    .filter((section) => section.findings.length > 0)
    .flatMap(({ title, findings: inside }) => [
      screen.paint('strong', title),
      ...inside.flatMap((finding) => linesOf(finding, screen)),
      '',
    ]);
  return `${[...lines, ...wrap(summaryOf(findings), screen.width)].join('\n')}\n`;
}

function linesOf({ level, code, found, details = [], advice }: Finding, { width, paint }: Screen): string[] {
  const inside = width - INDENT.length;
  const [first = '', ...rest] = wrap(`${code}: ${found}`, inside);
  return [
    `${paint(STYLES[level], MARKS[level])} ${paint('strong', code)}${first.slice(code.length)}`,
    ...rest.map((line) => INDENT + line),
    ...details.flatMap((detail) => wrap(`  ${detail}`, inside, 2)).map((line) => INDENT + paint('faint', line)),
    ...(advice === undefined ? [] : wrap(`→ ${advice}`, inside, 2).map((line) => INDENT + line)),
  ];
}

function summaryOf(findings: readonly Finding[]): string {
  const counts = countLevels(findings);
  const bad = (level: Level) => [...new Set(findings.filter((finding) => finding.level === level).map(({ code }) => code))].join(', ');
  const parts = [
    ...(counts.problem > 0 ? [`${count(counts.problem, 'problem')} (${bad('problem')})`] : []),
    ...(counts.warning > 0 ? [`${count(counts.warning, 'warning')} (${bad('warning')})`] : []),
  ];
  if (parts.length === 0) return `All ${count(findings.length, 'check')} are fine.`;
  return `${parts.join(', ')}; ${counts.ok} ok.`;
}

/** What doctor looks at, for `--help`. */
export function describeChecks(): string {
  const codes = Object.keys(CHECKS) as CheckCode[];
  const width = Math.max(...codes.map((code) => code.length));
  return codes.map((code) => `  ${code.padEnd(width)}  ${CHECKS[code]}`).join('\n');
}
