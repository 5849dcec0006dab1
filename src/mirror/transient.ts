// Which database errors pass by themselves: the server is away, restarts, or this transaction lost a race.

const TRANSIENT_CODE = /^(08(?!P01)|57P0|53|40001|40P01|55P03|25006|ECONN|EPIPE|ETIMEDOUT|EHOST|ENETUNREACH|ENOTFOUND|EAI_AGAIN)/;
const TRANSIENT_MESSAGE =
  /Connection terminated|not queryable|timeout exceeded|timeout expired|read timeout|Cannot use a pool after calling end/;

/** Whether the same statement may succeed later without a change. */
export function isTransientDatabaseError(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { code } = cause as { code?: unknown };
    if (typeof code === 'string' && TRANSIENT_CODE.test(code)) return true;
    if (TRANSIENT_MESSAGE.test(cause.message)) return true;
    if (cause instanceof AggregateError && cause.errors.some(isTransientDatabaseError)) return true;
  }
  return false;
}

/** SQLSTATE of a value that does not fit its column: 22 (data exception), 23 (constraint), 08P01 (a NUL byte in a text). */
export function isValueError(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' && /^(22|23|08P01)/.test(code);
}

/** A missing table or column, or a column of another type than the metadata says. */
export function isSchemaError(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' && ['42P01', '42703', '42804', '3F000'].includes(code);
}
