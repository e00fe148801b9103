/**
 * The fault menu: what a registry or token server can do wrong, on demand.
 *
 * Rules of this file: a fault is data; it acts on requests its filter matches, after letting `after` of them pass, `times`
 * times. Of several that match one request all latencies add up and the effects apply in the order they were added.
 * A fault that answers in the server's place keeps the request from having an effect; one that spoils the answer does not.
 */

import { gzipSync } from 'node:zlib';
import type { Delivery, Moment } from './deliver.ts';
import { type LoggedRequest, matches, type RequestFilter } from './log.ts';
import { empty, type HeaderValues, json, type Reply, registryError } from './reply.ts';

export type FaultEffect =
  /** Answers with this status and body. The body is sent as text; `headers` may name its type. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers?: HeaderValues;
      readonly body?: string;
    }
  /** Waits before the head of the answer. */
  | { readonly kind: 'latency'; readonly ms: number }
  /** Sends the body `bytes` at a time, `everyMs` apart. */
  | { readonly kind: 'slow-body'; readonly bytes: number; readonly everyMs: number }
  /** Resets the connection (TCP RST). */
  | { readonly kind: 'reset'; readonly at: Moment }
  /** Says nothing more and keeps the connection open until the server closes. */
  | { readonly kind: 'stall'; readonly at: Moment }
  /** Ends the connection in the middle of a body that `Content-Length` says is longer. */
  | { readonly kind: 'truncated-body' }
  /** Appends spaces to the body until it is `bytes` long. JSON stays JSON: only a limit notices. */
  | { readonly kind: 'oversized-body'; readonly bytes: number }
  /** Like `oversized-body`, compressed: about `bytes / 1000` on the wire. */
  | { readonly kind: 'gzip-bomb'; readonly bytes: number }
  /** Sends the first half of the body as if it were the whole: JSON that does not parse. */
  | { readonly kind: 'wrong-json' }
  /** Leaves members out of a JSON object, `token` and `expires_in` for instance. */
  | { readonly kind: 'missing-fields'; readonly fields: readonly string[] }
  /** Answers with these `WWW-Authenticate` values, each a field line of its own, byte for byte. Default status 401. */
  | { readonly kind: 'challenge'; readonly values: readonly string[]; readonly status?: number }
  /** Puts another realm into the server's own Bearer challenge. */
  | { readonly kind: 'realm'; readonly realm: string }
  /** Redirects. Default status 307. */
  | { readonly kind: 'redirect'; readonly location: string; readonly status?: number }
  /** Answers `Retry-After: value`: seconds or an HTTP date. Default status 429. */
  | { readonly kind: 'retry-after'; readonly value: number | string; readonly status?: number };

/** Which requests a fault acts on, and how often. */
export interface FaultMatch extends RequestFilter {
  /** How many requests it acts on. Default 1; `Infinity` for all. */
  readonly times?: number;
  /** How many matching requests pass unharmed first. Default 0. */
  readonly after?: number;
}

export type Fault = FaultMatch & FaultEffect;

/** The faults of one `startRegistry`. */
export interface Faults {
  /** Adds a fault; what it returns takes it away again. */
  add(fault: Fault): () => void;
  /** Takes all away. */
  clear(): void;
}

/** What becomes of one request. */
export interface Disturbance {
  readonly delayMs: number;
  readonly answer: (handle: () => Promise<Reply>) => Promise<Reply>;
  readonly delivery: Delivery;
}

export interface FaultMenu extends Faults {
  /** The faults that act on `request`, each counted as used. */
  take(request: LoggedRequest): Disturbance;
}

export function createFaults(initial: readonly Fault[] = []): FaultMenu {
  const armed = new Set<{ readonly fault: Fault; seen: number }>();
  const menu: FaultMenu = {
    add(fault) {
      const entry = { fault, seen: 0 };
      armed.add(entry);
      return () => {
        armed.delete(entry);
      };
    },
    clear: () => armed.clear(),
    take(request) {
      let disturbance: Disturbance = {
        delayMs: 0,
        answer: (handle) => handle(),
        delivery: { kind: 'whole' },
      };
      for (const entry of armed) {
        const { fault } = entry;
        if (!matches(fault, request)) continue;
        const { after = 0, times = 1 } = fault;
        entry.seen++;
        if (entry.seen > after && entry.seen <= after + times) disturbance = apply(fault, disturbance);
      }
      return disturbance;
    },
  };
  for (const fault of initial) menu.add(fault);
  return menu;
}

function apply(fault: FaultEffect, before: Disturbance): Disturbance {
  const instead = (reply: Reply): Disturbance => ({ ...before, answer: async () => reply });
  const change = (edit: (reply: Reply) => Reply): Disturbance => ({
    ...before,
    answer: async (handle) => edit(await before.answer(handle)),
  });
  const cut = (at: Moment, then: 'reset' | 'end' | 'silence'): Disturbance => ({
    ...before,
    answer: at === 'before-head' ? async () => empty(500) : before.answer,
    delivery: { kind: 'cut', at, then },
  });

  switch (fault.kind) {
    case 'status':
      return instead({ ...empty(fault.status, fault.headers), body: Buffer.from(fault.body ?? '') });
    case 'latency':
      return { ...before, delayMs: before.delayMs + fault.ms };
    case 'slow-body':
      return { ...before, delivery: { kind: 'slow', bytes: fault.bytes, everyMs: fault.everyMs } };
    case 'reset':
      return cut(fault.at, 'reset');
    case 'stall':
      return cut(fault.at, 'silence');
    case 'truncated-body':
      return cut('mid-body', 'end');
    case 'oversized-body':
      return change((reply) => ({ ...reply, body: padded(reply.body, fault.bytes) }));
    case 'gzip-bomb':
      return change((reply) => ({
        ...reply,
        headers: { ...reply.headers, 'Content-Encoding': 'gzip' },
        body: gzipSync(padded(reply.body, fault.bytes)),
      }));
    case 'wrong-json':
      return change((reply) => ({ ...reply, body: reply.body.subarray(0, reply.body.length >> 1) }));
    case 'missing-fields':
      return change((reply) => ({ ...reply, body: withoutMembers(reply.body, fault.fields) }));
    case 'challenge':
      return instead({
        ...registryError(fault.status ?? 401, 'UNAUTHORIZED', 'authentication required'),
        verbatim: fault.values.map((value) => `WWW-Authenticate: ${value}`),
      });
    case 'realm':
      return change((reply) => withRealm(reply, fault.realm));
    case 'redirect':
      return instead(empty(fault.status ?? 307, { Location: fault.location }));
    case 'retry-after':
      return instead(
        json(
          fault.status ?? 429,
          { errors: [{ code: 'TOOMANYREQUESTS', message: 'too many requests', detail: null }] },
          { 'Retry-After': String(fault.value) },
        ),
      );
  }
}

const padded = (body: Uint8Array, bytes: number): Buffer =>
  Buffer.concat([body, Buffer.alloc(Math.max(0, bytes - body.length), ' ')]);

function withoutMembers(body: Uint8Array, fields: readonly string[]): Buffer {
  const members = Object.entries(JSON.parse(Buffer.from(body).toString()) as Record<string, unknown>);
  return Buffer.from(JSON.stringify(Object.fromEntries(members.filter(([name]) => !fields.includes(name)))));
}

function withRealm(reply: Reply, realm: string): Reply {
  const challenge = reply.headers['WWW-Authenticate'];
  if (typeof challenge !== 'string') return reply;
  const headers = {
    ...reply.headers,
    'WWW-Authenticate': challenge.replace(/realm="[^"]*"/, `realm="${realm}"`),
  };
  return { ...reply, headers };
}
