// A port for a server that goes away and comes back in place.
import { isPortFree } from '../../src/dev/index.ts';

/** Outside of the range from which the system gives ports to others, who would take it while the server is down. */
export async function lastingPort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 15_000);
    if (await isPortFree(port)) return port;
  }
}
