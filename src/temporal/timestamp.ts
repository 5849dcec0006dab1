/** A time or a duration of Temporal's API. */
export interface Timestamp {
  /** 64-bit numbers are objects of their own. */
  seconds?: { toString(radix?: number): string } | null;
  nanos?: number | null;
}

export function toMs(time: Timestamp | null | undefined): number | null {
  if (!time) return null;
  return Number(time.seconds?.toString() ?? 0) * 1_000 + (time.nanos ?? 0) / 1e6;
}
