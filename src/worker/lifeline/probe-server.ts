// /livez, /readyz and /metrics over HTTP.
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Probes {
  whyNotLive(): string | null;
  whyNotReady(): string | null;
  /** In Prometheus' text format. */
  metrics(): Promise<string>;
}

/** Resolves with the port; rejects when that cannot be had. */
export function serveProbes(port: number, probes: Probes): Promise<number> {
  const server = createServer((request, response) => {
    switch (request.url?.split('?', 1)[0]) {
      case '/livez':
        return answer(response, 'live', probes.whyNotLive());
      case '/readyz':
        return answer(response, 'ready', probes.whyNotReady());
      case '/metrics':
        return void probes.metrics().then((text) => {
          response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8').end(text);
        });
      default:
        response.writeHead(404).end('/livez, /readyz and /metrics are here\n');
    }
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '0.0.0.0', () => resolve((server.address() as AddressInfo).port));
  });
}

function answer(response: ServerResponse, what: string, why: string | null): void {
  response.writeHead(why === null ? 200 : 503, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(why === null ? { [what]: true } : { [what]: false, why })}\n`);
}
