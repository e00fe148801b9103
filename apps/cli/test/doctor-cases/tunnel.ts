/**
 * A forward proxy that knows where the names of a set-up are, since nothing else on this machine does.
 *
 * Rules of this file: `skopeo` finds a made-up registry through it, as `reg` does by `--resolve`; what goes through is not
 * looked at.
 */

import { createServer, request as httpRequest } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

interface Tunnel {
  readonly url: string;
  /** `host:port` of each request, in order. */
  readonly asked: readonly string[];
}

/** Starts one, until the running test ends. `isKnown` says which hosts are on loopback; it reaches no others. */
export async function startTunnel(isKnown: (host: string) => boolean): Promise<Tunnel> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    const { method, headers, url = '' } = request;
    const { host, port, pathname, search } = new URL(url);
    asked.push(host);
    if (!isKnown(host)) return response.writeHead(502).end();
    const onward = httpRequest({ host: '127.0.0.1', port, path: pathname + search, method, headers });
    onward.on('response', (from) => {
      response.writeHead(from.statusCode ?? 502, from.headers);
      from.pipe(response);
    });
    onward.on('error', () => response.destroy());
    return request.pipe(onward);
  });
  server.on('connect', ({ url = '' }, socket: Socket, first: Buffer) => {
    asked.push(url);
    sockets.add(socket);
    if (!isKnown(url)) return socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
    const onward = connect(Number(url.slice(url.lastIndexOf(':') + 1)), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onward.write(first);
      onward.pipe(socket).pipe(onward);
    });
    onward.on('error', () => socket.destroy());
    socket.on('error', () => onward.destroy());
    return undefined;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  });
  // A listening TCP server has an address of this kind.
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, asked };
}
