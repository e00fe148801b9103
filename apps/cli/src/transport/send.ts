/**
 * The transport: `Send` on node:http and node:https.
 *
 * Rules of this file: one call is one request on the wire. It follows no redirect, adds no credential and keeps no cookie.
 * It does not judge: whether a URL may be contacted was decided before, but for the address of a host that a peer named, which
 * is known when it is dialled. Connections are kept until `close`; one that was made without a look at its address is never
 * used for a request that wants one, since DNS may have said something else then.
 */

import http, { type ClientRequest, type IncomingMessage } from 'node:http';
import https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import type { Addresses, HeaderList, NetworkPhase, RegistryRequest } from '@reg/core';
import type { Outgoing, Send } from '@reg/core/driver';
import { checkedLookup, refuseAddress } from '@reg/node/network';
import { Body } from './body.ts';
import { SendError } from './send-error.ts';

/** A request of the command's, with its body. */
export interface Asking extends RegistryRequest {
  /** The whole body where `body` is `replayable`. */
  readonly bytes?: Uint8Array;
  /** Whether the answer's body is wanted as it is stored: no content coding is asked for, and none is undone. */
  readonly stored?: boolean;
}

export interface Transport {
  readonly send: Send<Body, Asking>;
  /** Ends every connection: a kept one would hold the process. */
  close(): void;
}

export interface TransportOptions {
  readonly userAgent: string;
  /** PEM of the authorities to trust, in place of Node's own. */
  readonly ca?: string | undefined;
  /** Takes any certificate, for any name. */
  readonly insecure?: boolean | undefined;
  readonly patience?: Patience | undefined;
  /** What resolves names. Default: the system's. */
  readonly lookup?: LookupFunction | undefined;
}

/** Milliseconds without progress that end a request. */
export interface Patience {
  /** Look-up, TCP and TLS together. 10 s: SYNs go out at 0, 1, 3 and 7 s, so three may be lost. */
  readonly connect: number;
  /** Nothing received. 60 s: what nginx, which stands before most registries, waits for an answer behind it. */
  readonly silence: number;
}

const defaultPatience: Patience = { connect: 10_000, silence: 60_000 };

// The core judges how long a challenge may be; Node's own 16 KiB would answer in its place with a parse error.
const MAX_HEADER_BYTES = 65_536;

export function openTransport(options: TransportOptions): Transport {
  const { userAgent, patience = defaultPatience, lookup } = options;
  const agents: Readonly<Record<Addresses, Agents>> = {
    any: agentsFor(options, lookup),
    unblocked: agentsFor(options, checkedLookup(lookup)),
  };

  const send: Send<Body, Asking> = (outgoing, signal) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const { protocol, hostname, port, pathname, search } = new URL(outgoing.url);
      const secure = protocol === 'https:';
      // `new URL` keeps an IPv6 address in its brackets; sockets want it without.
      const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
      const checked = outgoing.addresses === 'unblocked';
      // An address is dialled without asking the resolver.
      const refused = checked && isIP(host) > 0 ? refuseAddress(host, host) : null;
      if (refused !== null) return reject(SendError.from(refused, refused.phase));
      const body = bodyOf(outgoing);
      const stored = outgoing.request?.stored === true;
      const options = {
        method: outgoing.method,
        host,
        port,
        path: pathname + search,
        headers: {
          'user-agent': userAgent,
          'accept-encoding': stored ? 'identity' : 'gzip, deflate, br',
          ...combined(outgoing.headers),
          // Node writes none for a GET or DELETE, and their body would be taken for the next request.
          ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
        },
        agent: agents[outgoing.addresses][secure ? 'https' : 'http'],
        maxHeaderSize: MAX_HEADER_BYTES,
      };
      let request: ClientRequest;
      try {
        request = (secure ? https : http).request(options);
      } catch (error) {
        // A character that no header or path may hold.
        return reject(SendError.from(error, 'send'));
      }

      let phase: NetworkPhase = isIP(host) === 0 ? 'lookup' : 'connect';
      let message: IncomingMessage | null = null;
      const end = (error: unknown): void => {
        if (message === null) request.destroy();
        else message.destroy(SendError.from(error, 'body'));
        reject(error);
      };
      const late = (): void =>
        end(new SendError(phase, 'ETIMEDOUT', `no progress for ${waited(phase, patience)} s`));
      const abort = (): void => end(signal.reason);
      signal.addEventListener('abort', abort);
      const connecting = setTimeout(late, patience.connect);
      const connected = (): void => {
        clearTimeout(connecting);
        phase = 'send';
      };
      request.setTimeout(patience.silence, late);

      request.once('socket', (socket) => {
        if (!socket.connecting) return connected();
        socket.once('lookup', (error) => {
          if (!error) phase = 'connect';
        });
        socket.once('connect', () => {
          if (secure) phase = 'tls';
          else connected();
        });
        socket.once('secureConnect', connected);
      });
      request.once('finish', () => {
        if (phase === 'send') phase = 'head';
      });
      request.once('response', (response) => {
        message = response;
        phase = 'body';
        const raw = new Body(response, stored);
        resolve({
          head: { status: response.statusCode ?? 0, headers: fields(response.rawHeaders) },
          raw,
          ...(checked ? { address: 'checked' } : {}),
          text: (limit) => raw.text(limit),
          peek: (limit) => raw.peek(limit),
          discard: () => raw.discard(),
        });
      });
      request.on('error', (error) => reject(SendError.from(error, phase)));
      request.once('close', () => {
        clearTimeout(connecting);
        signal.removeEventListener('abort', abort);
      });
      request.end(body);
    });

  return {
    send,
    close() {
      for (const { http, https } of Object.values(agents)) {
        http.destroy();
        https.destroy();
      }
    },
  };
}

function bodyOf({ body, form, request }: Outgoing<Asking>): string | Uint8Array | undefined {
  switch (body) {
    case 'none':
      return undefined;
    case 'form':
      return form ?? undefined;
    case 'caller':
      return request?.bytes;
  }
}

interface Agents {
  readonly http: http.Agent;
  readonly https: https.Agent;
}

function agentsFor({ ca, insecure = false }: TransportOptions, lookup: LookupFunction | undefined): Agents {
  const shared = { keepAlive: true, ...(lookup === undefined ? {} : { lookup }) };
  const trust = ca === undefined ? {} : { ca };
  return {
    http: new http.Agent(shared),
    https: new https.Agent({ ...shared, ...trust, rejectUnauthorized: !insecure }),
  };
}

/** Field lines of one name as one list, which is how node:http takes them. */
function combined(headers: HeaderList): Record<string, string[]> {
  const lists = new Map<string, string[]>();
  for (const [name, value] of headers) lists.set(name, [...(lists.get(name) ?? []), value]);
  return Object.fromEntries(lists);
}

/** Node's flat list of names and values, in wire order. */
function fields(raw: readonly string[]): HeaderList {
  const pairs: (readonly [string, string])[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) pairs.push([(raw[i] ?? '').toLowerCase(), raw[i + 1] ?? '']);
  return pairs;
}

function waited(phase: NetworkPhase, { connect, silence }: Patience): number {
  const connecting = phase === 'lookup' || phase === 'connect' || phase === 'tls';
  return (connecting ? connect : silence) / 1_000;
}
