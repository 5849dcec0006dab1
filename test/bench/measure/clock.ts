// One clock for all processes of the machine.

/** Milliseconds of the monotonic clock, with fractions; times of different processes compare. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6;
