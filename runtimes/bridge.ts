/**
 * Where guests connect to.
 *
 * Rules of this file: one server on loopback, one guest at a time; its page is of another origin than every registry.
 */

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Channel } from '@reg/testing';
import { type WebSocket, WebSocketServer } from 'ws';
import { dist } from './bundle.ts';

export interface Bridge {
  /** `ws://127.0.0.1:port`: a guest connects to `/` and the job it is for; `?agent=` is the runtime's name for itself. */
  readonly url: string;
  /** A page that works as a guest; `?bridge=` names the job's URL. */
  readonly page: string;
  /** The next guest, and what it says it is. */
  accept(): Promise<{ readonly socket: WebSocket; readonly agent: string }>;
  close(): void;
}

export async function openBridge(): Promise<Bridge> {
  const server = createServer(async ({ url = '' }, response) => {
    const script = url === '/page.js';
    response.setHeader('Content-Type', script ? 'text/javascript' : 'text/html');
    response.end(
      script
        ? await readFile(join(dist, 'page.js'))
        : '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>',
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const sockets = new WebSocketServer({ server, maxPayload: 64 * 1_024 * 1_024 });
  const { port } = server.address() as AddressInfo;
  return {
    url: `ws://127.0.0.1:${port}`,
    page: `http://127.0.0.1:${port}/`,
    accept: () =>
      new Promise((resolve) => {
        sockets.once('connection', (socket, { url = '' }) => {
          resolve({ socket, agent: new URL(url, 'ws://guest').searchParams.get('agent') ?? '' });
        });
      }),
    close: () => {
      for (const socket of sockets.clients) socket.terminate();
      server.close();
    },
  };
}

export function channelOn(socket: WebSocket): Channel {
  return {
    send: (text) => socket.send(text),
    listen(hear, ended) {
      socket.on('message', (data) => hear(String(data)));
      socket.on('close', (code, reason) => ended(`the socket closed: ${code} ${reason}`));
      socket.on('error', () => {});
    },
  };
}
