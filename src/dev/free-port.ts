// Free TCP ports on the loopback interface.
import net from 'node:net';

export const LOOPBACK = '127.0.0.1';

/**
 * `count` different ports that nobody listens on at this moment. Another process may take one before it is used:
 * whoever starts a server on them tries again with others.
 */
export async function freePorts(count: number): Promise<number[]> {
  // All are held open until the last one is known, so that they differ.
  const servers = await Promise.all(Array.from({ length: count }, () => listen(0)));
  const ports = servers.map((server) => (server.address() as net.AddressInfo).port);
  await Promise.all(servers.map(close));
  return ports;
}

export async function isPortFree(port: number): Promise<boolean> {
  try {
    await close(await listen(port));
    return true;
  } catch {
    return false;
  }
}

function listen(port: number): Promise<net.Server> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', reject);
    server.listen(port, LOOPBACK, () => resolve(server));
  });
}

function close(server: net.Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
