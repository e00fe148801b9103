/**
 * The transport: `Send` on node:http, and on TLS under it.
 *
 * Rules of this file: one call is one request on the wire. It follows no redirect, adds no credential and keeps no cookie.
 * It does not judge: whether a URL may be contacted was decided before, but for the address of a host that a peer named, which
 * is known when it is dialled. Connections are kept until `close`; one that was made without a look at its address is never
 * used for a request that wants one, since DNS may have said something else then. A proxy is handed nothing that may hold a
 * secret: https goes through a tunnel, and over plain http such a request is not sent.
 */

import http, { Agent, type ClientRequest, type IncomingMessage } from 'node:http';
import { type LookupFunction, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { HeaderList, NetworkPhase, RegistryRequest, Timing } from '@reg/core';
import type { Outgoing, Send } from '@reg/core/driver';
import { type Environment, ProxyError, type ProxyServer, proxyFor, secretFieldOf } from '@reg/node/network';
import { Body } from './body.ts';
import { Dialling, type DialSetting, dial, endOf, proxyFields, type Way } from './dial.ts';
import { SendError } from './send-error.ts';
import type { TlsSetting } from './tls.ts';

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
  readonly tls: TlsSetting;
  /** Where proxies are named. */
  readonly env: Environment;
  /** Addresses by `host:port`, in place of what is looked up. */
  readonly pinned?: ReadonlyMap<string, string> | undefined;
  readonly patience?: Patience | undefined;
  /** What resolves names. Default: the system's. */
  readonly lookup?: LookupFunction | undefined;
}

/** Milliseconds without progress that end a request. */
export interface Patience {
  /** Look-up, TCP, tunnel and TLS together. 10 s: SYNs go out at 0, 1, 3 and 7 s, so three may be lost. */
  readonly connect: number;
  /** Nothing received. 60 s: what nginx, which stands before most registries, waits for an answer behind it. */
  readonly silence: number;
}

const defaultPatience: Patience = { connect: 10_000, silence: 60_000 };

// The core judges how long a challenge may be; Node's own 16 KiB would answer in its place with a parse error.
const MAX_HEADER_BYTES = 65_536;

export function openTransport(options: TransportOptions): Transport {
  const { patience = defaultPatience } = options;
  const dialSetting: DialSetting = {
    tls: options.tls,
    pinned: options.pinned ?? new Map(),
    lookup: options.lookup,
  };
  const agents = new Map<string, Connections>();
  const agentFor = (way: Way): Connections => {
    // The ways that may share a connection, if they lead to one host and port.
    const { secure, addresses, proxy } = way;
    const name = `${secure} ${proxy === null ? addresses : 'tunnel'}`;
    const agent = agents.get(name) ?? new Connections(dialSetting);
    agents.set(name, agent);
    return agent;
  };

  const send: Send<Body, Asking> = (outgoing, signal) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const checked = outgoing.addresses === 'unblocked';
      const stored = outgoing.request?.stored === true;
      const dialling = new Dialling();
      let request: ClientRequest;
      let direct: boolean;
      let body: string | Uint8Array | undefined;
      try {
        const { way, path, fields } = routeOf(outgoing, options);
        direct = way.proxy === null && path.startsWith('/');
        body = bodyOf(outgoing);
        const requestOptions: DiallingOptions = {
          method: outgoing.method,
          host: way.host,
          port: way.port,
          path,
          headers: {
            'user-agent': options.userAgent,
            'accept-encoding': stored ? 'identity' : 'gzip, deflate, br',
            ...combined(outgoing.headers),
            // Node writes none for a GET or DELETE, and their body would be taken for the next request.
            ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
            ...fields,
          },
          agent: agentFor(way),
          maxHeaderSize: MAX_HEADER_BYTES,
          way,
          dialling,
        };
        request = http.request(requestOptions);
      } catch (error) {
        // A character that no header or path may hold, or a proxy that is none.
        return reject(SendError.from(error, 'send'));
      }

      let phase: NetworkPhase | null = null;
      let message: IncomingMessage | null = null;
      let sentAt = performance.now();
      const phaseNow = (): NetworkPhase => phase ?? dialling.phase;
      const end = (error: unknown): void => {
        dialling.end();
        if (message === null) request.destroy();
        else message.destroy(SendError.from(error, 'body'));
        reject(error);
      };
      const late = (): void => {
        // What has come and is not taken, as by a pager, is no silence of the server's.
        if (message !== null && message.readableLength > 0) return;
        const ms = phase === null ? patience.connect : patience.silence;
        end(new SendError(phaseNow(), 'ETIMEDOUT', `no progress for ${ms / 1_000} s`));
      };
      const abort = (): void => end(signal.reason);
      signal.addEventListener('abort', abort);
      const connecting = setTimeout(late, patience.connect);
      request.setTimeout(patience.silence, late);

      request.once('socket', () => {
        clearTimeout(connecting);
        phase = 'send';
        sentAt = performance.now();
      });
      request.once('finish', () => {
        if (phase !== 'send') return;
        phase = 'head';
        sentAt = performance.now();
      });
      request.once('response', (response) => {
        message = response;
        phase = 'body';
        const raw = new Body(response, stored);
        const { lookupMs, connectMs, tlsMs } = dialling;
        const timing: Timing = { lookupMs, connectMs, tlsMs, waitMs: performance.now() - sentAt };
        resolve({
          head: { status: response.statusCode ?? 0, headers: pairs(response.rawHeaders) },
          raw,
          timing,
          ...(checked && direct ? { address: 'checked' } : {}),
          text: (limit) => raw.text(limit),
          peek: (limit) => raw.peek(limit),
          discard: () => raw.discard(),
        });
      });
      request.on('error', (error) => reject(SendError.from(error, phaseNow())));
      request.once('close', () => {
        clearTimeout(connecting);
        signal.removeEventListener('abort', abort);
      });
      request.end(body);
    });

  return {
    send,
    close() {
      for (const agent of agents.values()) agent.destroy();
    },
  };
}

interface DiallingOptions extends http.RequestOptions {
  readonly way: Way;
  readonly dialling: Dialling;
}

/** Kept connections, and new ones by `dial`. */
class Connections extends Agent {
  readonly #setting: DialSetting;

  constructor(setting: DialSetting) {
    super({ keepAlive: true });
    this.#setting = setting;
  }

  override createConnection(
    { way, dialling }: DiallingOptions,
    callback?: (error: Error | null, socket: Duplex) => void,
  ): undefined {
    dial(way, this.#setting, dialling).then(
      (socket) => callback?.(null, socket),
      // With an error nobody looks at the socket, but the type wants one.
      (error) => callback?.(error, new Socket()),
    );
  }
}

interface Route {
  readonly way: Way;
  /** The target of the request line. */
  readonly path: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** How a request gets to its host: directly, through a tunnel, or handed to a proxy (RFC 9112 §3.2.2). */
function routeOf({ url, headers, addresses }: Outgoing, { env, pinned }: TransportOptions): Route {
  const { origin, host, pathname, search } = new URL(url);
  const end = endOf(url);
  const isPinned = pinned?.has(`${end.host}:${end.port}`) === true;
  const proxy = isPinned ? null : proxyFor(origin, env).proxy;
  const path = pathname + search;
  if (proxy === null || end.secure) return { way: { ...end, addresses, proxy }, path, fields: { host } };
  refuseSecrets(headers, origin, proxy);
  return {
    way: { ...endOf(proxy.origin), addresses: 'any', proxy: null },
    path: origin + path,
    fields: { host, ...proxyFields(proxy) },
  };
}

function refuseSecrets(headers: HeaderList, origin: string, { variable }: ProxyServer): void {
  const secret = secretFieldOf(headers);
  if (secret === null) return;
  throw new ProxyError(
    variable,
    `names a proxy that would read ${secret} of a request to ${origin}, plain http: no_proxy may name ${new URL(origin).host}`,
  );
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

/** Field lines of one name as one list, which is how node:http takes them. */
function combined(headers: HeaderList): Record<string, string[]> {
  const lists = new Map<string, string[]>();
  for (const [name, value] of headers) lists.set(name, [...(lists.get(name) ?? []), value]);
  return Object.fromEntries(lists);
}

/** Node's flat list of names and values, in wire order. */
function pairs(raw: readonly string[]): HeaderList {
  const list: (readonly [string, string])[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) list.push([(raw[i] ?? '').toLowerCase(), raw[i + 1] ?? '']);
  return list;
}
