/**
 * How a reply goes over the wire: whole, slowly, or not to its end.
 *
 * Rules of this file: bytes and sockets only; what the reply says is settled. `Content-Length` always states the length of
 * the reply's body, so that a body cut short is seen to be short (RFC 9112 §8).
 */

import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Reply } from './reply.ts';

/** Where an answer breaks off. `mid-body` is after half of the body. */
export type Moment = 'before-head' | 'after-head' | 'mid-body';

export type Delivery =
  | { readonly kind: 'whole' }
  /** `bytes` of body at a time, `everyMs` milliseconds apart. */
  | { readonly kind: 'slow'; readonly bytes: number; readonly everyMs: number }
  /** The connection is reset (RST), ended in order (FIN), or left open in silence. */
  | { readonly kind: 'cut'; readonly at: Moment; readonly then: 'reset' | 'end' | 'silence' };

export interface Wire {
  readonly response: ServerResponse;
  /** The TCP socket below TLS, if any: only it can be reset. */
  readonly tcp: Socket;
  /** Told when a status has been sent. */
  readonly sent: (status: number) => void;
  /** Fires when the server closes. */
  readonly closing: AbortSignal;
}

/** Sends `reply`. Resolves when there is nothing more to do; rejects when the server closes meanwhile. */
export async function deliver(reply: Reply, delivery: Delivery, wire: Wire): Promise<void> {
  const { response } = wire;
  if (delivery.kind === 'cut' && delivery.at === 'before-head') return breakOff(delivery.then, wire);
  wire.sent(reply.status);
  if (reply.verbatim !== undefined) {
    response.socket?.end(rawResponse(reply, reply.verbatim, response.req.method === 'HEAD'));
    return;
  }
  response.statusCode = reply.status;
  for (const [name, value] of Object.entries({ ...reply.headers, ...lengthOf(reply) })) {
    response.setHeader(name, value);
  }
  switch (delivery.kind) {
    case 'whole':
      response.end(reply.body);
      return;
    case 'slow':
      response.flushHeaders();
      for (let at = 0; at < reply.body.length; at += delivery.bytes) {
        response.write(reply.body.subarray(at, at + delivery.bytes));
        await delay(delivery.everyMs, undefined, { signal: wire.closing });
      }
      response.end();
      return;
    case 'cut':
      response.flushHeaders();
      if (delivery.at === 'mid-body') response.write(reply.body.subarray(0, reply.body.length >> 1));
      // An empty write completes after all that was queued before it.
      response.socket?.write('', () => breakOff(delivery.then, wire));
      return;
  }
}

function breakOff(then: 'reset' | 'end' | 'silence', { response, tcp }: Wire): void {
  switch (then) {
    case 'reset':
      tcp.resetAndDestroy();
      return;
    case 'end':
      response.socket?.end();
      return;
    case 'silence':
      return;
  }
}

/** RFC 9110 §8.6: no length on 204. */
const lengthOf = (reply: Reply): Record<string, string> =>
  reply.status === 204 ? {} : { 'Content-Length': String(reply.body.length) };

function rawResponse(reply: Reply, verbatim: readonly string[], head: boolean): Buffer {
  const lines = [`HTTP/1.1 ${reply.status} ${STATUS_CODES[reply.status] ?? ''}`];
  for (const [name, value] of Object.entries({ ...reply.headers, ...lengthOf(reply) })) {
    for (const one of typeof value === 'string' ? [value] : value) lines.push(`${name}: ${one}`);
  }
  lines.push(...verbatim, 'Connection: close', '', '');
  const bytes = Buffer.from(lines.join('\r\n'), 'latin1');
  return head ? bytes : Buffer.concat([bytes, reply.body]);
}
