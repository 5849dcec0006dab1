// UUID version 7 (RFC 9562): known before the INSERT, and ordered by time, so that the primary key's index grows at
// its right end. Node has no generator for it yet.

/** A new UUID v7 in the canonical lower-case form. */
export function uuidv7(now: number = Date.now()): string {
  const time = now.toString(16).padStart(12, '0');
  // Behind its version, a random UUID (v4) is what v7 wants: the variant, and random bits (of which Node keeps a supply).
  return `${time.slice(0, 8)}-${time.slice(8)}-7${crypto.randomUUID().slice(15)}`;
}
