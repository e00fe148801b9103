/**
 * A registry over HTTP/2, which Chromium wants for sending streams: a proxy before one that speaks HTTP/1.1.
 *
 * Rules of this file: requests and answers pass as they are, as fast as the slower side takes them; the canary tap reads at
 * the registry what the proxy brought there.
 */

import type { IncomingHttpHeaders } from 'node:http';
import { createSecureServer } from 'node:http2';
import { request as forward } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { createServerCertificate, type Registry } from '@reg/testing';
import { onTestFinished } from 'vitest';
import type { Account } from './pages/page.ts';

/** Header fields of one connection, and those of HTTP/2 itself. */
const ofConnection = /^(:.*|host|connection|keep-alive|transfer-encoding)$/;

function passable(headers: IncomingHttpHeaders): [string, string | string[]][] {
  return Object.entries(headers).flatMap(([name, value]): [string, string | string[]][] =>
    value === undefined || ofConnection.test(name) ? [] : [[name, value]],
  );
}

/** Puts HTTP/2 before `registry`, which has TLS, until the test ends. Resolves to alice's account there. */
export async function http2Before(
  { url: origin, ca }: Registry,
  { pair, password }: Account,
): Promise<{ readonly url: string; readonly alice: Account }> {
  if (ca === null)
    throw new TypeError('a registry behind HTTP/2 speaks https, or its realm would not be taken');
  const server = createSecureServer(createServerCertificate([]), (request, response) => {
    const { method, url, headers } = request;
    const options = { method, headers: Object.fromEntries(passable(headers)), ca };
    const onward = forward(`${origin}${url}`, options, (answer) => {
      response.statusCode = answer.statusCode ?? 502;
      for (const [name, value] of passable(answer.headers)) response.setHeader(name, value);
      answer.pipe(response);
    });
    onward.on('error', () => response.stream.close());
    request.pipe(onward);
  });
  // Those of HTTP/2 are not closed by closing the server.
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(() => resolve()));
  });
  // A listening TCP server has an address of this kind.
  const { port } = server.address() as AddressInfo;
  const host = `127.0.0.1:${port}`;
  const url = `https://${host}`;
  return { url, alice: { host, pair: { registry: url, realm: pair.realm }, password } };
}
