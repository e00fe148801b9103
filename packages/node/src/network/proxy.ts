/**
 * Which proxy the environment names for an origin.
 *
 * Rules of this file: a decision is data with its reason, and the credentials of a proxy are no part of what prints. As curl, Go
 * and so Docker have it: `https_proxy` for https, `http_proxy` for http, the spelling in lower case first, and this machine is
 * never reached through a proxy. undici's `EnvHttpProxyAgent` differs in two things: it takes `http_proxy` for https where there
 * is no other, and proxies loopback. `NO_PROXY` is read as it reads it, and Go's networks (`10.0.0.0/8`) as well.
 */

import { BlockList, isIP, isIPv6 } from 'node:net';
import { domainToASCII } from 'node:url';
import { classifyAddress, type HeaderList } from '@reg/core';

/** Where variables are looked for. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A variable that names no proxy. Its message does not show the value, which may hold a password. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
  readonly code = 'ERR_REG_PROXY';
  /** Where a request ended, for the core. */
  readonly phase = 'connect';
  readonly variable: string;

  constructor(variable: string, fault: string) {
    super(`${variable} ${fault}`);
    this.variable = variable;
  }
}

/** A proxy, and the variable that names it. Its credentials are told by `authorization` alone. */
export class ProxyServer {
  /** Its origin: `http://proxy.corp:3128`. */
  readonly origin: string;
  readonly variable: string;
  readonly #authorization: string | null;

  constructor({ origin, username, password }: URL, variable: string) {
    this.origin = origin;
    this.variable = variable;
    const login = `${decoded(username)}:${decoded(password)}`;
    this.#authorization = login === ':' ? null : `Basic ${Buffer.from(login).toString('base64')}`;
  }

  /** The value of `Proxy-Authorization`, or `null` when its URL holds no credentials. */
  authorization(): string | null {
    return this.#authorization;
  }
}

export type ProxyDecision =
  | { readonly proxy: ProxyServer; readonly reason: 'variable' }
  /** `unset`: no variable for this scheme, or an empty one. `loopback`: this machine. */
  | { readonly proxy: null; readonly reason: 'unset' | 'loopback' }
  /** An entry of `NO_PROXY` names the host. */
  | { readonly proxy: null; readonly reason: 'no-proxy'; readonly entry: string };

/**
 * How a connection to `origin` is made: through which proxy, or directly, and why.
 *
 * @param origin of an http or https URL; more of a URL counts for nothing
 * @throws ProxyError when the variable that decides holds no URL of an http or https proxy
 */
export function proxyFor(origin: string | URL, env: Environment = process.env): ProxyDecision {
  const url = new URL(String(origin));
  const named = variable(env, url.protocol === 'https:' ? 'https_proxy' : 'http_proxy');
  if (named === null) return { proxy: null, reason: 'unset' };
  const host = hostOf(url);
  if (isThisMachine(host)) return { proxy: null, reason: 'loopback' };
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  const exceptions = variable(env, 'no_proxy')?.value ?? '';
  const entry = exceptions.split(/[\s,]+/).find((text) => text !== '' && excepts(text, host, port));
  if (entry !== undefined) return { proxy: null, reason: 'no-proxy', entry };
  return { proxy: proxyOf(named), reason: 'variable' };
}

/** A variable in lower or upper case. An empty one counts: it switches the other spelling off. */
function variable(env: Environment, name: string): { readonly name: string; readonly value: string } | null {
  for (const spelling of [name, name.toUpperCase()]) {
    // Behind CGI `HTTP_PROXY` is the client's header `Proxy` (CVE-2016-5385).
    if (spelling === 'HTTP_PROXY' && env['REQUEST_METHOD'] !== undefined) continue;
    const value = env[spelling];
    if (value !== undefined) return value.trim() === '' ? null : { name: spelling, value: value.trim() };
  }
  return null;
}

function proxyOf({ name, value }: { readonly name: string; readonly value: string }): ProxyServer {
  const text = value.includes('://') ? value : `http://${value}`;
  if (!URL.canParse(text)) throw new ProxyError(name, 'holds no URL of a proxy');
  const url = new URL(text);
  if (url.protocol === 'http:' || url.protocol === 'https:') return new ProxyServer(url, name);
  throw new ProxyError(name, 'names a proxy that is neither http nor https');
}

/**
 * The first of `fields` that may hold a secret, or `null`. A proxy for plain http reads all of a request, so that one with such a
 * field is not for it. An allow-list, since any other may be one (CVE-2026-40895); a form may be a login.
 *
 * @param fields names in lower case
 */
export function secretFieldOf(fields: HeaderList): string | null {
  return fields.find(([name, value]) => !isOpen(name, value))?.[0] ?? null;
}

function isOpen(name: string, value: string): boolean {
  if (name === 'content-type') return !value.toLowerCase().includes('form');
  return name.startsWith('if-') || openFields.includes(name);
}

const openFields: readonly string[] = [
  'accept',
  'accept-encoding',
  'accept-language',
  'content-encoding',
  'content-length',
  'content-range',
  'host',
  'range',
  'transfer-encoding',
  'user-agent',
];

/** The host without brackets and without the dot that makes a name absolute. */
function hostOf({ hostname }: URL): string {
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  return bare.length > 1 && bare.endsWith('.') ? bare.slice(0, -1) : bare;
}

function isThisMachine(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || classifyAddress(host) === 'loopback';
}

/** Whether an entry of `NO_PROXY` (`*`, a name, an address or a network, each with a port or without) means this host. */
function excepts(entry: string, host: string, port: number): boolean {
  const { name, only } = split(entry);
  if (only !== null && only !== port) return false;
  if (name === '*') return true;
  const family = isIP(host);
  if (family !== 0) return containsAddress(name, host);
  const isBelowOnly = name.startsWith('*.');
  const domain = domainOf(isBelowOnly ? name.slice(2) : name);
  return domain !== '' && ((!isBelowOnly && host === domain) || host.endsWith(`.${domain}`));
}

/** An entry and its port. An IPv6 address has a port only behind brackets. */
function split(entry: string): { readonly name: string; readonly only: number | null } {
  const colon = entry.lastIndexOf(':');
  const port = entry.slice(colon + 1);
  const hasPort = colon > 0 && /^\d{1,5}$/.test(port) && (!isIPv6(entry) || entry[colon - 1] === ']');
  const name = hasPort ? entry.slice(0, colon) : entry;
  const bare = name.startsWith('[') && name.endsWith(']') ? name.slice(1, -1) : name;
  return { name: bare, only: hasPort ? Number(port) : null };
}

/** A domain as URLs spell it, without the dots around it. */
function domainOf(name: string): string {
  const from = name.startsWith('.') ? 1 : 0;
  const domain = name.slice(from, name.endsWith('.') ? -1 : undefined);
  return domainToASCII(domain) || domain.toLowerCase();
}

function containsAddress(text: string, address: string): boolean {
  const [network = '', bits, more] = text.split('/');
  const family = isIP(network);
  if (family === 0 || more !== undefined) return false;
  const type = family === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  if (bits === undefined) list.addAddress(network, type);
  else if (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)) {
    list.addSubnet(network, Number(bits), type);
  }
  return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/** A user name or password as it was before it was put into a URL; one that was not encoded is taken as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
