/** Proxies that note what they are sent and lead every name to this machine. */

import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, type Server } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TlsOptions } from 'node:tls';
import { onTestFinished } from 'vitest';

export interface Proxy {
  readonly port: number;
  /** Request lines, without their version. */
  readonly asked: readonly string[];
  /** `Proxy-Authorization` of each. */
  readonly authorizations: readonly (string | undefined)[];
  /** All that it was sent, as it could read it. */
  bytes(): string;
  /** How many were made to it. */
  connections(): number;
}

export interface ProxyOptions {
  /** Speaks TLS itself. */
  readonly tls?: TlsOptions;
  /** What it answers to CONNECT in place of a tunnel; an empty text is silence. */
  readonly refusal?: string;
}

/** Its own answer to a request that it could read, in place of the registry's. */
export const BY_PROXY = '{"name":"a","tags":["by proxy"]}';

/** Starts a proxy, until the running test ends. */
export async function startProxy({ tls, refusal }: ProxyOptions = {}): Promise<Proxy> {
  let bytes = '';
  const asked: string[] = [];
  const authorizations: (string | undefined)[] = [];
  const sockets = new Set<Duplex>();
  const note = ({ method, url, headers }: IncomingMessage): void => {
    asked.push(`${method} ${url}`);
    authorizations.push(headers['proxy-authorization']);
  };
  const server: Server = tls === undefined ? createServer() : createTlsServer(tls);
  server.on('request', (incoming, response) => {
    note(incoming);
    response.setHeader('Via', '1.1 test').end(BY_PROXY);
  });
  server.on('connect', (incoming: IncomingMessage, client: Duplex) => {
    note(incoming);
    client.on('error', () => {});
    if (refusal !== undefined) {
      if (refusal !== '') client.end(refusal);
      return;
    }
    const { port } = new URL(`http://${incoming.url}`);
    const onward = connect(Number(port || 443), '127.0.0.1').on('error', () => {});
    sockets.add(onward);
    onward.once('connect', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      client.pipe(onward).pipe(client);
    });
  });
  let connections = 0;
  server.on('connection', (socket: Duplex) => {
    connections += 1;
    sockets.add(socket);
  });
  // In the clear, so that what a TLS proxy is sent is read as well.
  server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Duplex) => {
    sockets.add(socket.on('error', () => {}));
    socket.on('data', (chunk) => {
      bytes += chunk.toString('latin1');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(() => resolve()));
  });
  // A listening TCP server has an address of this kind.
  const { port } = server.address() as AddressInfo;
  return { port, asked, authorizations, bytes: () => bytes, connections: () => connections };
}
