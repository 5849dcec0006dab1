import { describe, expect, it } from 'vitest';
import { printFindings } from '../../../src/cli/print-findings.ts';
import { plain, wrap, type Screen } from '../../../src/cli/terminal.ts';
import { CHECK_CODES } from '../../../src/inspect/findings.ts';
import { judge } from '../../../src/inspect/judge.ts';
import { aWorker, healthy, HOUR, openJobs } from '../inspect/facts.ts';

const screen: Screen = { width: 80, isTerminal: true, paint: plain };
const broken = healthy({
  schema: {
    statements: [`create index "mail_created_at_index" on "mail" (${Array.from({ length: 30 }, (_, i) => `"column_${i}"`).join(', ')})`],
  },
  registry: { workers: [aWorker(), aWorker({ id: 'b', state: 'dead', goneForMs: HOUR })] },
  jobs: { queues: [openJobs({ queue: 'post', due: 3, oldestDueMs: HOUR })], lost: [] },
});

describe('printFindings', () => {
  it('says level, code and advice in words, on lines of 80 columns', () => {
    const text = printFindings(judge(broken), screen);
    expect(text.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(text).toContain(
      "PROBLEM queues.unserved: no worker serves queue 'post', where 3 jobs (SendMail)\n        wait, the oldest for 1 h\n        → Start one: npx asyncjob worker --queue=post\n",
    );
    expect(text).toMatch(/^WARNING workers\.died: 1 worker ended/m);
    expect(text.trimEnd().split('\n').at(-1)).toMatch(
      /^2 problems \(database\.schema, queues\.unserved\), 1 warning \(workers\.died\); \d+ ok\.$/,
    );
  });

  it('says in one line that all is fine', () => {
    expect(printFindings(judge(healthy()), screen)).toMatch(/\n\nAll \d+ checks are fine\.\n$/);
  });

  it('has a place for every check', () => {
    const all = CHECK_CODES.map((code) => ({ level: 'ok' as const, code, found: 'x' }));
    const text = printFindings(all, screen);
    expect(CHECK_CODES.filter((code) => !text.includes(`ok      ${code}: x`))).toEqual([]);
  });

  it('colours nothing but what the words say', () => {
    const marked = printFindings(judge(broken), { ...screen, paint: (style, text) => `<${style}>${text}</>` });
    expect(marked.replaceAll(/<\w+>|<\/>/g, '')).toBe(printFindings(judge(broken), screen));
    expect(marked).toContain('<bad>PROBLEM</> <strong>queues.unserved</>: no worker');
  });
});

describe('wrap', () => {
  it.each([
    ['one two three', 7, 0, ['one two', 'three']],
    ['  one two three', 9, 2, ['  one two', '    three']],
    ['unbreakable-word x', 5, 0, ['unbreakable-word', 'x']],
    ['a   b', 80, 0, ['a   b']],
    ['', 80, 0, ['']],
  ] as const)('%j in %i columns', (text, width, hanging, lines) => expect(wrap(text, width, hanging)).toEqual(lines));
});
