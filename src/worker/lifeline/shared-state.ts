// What the main thread and the lifeline's thread both see at once, also while the main thread is blocked.

/** In the order in which a worker passes through them; it never goes back. */
export const PHASES = ['starting', 'ready', 'stopping', 'failed'] as const;
export type Phase = (typeof PHASES)[number];

const [TICKS, PHASE, BEATING, DEBUGGABLE, CLAIMING] = [0, 1, 2, 3, 4];
const RENEWED_AT_OFFSET = 24;

export class SharedState {
  readonly buffer: SharedArrayBuffer;
  readonly #numbers: Int32Array<SharedArrayBuffer>;
  /** When the beat that renewed the registry row last was sent, by `process.hrtime.bigint()`; 0n: none. */
  readonly #renewedAt: BigInt64Array<SharedArrayBuffer>;

  constructor(buffer = new SharedArrayBuffer(RENEWED_AT_OFFSET + 8)) {
    this.buffer = buffer;
    this.#numbers = new Int32Array(buffer, 0, RENEWED_AT_OFFSET / 4);
    this.#renewedAt = new BigInt64Array(buffer, RENEWED_AT_OFFSET, 1);
  }

  /** The main loop turns. */
  tick(isDebuggable: boolean): void {
    Atomics.store(this.#numbers, DEBUGGABLE, Number(isDebuggable));
    Atomics.add(this.#numbers, TICKS, 1);
  }

  get ticks(): number {
    return Atomics.load(this.#numbers, TICKS);
  }

  /** A debugger could be attached to the main thread when its loop turned last (`--inspect`). */
  get isDebuggable(): boolean {
    return Atomics.load(this.#numbers, DEBUGGABLE) === 1;
  }

  get phase(): Phase {
    return PHASES[Atomics.load(this.#numbers, PHASE)]!;
  }

  advance(phase: Phase): void {
    Atomics.store(this.#numbers, PHASE, Math.max(PHASES.indexOf(phase), Atomics.load(this.#numbers, PHASE)));
  }

  renewed(sentAt: bigint): void {
    Atomics.store(this.#renewedAt, 0, sentAt);
  }

  /** How old the last renewal of the registry row is; `null`: there was none. */
  get renewalAgeMs(): number | null {
    const at = Atomics.load(this.#renewedAt, 0);
    return at === 0n ? null : Number(process.hrtime.bigint() - at) / 1e6;
  }

  /** A claim is under way: the list of jobs is not known. */
  set isClaiming(isClaiming: boolean) {
    Atomics.store(this.#numbers, CLAIMING, Number(isClaiming));
  }

  get isClaiming(): boolean {
    return Atomics.load(this.#numbers, CLAIMING) === 1;
  }

  /** In the thread, before it takes the list of jobs, and when the beat with it is over. */
  set isBeating(isBeating: boolean) {
    Atomics.store(this.#numbers, BEATING, Number(isBeating));
    if (!isBeating) Atomics.notify(this.#numbers, BEATING);
  }

  /** In the main thread: resolves when the thread's beat is over; null when there is none. */
  beatInFlight(): Promise<void> | null {
    const { async: isWaiting, value } = Atomics.waitAsync(this.#numbers, BEATING, 1);
    return isWaiting ? value.then(() => undefined) : null;
  }
}
