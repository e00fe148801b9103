/**
 * How a host is reached: names, connections, certificates.
 *
 * Rules of this file: facts, no judgement. A certificate is looked at whatever it is, on a connection that carries no request.
 */

import { X509Certificate } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { isIP, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Addresses, NetworkPhase } from '@reg/core';
import {
  type Certs,
  CertsError,
  certsFor,
  type ProxyDecision,
  ProxyError,
  proxyFor,
} from '@reg/node/network';
import { Dialling, type DialSetting, dial, endOf, type Way } from '../../transport/dial.ts';
import { SendError } from '../../transport/send-error.ts';

/** Where and why a connection ended. */
export interface NetworkFault {
  readonly phase: NetworkPhase;
  readonly code: string;
  readonly message: string;
}

export type RouteFacts =
  | { readonly kind: 'direct'; readonly why: string }
  /** `--resolve` says where it is. */
  | { readonly kind: 'pinned'; readonly address: string }
  | { readonly kind: 'proxy'; readonly proxy: string; readonly variable: string }
  | { readonly kind: 'unusable'; readonly variable: string; readonly message: string };

export interface LookupFacts {
  readonly host: string;
  /** What the name stands for; `null` where nobody was asked. */
  readonly addresses: readonly string[] | null;
  readonly fault: NetworkFault | null;
}

export interface ConnectFacts {
  readonly ms: number;
  readonly fault: NetworkFault | null;
}

export interface CertificateFacts {
  readonly subject: string;
  readonly issuer: string;
  /** DNS names and addresses that it is for. */
  readonly names: readonly string[];
  /** Epoch milliseconds. */
  readonly from: number;
  readonly to: number;
  /** Who signed the last certificate that the server sent. */
  readonly top: string;
}

export interface TlsFacts {
  /** Why a client that verifies ends here; `null` for a session that is good. */
  readonly fault: NetworkFault | null;
  readonly certificate: CertificateFacts | null;
  /** The file that has the authority, where it is none of Node's own. */
  readonly authority: string | null;
  /** The first folder that is looked into for authorities of this host. */
  readonly folder: string | null;
  /** `--ca-file`, in place of all folders. */
  readonly caFile: string | null;
  readonly route: RouteFacts;
  /** Whether what answered with something else than TLS answers http; `null` where that was not asked. */
  readonly speaksHttp: boolean | null;
  /** Whether a session that failed had come to keys before. */
  readonly hadKeys: boolean;
}

export interface Network {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly dialling: DialSetting;
  /** `--ca-file` */
  readonly caFile: string | undefined;
  /** What a single look may take. */
  readonly patienceMs: number;
  readonly signal: AbortSignal;
}

/** No single look takes longer. */
export const PATIENCE_MS = 10_000;

export function routeTo(url: URL, { env, dialling }: Pick<Network, 'env' | 'dialling'>): RouteFacts {
  const { host, port } = endOf(url);
  const address = dialling.pinned.get(`${host}:${port}`);
  if (address !== undefined) return { kind: 'pinned', address };
  let decision: ProxyDecision;
  try {
    decision = proxyFor(url, env);
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    return { kind: 'unusable', variable: error.variable, message: error.message };
  }
  if (decision.proxy !== null) {
    const { origin, variable } = decision.proxy;
    return { kind: 'proxy', proxy: origin, variable };
  }
  switch (decision.reason) {
    case 'unset':
      return { kind: 'direct', why: 'no proxy is set' };
    case 'loopback':
      return { kind: 'direct', why: 'this machine, which no proxy is asked for' };
    case 'no-proxy':
      return { kind: 'direct', why: `no_proxy names it: ${decision.entry}` };
  }
}

/** What the resolver says about the host of `url`, or of the proxy on the way. */
export async function resolveHost(
  url: URL,
  route: RouteFacts,
  { patienceMs, signal }: Network,
): Promise<LookupFacts> {
  if (route.kind === 'pinned') return { host: url.hostname, addresses: null, fault: null };
  const { host } = endOf(route.kind === 'proxy' ? route.proxy : url);
  if (isIP(host) > 0) return { host, addresses: null, fault: null };
  try {
    const answers = await within(patienceMs, signal, lookup(host, { all: true }));
    return { host, addresses: answers.map(({ address }) => address), fault: null };
  } catch (error) {
    signal.throwIfAborted();
    return { host, addresses: null, fault: faultOf(error, 'lookup') };
  }
}

/** Opens a connection as a request would, but for TLS, and closes it. Over plain http a proxy is asked for no tunnel. */
export async function tryConnection(url: URL, network: Network): Promise<ConnectFacts> {
  const since = performance.now();
  const { proxy, ...way } = wayTo(url, network);
  const first = way.secure || proxy === null ? { ...way, proxy } : { ...endOf(proxy.origin), proxy: null };
  const { fault } = await connected(
    { ...first, secure: false, addresses: 'any' },
    network.dialling,
    network,
    () => null,
  );
  return { ms: Math.round(performance.now() - since), fault };
}

/** Opens a TLS session as a request would, and reads the certificate even where a request would stop. */
export async function tryTls(url: URL, addresses: Addresses, network: Network): Promise<TlsFacts> {
  const at = url.host;
  const { tls } = network.dialling;
  const certs = await certsOf(at, network);
  const folder = certs.folder;
  const route = routeTo(url, network);
  const common = { folder, caFile: network.caFile ?? null, route, speaksHttp: null, hadKeys: false };
  if (certs.fault !== null) return { fault: certs.fault, certificate: null, authority: null, ...common };
  const setting = { ...network.dialling, tls: { ...tls, unverified: new Set([...tls.unverified, at]) } };
  const way = { ...wayTo(url, network), addresses };
  const { fault, seen, hadKeys } = await connected(way, setting, network, sessionOf);
  if (seen === null) {
    const speaksHttp = fault !== null && isNoTls(fault) ? await answersHttp(url, addresses, network) : null;
    return { fault, certificate: null, authority: null, ...common, speaksHttp, hadKeys };
  }
  const { refused, chain } = seen;
  return {
    fault: refused,
    certificate: certificateOf(chain),
    authority: authorityOf(chain, certs.certs, network.caFile),
    ...common,
  };
}

/** A TLS hello was answered by something that is no TLS record. */
export function isNoTls({ phase, code, message }: NetworkFault): boolean {
  if (phase !== 'tls') return false;
  return (
    code === 'ERR_SSL_WRONG_VERSION_NUMBER' ||
    code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG' ||
    code === 'ERR_SSL_HTTP_REQUEST' ||
    message.includes('wrong version number') ||
    message.includes('packet length too long')
  );
}

/** Asks for `/v2/` over plain http, as nobody. */
async function answersHttp(url: URL, addresses: Addresses, network: Network): Promise<boolean> {
  const { seen } = await connected(
    { ...wayTo(url, network), addresses, secure: false },
    network.dialling,
    network,
    (socket) => {
      socket.write(`GET /v2/ HTTP/1.1\r\nHost: ${url.host}\r\nConnection: close\r\n\r\n`);
      return new Promise<boolean>((resolve) => {
        socket.once('data', (bytes: Buffer) => resolve(bytes.toString('latin1').startsWith('HTTP/')));
        socket.once('close', () => resolve(false));
      });
    },
  );
  return seen === true;
}

interface Session {
  readonly refused: NetworkFault | null;
  readonly chain: readonly X509Certificate[];
}

function sessionOf(socket: Socket): Session | null {
  if (!(socket instanceof TLSSocket)) return null;
  // Typed as an error, and a code in truth.
  const error: unknown = socket.authorizationError;
  const code = error instanceof Error && 'code' in error ? error.code : error;
  const isRefused = !socket.authorized && typeof code === 'string';
  const message = error instanceof Error ? error.message : String(error);
  return {
    refused: isRefused ? { phase: 'tls', code, message } : null,
    chain: chainOf(socket.getPeerX509Certificate()),
  };
}

function wayTo(url: URL, { env, dialling }: Network): Way {
  const end = endOf(url);
  const isPinned = dialling.pinned.has(`${end.host}:${end.port}`);
  return { ...end, addresses: 'any', proxy: isPinned ? null : proxyFor(url, env).proxy };
}

/** A connection that `look` looks at; then it is closed. */
async function connected<T>(
  way: Way,
  setting: DialSetting,
  { patienceMs, signal }: Network,
  look: (socket: Socket) => T | Promise<T>,
): Promise<{ readonly fault: NetworkFault | null; readonly seen: T | null; readonly hadKeys: boolean }> {
  const dialling = new Dialling();
  try {
    const socket = await within(patienceMs, signal, dial(way, setting, dialling));
    try {
      const seen = await within(patienceMs, signal, Promise.resolve(look(socket)));
      return { fault: null, seen, hadKeys: dialling.hasKeys };
    } finally {
      socket.destroy();
    }
  } catch (error) {
    dialling.end();
    signal.throwIfAborted();
    return { fault: faultOf(error, dialling.phase), seen: null, hadKeys: dialling.hasKeys };
  }
}

interface CertsOf {
  readonly certs: Certs | null;
  readonly folder: string | null;
  readonly fault: NetworkFault | null;
}

async function certsOf(at: string, { dialling }: Network): Promise<CertsOf> {
  const { env, home, dirs } = dialling.tls;
  const owner = { env, ...(home === undefined ? {} : { home }), ...(dirs === undefined ? {} : { dirs }) };
  try {
    const certs = await certsFor(at, owner);
    return { certs, folder: certs.trail[0]?.path ?? null, fault: null };
  } catch (error) {
    const folder = error instanceof CertsError ? error.path : null;
    return { certs: null, folder, fault: faultOf(error, 'tls') };
  }
}

/** The certificates that the server sent, its own first, each signed by the next. */
function chainOf(leaf: X509Certificate | undefined): readonly X509Certificate[] {
  const chain: X509Certificate[] = [];
  for (let one = leaf; one !== undefined && chain.length < 10; one = one.issuerCertificate) {
    if (chain.some(({ fingerprint256 }) => fingerprint256 === one?.fingerprint256)) break;
    chain.push(one);
  }
  return chain;
}

function certificateOf(chain: readonly X509Certificate[]): CertificateFacts | null {
  const [leaf] = chain;
  const top = chain.at(-1);
  if (leaf === undefined || top === undefined) return null;
  return {
    subject: nameIn(leaf.subject),
    issuer: nameIn(leaf.issuer),
    names: namesIn(leaf),
    from: Date.parse(leaf.validFrom),
    to: Date.parse(leaf.validTo),
    top: nameIn(top.issuer),
  };
}

/** Who is trusted for this chain, if it is somebody that this machine's user or administrator named. */
function authorityOf(
  chain: readonly X509Certificate[],
  certs: Certs | null,
  caFile: string | undefined,
): string | null {
  if (caFile !== undefined) return caFile;
  if (certs === null || certs.authorities.length === 0) return null;
  const top = chain.at(-1);
  if (top === undefined) return null;
  const signs = (pem: string): boolean => {
    const authority = new X509Certificate(pem);
    return authority.fingerprint256 === top.fingerprint256 || top.checkIssued(authority);
  };
  const files = certs.trail.filter(({ found }) => found === 'authority').map(({ path }) => path);
  const [file] = files;
  if (file === undefined || !certs.authorities.some(signs)) return null;
  return files.length === 1 ? file : files.join(', ');
}

/** `CN=registry.example, O=Example`: what X509Certificate writes in lines, in one, the common name first. */
function nameIn(lines: string): string {
  const parts = lines.split('\n');
  const common = parts.filter((part) => part.startsWith('CN='));
  return [...common, ...parts.filter((part) => !common.includes(part))].join(', ');
}

function namesIn({ subjectAltName = '' }: X509Certificate): readonly string[] {
  return subjectAltName
    .split(', ')
    .filter((name) => name.startsWith('DNS:') || name.startsWith('IP Address:'))
    .map((name) => name.slice(name.indexOf(':') + 1));
}

function faultOf(error: unknown, phase: NetworkPhase): NetworkFault {
  const { phase: at, code, message } = SendError.from(error, phase);
  return { phase: at, code, message };
}

/** `work`, or a time-out; what becomes of it then is nobody's business. */
async function within<T>(ms: number, signal: AbortSignal, work: Promise<T>): Promise<T> {
  const patience = AbortSignal.any([signal, AbortSignal.timeout(ms)]);
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new SendError('unknown', 'ETIMEDOUT', `no answer for ${ms / 1_000} s`));
    patience.addEventListener('abort', late, { once: true });
    work.then(resolve, reject).finally(() => patience.removeEventListener('abort', late));
  });
}
