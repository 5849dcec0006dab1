// A TCP proxy on the loopback interface that can lose, swallow and cut what goes through it.
import { once } from 'node:events';
import net from 'node:net';

/**
 * `open`: everything passes. `drop-answers`: what the client says arrives, what the server says is lost.
 * `swallow`: nothing passes, in either direction, and nobody is told. `refuse`: connections are closed at once.
 */
export type ProxyMode = 'open' | 'drop-answers' | 'swallow' | 'refuse';

interface Line {
  client: net.Socket;
  server: net.Socket;
  /** Bytes are missing in it: it can never be used again. */
  broken: boolean;
  /** Of this line alone, whatever the others do. */
  mode: ProxyMode | null;
}

export class Proxy implements AsyncDisposable {
  readonly port: number;
  readonly #listener: net.Server;
  readonly #lines = new Set<Line>();
  #mode: ProxyMode = 'open';
  /** Called with what the client says. */
  onRequest: (bytes: Buffer) => void = () => undefined;

  private constructor(listener: net.Server, targetPort: number) {
    this.#listener = listener;
    this.port = (listener.address() as net.AddressInfo).port;
    listener.on('connection', (client) => this.#accept(client, targetPort));
  }

  static async to(targetPort: number): Promise<Proxy> {
    const listener = net.createServer({ noDelay: true });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return new Proxy(listener, targetPort);
  }

  get mode(): ProxyMode {
    return this.#mode;
  }

  /** For all lines, also those to come. Back to `open` cuts the lines in which bytes are missing. */
  set mode(mode: ProxyMode) {
    this.#mode = mode;
    if (mode === 'refuse') this.cut();
    if (mode === 'open') for (const line of this.#lines) if (line.broken && line.mode === null) cut(line);
  }

  /** The lines of now stay connected and silent for ever, as behind a firewall that forgot them; new ones work. */
  forgetLines(): void {
    for (const line of this.#lines) line.mode = 'swallow';
  }

  /** Closes the lines of now, in the middle of whatever they carry. */
  cut(): void {
    for (const line of this.#lines) cut(line);
  }

  #accept(client: net.Socket, targetPort: number): void {
    client.on('error', () => undefined);
    if (this.#mode === 'refuse') return void client.destroy();
    const server = net.connect({ port: targetPort, host: '127.0.0.1', noDelay: true });
    const line: Line = { client, server, broken: false, mode: null };
    this.#lines.add(line);
    const passes = (allowed: ProxyMode[]) => {
      const isOpen = allowed.includes(line.mode ?? this.#mode);
      line.broken ||= !isOpen;
      return isOpen;
    };
    client.on('data', (bytes) => {
      if (!passes(['open', 'drop-answers'])) return;
      this.onRequest(bytes);
      server.write(bytes);
    });
    server.on('data', (bytes) => {
      if (passes(['open'])) client.write(bytes);
    });
    server.on('error', () => undefined);
    client.once('close', () => (server.destroy(), this.#lines.delete(line)));
    // A line that nobody hears of any more does not even say that it ended.
    server.once('close', () => {
      if ((line.mode ?? this.#mode) !== 'swallow') client.destroy();
      else line.broken = true;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#listener.close();
    await once(this.#listener, 'close');
  }
}

function cut({ client, server }: Line): void {
  client.destroy();
  server.destroy();
}
