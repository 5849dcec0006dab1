// A moment per job, in so little memory that a process whose memory is measured may keep them.

export class Times {
  #values = new Float64Array(1_024);

  set(seq: number, at: number): void {
    if (seq >= this.#values.length) {
      const larger = new Float64Array(Math.max(seq + 1, this.#values.length * 2));
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[seq] = at;
  }

  /** Of `count` jobs from `first` on; `null` where nothing was set. */
  slice(first: number, count: number): (number | null)[] {
    return Array.from({ length: count }, (_, i) => this.#values[first + i] || null);
  }
}
