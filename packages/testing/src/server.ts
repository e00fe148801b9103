/**
 * One HTTP server on a free loopback port: the registry, its token server and its blob server are three of these.
 *
 * Rules of this file: every request passes log, preflight, fault, handler, CORS and delivery, in that order, so that no fault
 * is used up by a browser's preflight; every socket is known, so that `close` leaves none behind, stalled ones included.
 */

import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { ServerCertificate } from './certificate.ts';
import { type CorsOptions, createCors } from './cors.ts';
import { deliver } from './deliver.ts';
import type { FaultMenu } from './faults.ts';
import type { Log, ServerName } from './log.ts';
import { type Handler, registryError } from './reply.ts';
import { activeTap } from './tap.ts';

/** What the servers of one registry share. */
export interface Surroundings {
  readonly log: Log;
  readonly faults: FaultMenu;
  readonly cors: boolean | CorsOptions;
  readonly certificate: ServerCertificate | null;
}

export interface Server {
  /** `http://127.0.0.1:port` or `https://…`. */
  readonly origin: string;
  /** Who answers. Until called, every request gets a 503. */
  serve(handler: Handler): void;
  /** Ends every connection and waits for the port to be free. */
  close(): Promise<void>;
}

// A JWT for a hundred scopes is about 16 KiB, which is Node's default for the whole head.
const MAX_HEADER_BYTES = 65_536;

/** Starts a server on 127.0.0.1. */
export async function listen(name: ServerName, surroundings: Surroundings): Promise<Server> {
  const { certificate } = surroundings;
  const cors = createCors(name, surroundings.cors);
  const closing = new AbortController();
  const sockets = new Map<number, Socket>();
  let origin = '';
  let handler: Handler = () => registryError(503, 'UNAVAILABLE', 'not serving yet');

  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    answer(request, response).catch((error: unknown) => {
      // Whoever closed the server or hung up is not waiting for an answer. Anything else is a fault of the handler.
      if (closing.signal.aborted || request.socket.destroyed || response.headersSent) response.destroy();
      else response.writeHead(500).end(error instanceof Error ? error.stack : String(error));
    });
  };
  const options = { maxHeaderSize: MAX_HEADER_BYTES };
  const server =
    certificate === null
      ? createHttpServer(options, onRequest)
      : createHttpsServer({ ...options, key: certificate.key, cert: certificate.cert }, onRequest);

  server.on('connection', (socket: Socket) => {
    const port = socket.remotePort ?? 0;
    sockets.set(port, socket);
    socket.on('close', () => {
      if (sockets.get(port) === socket) sockets.delete(port);
    });
  });
  // Listening for data has to begin after node:http took the socket over, which it does in its own, earlier listener.
  server.on(certificate === null ? 'connection' : 'secureConnection', (socket: Socket) => {
    const tap = activeTap();
    if (tap !== null) socket.on('data', tap.reader(origin));
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/' } = request;
    const headers = joined(request);
    const entry = surroundings.log.begin({ server: name, method, url, headers });
    const received = {
      method,
      url: new URL(`${origin}${url}`),
      headers,
      body: async () => {
        const body = await bodyOf(request);
        entry.read(body);
        return body;
      },
    };
    const tcp = sockets.get(request.socket.remotePort ?? 0);
    if (tcp === undefined) return;
    const wire = { response, tcp, sent: entry.sent, closing: closing.signal };

    const preflight = cors?.preflight(received) ?? null;
    if (preflight !== null) return deliver(cors?.decorate(preflight) ?? preflight, { kind: 'whole' }, wire);

    const { delayMs, answer: disturbed, delivery } = surroundings.faults.take(entry.request);
    if (delayMs > 0) await delay(delayMs, undefined, { signal: closing.signal });
    const reply = await disturbed(async () => handler(received));
    return deliver(cors?.decorate(reply) ?? reply, delivery, wire);
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string')
    throw new TypeError('[@reg/testing] no port was assigned');
  origin = `${certificate === null ? 'http' : 'https'}://127.0.0.1:${address.port}`;

  return {
    origin,
    serve: (serving) => {
      handler = serving;
    },
    close: async () => {
      closing.abort();
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      for (const socket of sockets.values()) socket.destroy();
      await closed;
    },
  };
}

function joined(request: IncomingMessage): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (const [name, values = []] of Object.entries(request.headersDistinct))
    headers[name] = values.join(', ');
  return headers;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}
