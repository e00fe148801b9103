/**
 * A reverse proxy before a real server, as operators put one there: it ends TLS, and is where a set-up goes wrong.
 *
 * Rules of this file: what it does is data that can be changed while it runs, as by a reload of its configuration; without
 * anything said it passes on what it gets, `Host` included, and does not say that it was asked over https.
 */

import {
  createServer as createHttpServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import type { Signed } from '../../../../packages/node/test/certificates.ts';

interface Answer {
  readonly status: number;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string;
}

interface Behaviour {
  /** The origin that answers a path. */
  readonly upstream: (path: string) => string;
  /** What is answered in the place of the server behind; `null` passes the request on. */
  readonly answer: (request: IncomingMessage) => Answer | null;
  /** Sent along to the server behind. */
  readonly forwarded: Readonly<Record<string, string>>;
  /** The head of an answer from behind, as it goes out. */
  readonly edit: (headers: IncomingHttpHeaders, request: IncomingMessage) => OutgoingHttpHeaders;
}

export interface Front {
  readonly port: number;
  become(changes: Partial<Behaviour>): void;
  /** Presents another certificate to the next connection. */
  present(certificate: Signed): void;
}

/** Starts one on loopback, on a free port unless one is given, https with `certificate` and http without, until the running test ends. */
export async function startFront(
  certificate: Signed | null,
  { port = 0, ...changes }: Partial<Behaviour> & { readonly port?: number } = {},
): Promise<Front> {
  const unready: Behaviour = {
    upstream: () => {
      throw new Error('nothing is behind this front yet');
    },
    answer: () => null,
    forwarded: {},
    edit: (headers) => headers,
  };
  let behaviour: Behaviour = { ...unready, ...changes };

  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    const { answer, upstream, forwarded, edit } = behaviour;
    const own = answer(request);
    if (own !== null) {
      request.resume();
      response.writeHead(own.status, own.headers).end(own.body);
      return;
    }
    const { method = 'GET', url = '/', headers } = request;
    const onward = httpRequest(`${upstream(url)}${url}`, { method, headers: { ...headers, ...forwarded } });
    onward.on('response', (from) => {
      response.writeHead(from.statusCode ?? 502, edit(from.headers, request));
      from.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  };

  const https = certificate === null ? null : createHttpsServer(certificate, serve);
  const server = https ?? createHttpServer(serve);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  });
  return {
    // A listening TCP server has an address of this kind.
    port: (server.address() as AddressInfo).port,
    become: (next) => {
      behaviour = { ...behaviour, ...next };
    },
    present(next) {
      https?.setSecureContext(next);
      server.closeAllConnections();
    },
  };
}
