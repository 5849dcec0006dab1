// The table of errors, and what a row remembers of whatever was thrown.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AsyncJobError,
  ERRORS,
  GiveUp,
  isAsyncJobError,
  RetryAfter,
  toErrorMessage,
  toErrorRecord,
  type ErrorCode,
} from '../../../src/domain/errors.ts';

const CODES = Object.keys(ERRORS) as ErrorCode[];

describe('the table of errors', () => {
  it.each(CODES)('%s is a code of two words, with a meaning in a sentence', (code) => {
    expect(code).toMatch(/^[a-z]+\.[a-z]+(_[a-z]+)*$/);
    const { fault, retryable, meaning } = ERRORS[code];
    expect(['application', 'operations', 'transient']).toContain(fault);
    expect(typeof retryable).toBe('boolean');
    expect(meaning).toMatch(/^\S.* .*\.$/);
  });

  it('says each meaning once', () => {
    const meanings = CODES.map((code) => ERRORS[code].meaning);
    expect(meanings.filter((meaning, i) => meanings.indexOf(meaning) !== i)).toEqual([]);
  });
});

describe('AsyncJobError', () => {
  it.each(CODES)('carries %s in message, code and retryable', (code) => {
    const error = new AsyncJobError(code, 'what happened. What to do.');
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: 'AsyncJobError',
      code,
      message: `${code}: what happened. What to do.`,
      retryable: ERRORS[code].retryable,
    });
  });

  it('keeps its cause', () => {
    const cause = new Error('below');
    expect(new AsyncJobError('job.not_found', 'gone', { cause }).cause).toBe(cause);
  });

  it('is told by its code', () => {
    const error = new AsyncJobError('job.not_found', 'gone');
    expect(isAsyncJobError(error)).toBe(true);
    expect(isAsyncJobError(error, 'job.not_found')).toBe(true);
    expect(isAsyncJobError(error, 'job.move_refused')).toBe(false);
    expect(isAsyncJobError(Object.assign(new Error('x'), { code: 'job.not_found' }))).toBe(false);
    expect(isAsyncJobError(undefined)).toBe(false);
  });
});

describe('what a handler throws', () => {
  it('says that it gives up', () => {
    expect(new GiveUp('no such customer')).toMatchObject({ name: 'GiveUp', message: 'no such customer' });
  });

  it('says when to try again, with a message of its own or the default', () => {
    const cause = new Error('429');
    expect(new RetryAfter('5 minutes')).toMatchObject({ name: 'RetryAfter', delay: '5 minutes', message: 'retry after 5 minutes' });
    expect(new RetryAfter(250, 'busy', { cause })).toMatchObject({ delay: 250, message: 'busy', cause });
  });

  it('may be a class of the application that extends it', () => {
    class NoSuchCustomer extends GiveUp {
      override readonly name = 'NoSuchCustomer';
    }
    expect(toErrorRecord(new NoSuchCustomer('7'), false)).toMatchObject({ type: 'NoSuchCustomer', message: '7' });
  });
});

function circular(): object {
  const value: Record<string, unknown> = { a: 1 };
  value['self'] = value;
  return value;
}

describe('toErrorRecord', () => {
  it('takes type, message and stack of an Error', () => {
    const record = toErrorRecord(new TypeError('no paper'), true);
    expect(record).toMatchObject({ type: 'TypeError', message: 'no paper', code: undefined, retryable: true });
    expect(record.stack).toContain('errors.test');
    expect(toErrorMessage(record)).toBe('TypeError: no paper');
  });

  it.each([
    ['text', 'E_NO_FUNDS', 'E_NO_FUNDS'],
    ['a number', 503, '503'],
    ['an object, which is none', { a: 1 }, undefined],
    ['nothing', undefined, undefined],
  ])('takes a code that is %s', (_what, code, expected) => {
    expect(toErrorRecord(Object.assign(new Error('x'), { code }), false).code).toBe(expected);
  });

  it('takes the name of the class where an error has none', () => {
    class Unnamed extends Error {}
    const error = new Unnamed('x');
    error.name = '';
    expect(toErrorRecord(error, false).type).toBe('Unnamed');
  });

  it('takes an error without a stack', () => {
    const error = new Error('x');
    delete error.stack;
    expect(toErrorRecord(error, false).stack).toBeUndefined();
  });

  it('takes an error whose cause is circular', () => {
    const error: Error & { cause?: unknown } = new Error('outer');
    error.cause = error;
    expect(toErrorRecord(error, false)).toMatchObject({ type: 'Error', message: 'outer' });
  });

  it('takes an AggregateError without a message', () => {
    expect(toErrorRecord(new AggregateError([new Error('a'), new Error('b')]), false)).toMatchObject({ type: 'AggregateError' });
  });

  it.each<[string, unknown, string, string]>([
    ['a text', 'no paper', 'string', 'no paper'],
    ['an empty text', '', 'string', ''],
    ['undefined', undefined, 'undefined', 'undefined'],
    ['null', null, 'object', 'null'],
    ['a number', 7, 'number', '7'],
    ['NaN', Number.NaN, 'number', 'null'],
    ['a bigint', 7n, 'bigint', '7'],
    ['a symbol', Symbol('x'), 'symbol', 'Symbol(x)'],
    ['a boolean', false, 'boolean', 'false'],
    ['a plain object', { a: 1 }, 'object', '{"a":1}'],
    ['an array', [1, 'b'], 'object', '[1,"b"]'],
    ['a circular object', circular(), 'object', '[object Object]'],
  ])('takes %s for what it is', (_what, thrown, type, message) => {
    expect(toErrorRecord(thrown, false)).toEqual({ type, message, retryable: false });
  });

  it('takes a function', () => {
    expect(toErrorRecord(() => 1, false)).toMatchObject({ type: 'function', message: expect.stringContaining('=>') });
  });

  it('leaves out NUL bytes, which PostgreSQL refuses', () => {
    const error = Object.assign(new Error('a\u0000b'), { name: 'N\u0000ame', stack: 'st\u0000ack' });
    expect(toErrorRecord(error, false)).toMatchObject({ type: 'Name', message: 'ab', stack: 'stack' });
    expect(toErrorRecord('a\u0000b', false).message).toBe('ab');
  });

  it('bounds what it keeps', () => {
    const error = Object.assign(new Error('m'.repeat(1_000_000)), { name: 'N'.repeat(5_000), stack: 's'.repeat(1_000_000) });
    const record = toErrorRecord(error, false);
    expect(record.message).toHaveLength(10_000);
    expect(record.stack).toHaveLength(20_000);
    expect(record.type).toHaveLength(200);
    expect(toErrorRecord({ text: 'x'.repeat(1_000_000) }, false).message).toHaveLength(10_000);
  });

  it('makes JSON of whatever is thrown', () => {
    fc.assert(
      fc.property(fc.anything({ withDate: true, withNullPrototype: true, withTypedArray: true }), (thrown) => {
        const record = toErrorRecord(thrown, false);
        expect(typeof record.message).toBe('string');
        expect(JSON.parse(JSON.stringify(record))).toMatchObject({ type: record.type, message: record.message });
      }),
    );
  });

  it.each<[string, () => unknown]>([
    ['a circular object without a prototype', () => Object.assign(Object.create(null) as object, { self: circular() })],
    ['an object that refuses to be text', () => ({ toJSON: () => 1n, toString: undefined })],
    ['a proxy that was revoked', revokedProxy],
    ['an error whose message is no text', () => Object.assign(new Error('x'), { message: { reason: 'x' } })],
    ['an error whose name is no text', () => Object.assign(new Error('x'), { name: 7 })],
    ['an error whose stack is no text', () => Object.assign(new Error('x'), { stack: [1, 2] })],
    ['an error whose message throws', () => Object.defineProperty(new Error('x'), 'message', { get: refuse })],
  ])('does not throw at %s', (_what, make) => {
    const { type, message } = toErrorRecord(make(), false);
    expect([typeof type, typeof message]).toEqual(['string', 'string']);
  });

  it.each([
    ['the cut of a long message', `${'m'.repeat(9_999)}💥`],
    ['the message itself', 'half \ud83d of one'],
  ])('keeps no half of a character, which is no JSON for PostgreSQL, from %s', (_where, message) => {
    expect(toErrorRecord(new Error(message), false).message.isWellFormed()).toBe(true);
  });
});

function revokedProxy(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function refuse(): never {
  throw new Error('no message for you');
}
