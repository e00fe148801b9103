/**
 * The transport for registries: an undici dispatcher that knows how each host is to be reached.
 *
 * Rules of this file:
 * 1. TLS is a host's own: its `certs.d` folder is read when a connection to it is made, so that a renewed certificate counts
 *    at once, and nothing in it is used for another host or port.
 * 2. A connection that was made without a look at the address is never used for a request that wants one, since DNS may have
 *    said something else then: there are two sets of connections.
 * 3. A registry's secret never reaches a proxy. https goes through a tunnel (RFC 9110 §9.3.6), which shows a proxy host and
 *    port. Plain http would be handed to it whole, so what may hold a secret is not sent at all.
 *
 * Theory: undici's `Agent` keeps a pool for each origin and asks a connector for its sockets. Three agents differ in their
 * connector alone: to `any` address, to `unblocked` ones, and through a tunnel. A fourth has the connections to proxies, and
 * sends what is handed to them.
 */

import { isIP, isIPv6, type LookupFunction, Socket } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Addresses } from '@reg/core';
import { Agent, buildConnector, Dispatcher, errors } from 'undici';
import { headersOf, withPlainHeaders } from './dispatched.ts';
import { asError } from './leg.ts';
import { checkedLookup, refuseAddress } from './network/address.ts';
import { type CertsOptions, certFolders, certsFor } from './network/certs.ts';
import { type Environment, ProxyError, type ProxyServer, proxyFor, secretFieldOf } from './network/proxy.ts';

export interface RegistryAgentOptions {
  /** Where proxies, and the folders of certificates, are looked for, as it is now. Default: the process's. */
  readonly env?: Environment;
  /** The home directory that is looked into for `certs.d`. Default: the user's. */
  readonly home?: string;
  /** Folders that have a folder for each host, in place of the usual ones. */
  readonly certs?: readonly string[];
  /** `host` or `host:port` whose certificate is not verified: whoever is on the way can read and change everything. */
  readonly unverifiedHosts?: readonly string[];
  /** What resolves names. Default: the system's. */
  readonly lookup?: LookupFunction;
}

/**
 * A dispatcher that reaches each host as Docker and Podman would: with the authorities and the client certificate of its
 * `certs.d` folder, and through the proxy that `https_proxy`, `http_proxy` and `no_proxy` name. Where the core asks for it, it
 * looks at the addresses of a host before it dials one.
 *
 * Compose `dns` not around it: a host would be an address then, and have the certificates of one.
 *
 * @throws TypeError when one of `unverifiedHosts` is no host
 */
export function registryAgent(options: RegistryAgentOptions = {}): Dispatcher {
  return new RegistryAgent(options);
}

let shared: Dispatcher | null = null;

/** The one that is used where none is given, with the connections of all who give none. */
export function defaultAgent(): Dispatcher {
  shared ??= registryAgent();
  return shared;
}

/** What the core asks of the connection for a request, and what became of it. It travels in the request's options. */
export interface Dialling {
  readonly addresses: Addresses;
  /** Set by an agent that looks at the address. */
  checked: boolean;
}

/** A key for `Dialling` in dispatch options, which interceptors copy along. */
export const dialling: unique symbol = Symbol('reg.dialling');

export interface DiallingOptions extends Dispatcher.DispatchOptions {
  readonly [dialling]?: Dialling;
}

type Connector = ReturnType<typeof buildConnector>;
/** What undici asks a connector for. */
type Wanted = buildConnector.Options & { readonly allowH2?: boolean };

/** What a host has of its own. */
interface OwnTls {
  readonly secureContext?: SecureContext;
  readonly rejectUnauthorized?: boolean;
}

/** Milliseconds until a proxy has made a tunnel, as long as undici waits for a connection. */
const tunnelMs = 10_000;

class RegistryAgent extends Dispatcher {
  readonly #env: Environment;
  readonly #places: CertsOptions;
  readonly #unverified: ReadonlySet<string>;
  readonly #lookup: { readonly lookup?: LookupFunction };
  readonly #direct: Readonly<Record<Addresses, Agent>>;
  readonly #tunnelled: Agent;
  readonly #proxies: Agent;
  /** By what they are for; those of a host with what its folder held. */
  readonly #connectors = new Map<string, { readonly holds: string; readonly connector: Connector }>();

  constructor(options: RegistryAgentOptions) {
    super();
    const { env, home, certs, lookup, unverifiedHosts = [] } = options;
    this.#env = { ...(env ?? process.env) };
    this.#places = {
      env: this.#env,
      ...(home === undefined ? {} : { home }),
      ...(certs === undefined ? {} : { dirs: certs }),
    };
    this.#unverified = new Set(unverifiedHosts.map((host) => new URL(`https://${host}`).host));
    this.#lookup = lookup === undefined ? {} : { lookup };
    const to = (addresses: Addresses): Agent =>
      new Agent({ connect: connecting((wanted) => this.#connect(wanted, addresses)) });
    this.#direct = { any: to('any'), unblocked: to('unblocked') };
    this.#tunnelled = new Agent({ connect: connecting((wanted) => this.#connectThrough(wanted)) });
    // Neither a tunnel nor a request that is handed over is for a proxy's HTTP/2, and the name that undici takes from their
    // `Host` is not the proxy's.
    const toProxy = connecting(({ servername: _, ...wanted }) =>
      this.#connect({ ...wanted, allowH2: false }, 'any'),
    );
    this.#proxies = new Agent({ connect: toProxy, allowH2: false });
  }

  override dispatch(options: DiallingOptions, handler: Dispatcher.DispatchHandler): boolean {
    const origin = String(options.origin);
    // Without a proxy for it, and if it is none: the agent says what is wrong.
    const { proxy } = URL.canParse(origin) ? proxyFor(origin, this.#env) : { proxy: null };
    if (proxy === null) {
      const wanted = options[dialling];
      if (wanted !== undefined) wanted.checked = true;
      return this.#direct[wanted?.addresses ?? 'any'].dispatch(options, handler);
    }
    if (new URL(origin).protocol === 'http:') {
      return this.#proxies.dispatch(handedOver(options, proxy), handler);
    }
    return this.#tunnelled.dispatch(options, handler);
  }

  override close(): Promise<void>;
  override close(callback: () => void): void;
  override close(callback?: () => void): Promise<void> | void {
    // A tunnel that is being made for a request needs its proxy.
    const closed = Promise.all(this.#users().map((agent) => agent.close())).then(() => this.#proxies.close());
    return callback === undefined ? closed : void closed.then(callback);
  }

  override destroy(): Promise<void>;
  override destroy(error: Error | null): Promise<void>;
  override destroy(callback: () => void): void;
  override destroy(error: Error | null, callback: () => void): void;
  override destroy(error?: Error | null | (() => void), callback?: () => void): Promise<void> | void {
    const told = typeof error === 'function' ? error : callback;
    const reason = typeof error === 'function' || error === undefined ? null : error;
    const all = [...this.#users(), this.#proxies].map((agent) => agent.destroy(reason));
    const destroyed = Promise.all(all).then(() => {});
    return told === undefined ? destroyed : void destroyed.then(told);
  }

  #users(): readonly Agent[] {
    return [this.#direct.any, this.#direct.unblocked, this.#tunnelled];
  }

  async #connect(wanted: Wanted, addresses: Addresses): Promise<Socket> {
    const { hostname, protocol } = wanted;
    // An address is dialled without asking the resolver.
    const refused =
      addresses === 'unblocked' && isIP(hostname) > 0 ? refuseAddress(hostname, hostname) : null;
    if (refused !== null) throw refused;
    return protocol === 'https:' ? this.#secure(wanted, addresses) : dial(this.#plain(addresses), wanted);
  }

  /** A TLS session with the host through a tunnel to it. What a proxy dials is its own to say. */
  async #connectThrough(wanted: Wanted): Promise<Socket> {
    const { proxy } = proxyFor(originOf(wanted), this.#env);
    if (proxy === null) throw new TunnelError('no proxy for this host any more');
    return this.#secure({ ...wanted, httpSocket: await this.#tunnel(proxy, wanted) }, 'any');
  }

  async #tunnel(proxy: ProxyServer, { hostname, port }: Wanted): Promise<Socket> {
    const target = `${isIPv6(hostname) ? `[${hostname}]` : hostname}:${port || 443}`;
    const request = {
      origin: proxy.origin,
      path: target,
      headers: { host: target, ...proxyFields(proxy) },
      ...sameName,
      signal: AbortSignal.timeout(tunnelMs),
    };
    const answer = await this.#proxies.connect(request).catch((cause: unknown) => {
      const { message } = asError(cause);
      throw new TunnelError(`no tunnel through ${proxy.origin} (${proxy.variable}): ${message}`, { cause });
    });
    if (answer.statusCode === 200 && answer.socket instanceof Socket) return answer.socket;
    answer.socket.on('error', () => {}).destroy();
    throw new TunnelError(
      `no tunnel through ${proxy.origin} (${proxy.variable}): it answered ${answer.statusCode} to CONNECT ${target}`,
    );
  }

  async #secure(wanted: Wanted, addresses: Addresses): Promise<Socket> {
    const host = new URL(originOf(wanted)).host;
    const certs = await certsFor(host, this.#places);
    const rejectUnauthorized = !this.#unverified.has(host);
    const isPlain = rejectUnauthorized && certs.certificate === null && certs.authorities.length === 0;
    // A certificate has its key in it, so to say: another key would be another certificate.
    const connector = isPlain
      ? this.#plain(addresses, wanted.allowH2)
      : this.#kept(
          `${host} ${addresses} ${wanted.allowH2}`,
          [certs.certificate, ...certs.authorities].join('\n'),
          () => {
            const secureContext = createSecureContext(certs.tlsOptions());
            return this.#build(addresses, wanted.allowH2, { secureContext, rejectUnauthorized });
          },
        );
    try {
      return await dial(connector, wanted);
    } catch (error) {
      const folder =
        certs.trail.find(({ found }) => found === 'folder')?.path ?? certFolders(host, this.#places)[0];
      throw folder === undefined ? error : withPlaceForIssuer(error, folder);
    }
  }

  /** The connector of hosts that have nothing of their own. */
  #plain(addresses: Addresses, allowH2?: boolean): Connector {
    return this.#kept(`${addresses} ${allowH2}`, '', () => this.#build(addresses, allowH2, {}));
  }

  #kept(name: string, holds: string, build: () => Connector): Connector {
    const kept = this.#connectors.get(name);
    if (kept?.holds === holds) return kept.connector;
    const connector = build();
    this.#connectors.set(name, { holds, connector });
    return connector;
  }

  #build(addresses: Addresses, allowH2: boolean | undefined, tls: OwnTls): Connector {
    const resolver = addresses === 'any' ? this.#lookup : { lookup: checkedLookup(this.#lookup.lookup) };
    return buildConnector({ ...tls, ...resolver, ...(allowH2 === undefined ? {} : { allowH2 }) });
  }
}

/** A tunnel that was not made. The code is the one that Node's own `http` gives. */
class TunnelError extends Error {
  override readonly name = 'TunnelError';
  readonly code = 'ERR_PROXY_TUNNEL';
  /** Where a request ended, for the core. */
  readonly phase = 'connect';
}

/** A connector as undici calls it. */
function connecting(connect: (wanted: Wanted) => Promise<Socket>): Connector {
  return (wanted, callback) => {
    connect(wanted).then(
      (socket) => callback(null, socket),
      (error: unknown) => callback(asError(error), null),
    );
  };
}

function dial(connector: Connector, wanted: Wanted): Promise<Socket> {
  return new Promise((resolve, reject) => {
    connector(wanted, (error, socket) => (error === null ? resolve(socket) : reject(error)));
  });
}

function originOf({ protocol, hostname, port }: Wanted): string {
  const { origin } = new URL(`${protocol}//${isIPv6(hostname) ? `[${hostname}]` : hostname}:${port}`);
  return origin;
}

/** The request as a proxy takes it (RFC 9112 §3.2.2), which reads all of it. */
function handedOver(options: Dispatcher.DispatchOptions, proxy: ProxyServer): Dispatcher.DispatchOptions {
  const plain = withPlainHeaders(options);
  const { origin, host } = new URL(String(options.origin));
  // Behind an origin, `.evil.test/` would be another host.
  if (!plain.path?.startsWith('/')) throw new errors.InvalidArgumentError('path must start with a slash');
  const fields = headersOf(plain.headers);
  if (fields === null) throw new errors.InvalidArgumentError('invalid headers');
  const secret = secretFieldOf(fields);
  if (secret !== null) {
    throw new ProxyError(
      proxy.variable,
      `names a proxy that would read ${secret} of a request to ${origin}, plain http: no_proxy may name ${host}`,
    );
  }
  const headers = fields.flat();
  if (!fields.some(([name]) => name === 'host')) headers.push('host', host);
  headers.push(...Object.entries(proxyFields(proxy)).flat());
  return { ...plain, origin: proxy.origin, path: origin + plain.path, headers, ...sameName };
}

function proxyFields(proxy: ProxyServer): Readonly<Record<string, string>> {
  const authorization = proxy.authorization();
  return authorization === null ? {} : { 'proxy-authorization': authorization };
}

/** undici ends a connection when the name for its certificate changes, and would take it from each request's `Host`. */
const sameName = { servername: 'proxy' };

/** What Node says of a certificate whose issuer it does not know. */
const unknownIssuer: readonly unknown[] = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
];

/** The error, with where an authority would be looked for. */
function withPlaceForIssuer(error: unknown, folder: string): unknown {
  if (!(error instanceof Error) || !('code' in error) || !unknownIssuer.includes(error.code)) return error;
  const message = `${error.message}; if its issuer is to be trusted, put the issuer's certificate into ${folder}/ca.crt`;
  return Object.assign(new Error(message, { cause: error }), { code: error.code });
}
