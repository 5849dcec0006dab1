// /livez, /readyz and /metrics over HTTP.
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Probes {
  whyNotLive(): string | null;
  whyNotReady(): string | null;
  /** How long the event loop has been blocked now; 0: it is not. */
  blockedMs(): number;
  /** In Prometheus' text format. */
  metrics(): Promise<string>;
}

/** Resolves with the port; rejects when that cannot be had. */
export function serveProbes(port: number, probes: Probes): Promise<number> {
  const server = createServer((request, response) => {
    switch (request.url?.split('?', 1)[0]) {
      case '/livez':
        return answer(response, 'live', probes.whyNotLive(), probes.blockedMs());
      case '/readyz':
        return answer(response, 'ready', probes.whyNotReady(), probes.blockedMs());
      case '/metrics':
        return void probes.metrics().then((text) => {
          response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8').end(text);
        });
      default:
        response.writeHead(404).end('/livez, /readyz and /metrics are here\n');
    }
  });
  return new Promise((resolve, reject) => {
    server.on('error', reject); // for good: a later one (no file descriptors left) must not end the thread
    // No host: IPv6 and IPv4, or whichever there is.
    server.listen(port, () => resolve((server.address() as AddressInfo).port));
  });
}

function answer(response: ServerResponse, what: string, why: string | null, blockedMs: number): void {
  response.writeHead(why === null ? 200 : 503, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify({ [what]: why === null, ...(why === null ? {} : { why }), blockedMs: Math.round(blockedMs) })}\n`);
}
