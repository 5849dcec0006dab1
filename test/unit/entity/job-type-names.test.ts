import { expect, it } from 'vitest';
import { asyncJob } from '../../../src/entity/job-class.ts';
import { problemsOfStatics } from '../../../src/entity/job-statics.ts';

it.each([
  ['', "'' is no name"],
  ['Do\\It', 'has a backslash or a control character in it'],
  ['Do\nIt', 'has a backslash or a control character in it'],
  ['Do\u0085It', 'has a backslash or a control character in it'],
])('%j is no job type, since Temporal cannot look for it', (name, message) => {
  const refusal = { code: 'settings.invalid', message: expect.stringContaining(message) as string };
  expect(() => asyncJob(name, {})).toThrow(expect.objectContaining(refusal));
  class Named extends asyncJob('Named', {}) {
    static override jobType = name;
  }
  expect(problemsOfStatics(Named)).toEqual([expect.stringContaining(message)]);
});

it.each(['Rechnung/Mahnung', "It's done", '送信'])('%s is one', (name) => {
  expect(problemsOfStatics(class Named extends asyncJob(name, {}) {})).toEqual([]);
});
