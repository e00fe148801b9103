/**
 * Connections: DNS, TCP, the tunnel of a proxy, TLS.
 *
 * Rules of this file: it says where it is and how long each part took, so that whoever waits can tell what for. An address that
 * was to be looked at is looked at before it is dialled. A host that has an address on the command line is dialled there and
 * nowhere else, its name and its certificate stay; no proxy is asked to go there. Through a tunnel a proxy sees a host and a
 * port. The parts of TLS are loaded when they are needed: they are a third of what a request over plain http costs.
 */

import http, { type IncomingMessage } from 'node:http';
import { connect, isIP, isIPv6, type LookupFunction, Socket } from 'node:net';
import type { Addresses, NetworkPhase } from '@reg/core';
import { checkedLookup, type ProxyServer, refuseAddress } from '@reg/node/network';
import { SendError } from './send-error.ts';
import type { TlsSetting } from './tls.ts';

/** Where a connection leads. */
export interface Way {
  readonly secure: boolean;
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  readonly addresses: Addresses;
  /** What makes a tunnel there. */
  readonly proxy: ProxyServer | null;
}

/** How connections are made. */
export interface DialSetting {
  readonly tls: TlsSetting;
  /** Addresses by `host:port`, in place of what is looked up. */
  readonly pinned: ReadonlyMap<string, string>;
  /** What resolves names. Default: the system's. */
  readonly lookup?: LookupFunction | undefined;
}

/** One connection while it is made. Durations are milliseconds, `null` for what was not done. */
export class Dialling {
  phase: NetworkPhase = 'connect';
  lookupMs: number | null = null;
  connectMs: number | null = null;
  tlsMs: number | null = null;
  /** Whether both ends of a TLS session have come to keys. What is refused then is this client, and not how it speaks. */
  hasKeys = false;
  #socket: Socket | null = null;
  #ended = false;

  /** Gives it up. */
  end(): void {
    this.#ended = true;
    this.#socket?.destroy();
  }

  /** Resolves on the `event` that `socket` is waited for. Rejects when it fails or is given up. */
  until(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
    this.#socket = socket;
    if (this.#ended) socket.destroy();
    // Until somebody listens to it an error would end the process.
    socket.on('error', () => {});
    return new Promise((resolve, reject) => {
      socket.once(event, resolve);
      socket.once('error', reject);
      socket.once('close', () =>
        reject(new SendError(this.phase, 'ECONNRESET', 'the connection was closed')),
      );
    });
  }
}

/** A connection that can be spoken on. Rejects with `SendError`. */
export async function dial(way: Way, setting: DialSetting, dialling: Dialling): Promise<Socket> {
  const { secure, host, port, proxy } = way;
  try {
    const socket =
      proxy === null
        ? await reach(host, port, way.addresses, setting, dialling)
        : await tunnel(host, port, proxy, setting, dialling);
    return secure ? await secured(socket, host, port, setting, dialling) : socket;
  } catch (error) {
    throw SendError.from(error, dialling.phase);
  }
}

/** `host:port` as `URL.host` and folders of certificates have it: without the port of https. */
export function hostAndPort(host: string, port: number): string {
  const name = isIPv6(host) ? `[${host}]` : host;
  return port === 443 ? name : `${name}:${port}`;
}

async function reach(
  host: string,
  port: number,
  addresses: Addresses,
  { pinned, lookup }: DialSetting,
  dialling: Dialling,
): Promise<Socket> {
  const to = pinned.get(`${host}:${port}`) ?? host;
  const isAddress = isIP(to) > 0;
  // An address is dialled without asking the resolver.
  const refused = isAddress && addresses === 'unblocked' ? refuseAddress(host, to) : null;
  if (refused !== null) throw refused;
  dialling.phase = isAddress ? 'connect' : 'lookup';
  const resolver = addresses === 'unblocked' ? checkedLookup(lookup) : lookup;
  let since = performance.now();
  const socket = connect({
    host: to,
    port,
    noDelay: true,
    keepAlive: true,
    ...(resolver === undefined ? {} : { lookup: resolver }),
  });
  socket.once('lookup', (error) => {
    if (error || isAddress) return;
    dialling.phase = 'connect';
    dialling.lookupMs = performance.now() - since;
    since = performance.now();
  });
  await dialling.until(socket, 'connect');
  dialling.connectMs = performance.now() - since;
  return socket;
}

async function secured(
  socket: Socket,
  host: string,
  port: number,
  { tls }: DialSetting,
  dialling: Dialling,
): Promise<Socket> {
  dialling.phase = 'tls';
  const since = performance.now();
  const { connectTls } = await import('./tls.ts');
  const session = await connectTls(socket, host, hostAndPort(host, port), tls);
  dialling.hasKeys = false;
  session.once('keylog', () => {
    dialling.hasKeys = true;
  });
  await dialling.until(session, 'secureConnect');
  dialling.tlsMs = performance.now() - since;
  return session;
}

/** RFC 9110 §9.3.6. Its making counts as connecting. */
async function tunnel(
  host: string,
  port: number,
  proxy: ProxyServer,
  setting: DialSetting,
  dialling: Dialling,
): Promise<Socket> {
  const since = performance.now();
  const socket = await reachProxy(proxy, setting, dialling);
  dialling.phase = 'connect';
  const target = `${isIPv6(host) ? `[${host}]` : host}:${port}`;
  const { status, tunnel } = await askForTunnel(socket, target, proxy, dialling);
  if (status !== 200) {
    tunnel.destroy();
    throw tunnelFault(proxy, `it answered ${status} to CONNECT ${target}`);
  }
  dialling.connectMs = performance.now() - since - (dialling.lookupMs ?? 0);
  dialling.tlsMs = null;
  return tunnel;
}

async function reachProxy(proxy: ProxyServer, setting: DialSetting, dialling: Dialling): Promise<Socket> {
  const { secure, host, port } = endOf(proxy.origin);
  try {
    const socket = await reach(host, port, 'any', setting, dialling);
    return secure ? await secured(socket, host, port, setting, dialling) : socket;
  } catch (error) {
    const { phase, code, message } = SendError.from(error, dialling.phase);
    throw new SendError(phase, code, `the proxy ${proxy.origin} (${proxy.variable}): ${message}`, error);
  }
}

interface Tunnel {
  readonly status: number;
  readonly tunnel: Socket;
}

function askForTunnel(
  socket: Socket,
  target: string,
  proxy: ProxyServer,
  dialling: Dialling,
): Promise<Tunnel> {
  return new Promise((resolve, reject) => {
    const request = http.request({
      method: 'CONNECT',
      path: target,
      headers: { host: target, ...proxyFields(proxy) },
      createConnection: () => socket,
    });
    request.once('connect', ({ statusCode = 0 }: IncomingMessage, tunnel, head) => {
      if (head.length > 0) tunnel.unshift(head);
      if (tunnel instanceof Socket) resolve({ status: statusCode, tunnel });
    });
    request.once('error', (error) =>
      reject(tunnelFault(proxy, SendError.from(error, dialling.phase).message)),
    );
    request.end();
  });
}

function tunnelFault({ origin, variable }: ProxyServer, fault: string): SendError {
  // The code is the one that Node's own `http` gives.
  return new SendError(
    'connect',
    'ERR_PROXY_TUNNEL',
    `no tunnel through the proxy ${origin} (${variable}): ${fault}`,
  );
}

/** What a proxy wants to see, and nobody else. */
export function proxyFields(proxy: ProxyServer): Readonly<Record<string, string>> {
  const authorization = proxy.authorization();
  return authorization === null ? {} : { 'proxy-authorization': authorization };
}

/** The end of a connection to an origin. */
export function endOf(url: string | URL): {
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
} {
  const { protocol, hostname, port } = new URL(url);
  const secure = protocol === 'https:';
  return {
    secure,
    // `new URL` keeps an IPv6 address in its brackets; sockets want it without.
    host: hostname.startsWith('[') ? hostname.slice(1, -1) : hostname,
    port: port === '' ? (secure ? 443 : 80) : Number(port),
  };
}
