/**
 * The core's driver on this command's transport, as the options of the command line have it.
 *
 * Rules of this file: it wires; whether and where a secret goes is the core's to judge, by a policy made of what the user
 * said. Whoever opens a client closes it: a kept connection would keep the process.
 */

import { defaultPolicy, type HeaderList, type PartialPolicy, type RealmPair, toVisible } from '@reg/core';
import {
  type Authorized,
  anonymousKeychain,
  createAuthorizer,
  type Delivered,
  type Keychain,
  type TokenStore,
} from '@reg/core/driver';
import type { ClaimsReader } from '@reg/core/transcript';
import { loadTrust, TrustError } from '@reg/node/network';
import { Complaint } from '../report/complaint.ts';
import { exitCode } from '../report/exit-code.ts';
import { quote } from '../report/shell.ts';
import type { Surroundings } from '../surroundings.ts';
import { verboseFor } from '../terminal/verbose.ts';
import type { Body } from '../transport/body.ts';
import { type Asking, openTransport, type Transport, type TransportOptions } from '../transport/send.ts';
import type { TlsSetting } from '../transport/tls.ts';
import { version } from '../version.ts';
import { type Connection, readConnection } from './connection.ts';
import type { GivenCredential } from './given.ts';
import type { ConnectionOptions, NetworkOptions } from './options.ts';
import { ownerOf } from './owner.ts';

/** One request of the command's. */
export interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly headers?: HeaderList;
  /** Sent as it is; it can be sent again. */
  readonly body?: Uint8Array;
  /** Whether the answer's bytes are wanted as they are stored, as where they have a digest. */
  readonly stored?: boolean;
}

export interface Client {
  /** The registry's own answer to a GET of `url`. Rejects as `Authorizer.request` does. */
  get(url: URL): Promise<Delivered<Body>>;
  /** The registry's own answer. Rejects as `Authorizer.request` does. */
  request(asked: Asked): Promise<Delivered<Body>>;
  /** A token alone. Rejects as `Authorizer.authorize` does. */
  authorize(about: {
    readonly url: URL;
    readonly method?: string;
    readonly scopes?: string;
  }): Promise<Authorized>;
  close(): void;
}

export interface ClientSetting {
  /** The registry that the options are about. */
  readonly registry: URL;
  readonly options: NetworkOptions;
  readonly given: GivenCredential | null;
  /** stdout is left to the command. */
  readonly surroundings: Pick<Surroundings, 'stderr' | 'env' | 'signal'>;
  /** Record the beginning of each body in the transcript. */
  readonly bodies: boolean;
  /** What of each token goes into the transcript. Default: nothing. */
  readonly claims?: ClaimsReader;
  /** Where credentials come from, in place of what `options` and `given` say. */
  readonly keychain?: Keychain;
  /** Whether tokens are taken from, and kept in, the store. Default: true, but with `--no-cache`. */
  readonly store?: boolean;
}

/** What images are described by; a registry that is not told sends old clients what they knew. */
export const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

export async function openClient(setting: ClientSetting): Promise<Client> {
  const { registry, options, surroundings, bodies, claims, store = true } = setting;
  const { env } = surroundings;
  const connection = await readConnection(options);
  const policy = policyFor(registry, options, connection, await trusted(env));
  const keychain = setting.keychain ?? (await keychainFor(setting));
  const transport = openTransport(transportFor(registry, options, connection, env));
  const onStep = verboseFor(surroundings, options);
  const authorizer = createAuthorizer({
    send: transport.send,
    keychain,
    policy,
    transcript: { bodies, ...(claims && { claims }) },
    ...(store && options.cache !== false ? { store: await storeFor(env) } : {}),
    ...(onStep && { onStep }),
  });
  const { signal } = surroundings;
  const request = ({ method, url, headers = [], body, stored = false }: Asked): Promise<Delivered<Body>> => {
    const plain = { method, url: url.href, headers, stored };
    const asked: Asking =
      body === undefined ? { ...plain, body: 'none' } : { ...plain, body: 'replayable', bytes: body };
    return authorizer.request(asked, { signal });
  };
  return {
    request,
    get(url) {
      const headers = url.pathname.includes('/manifests/') ? ([['accept', manifestTypes]] as const) : [];
      return request({ method: 'GET', url, headers });
    },
    authorize: ({ url, ...about }) => authorizer.authorize({ ...about, url, signal }),
    close() {
      authorizer.close();
      transport.close();
    },
  };
}

/** The transport alone, for requests that are no handshake. Rejects with a `Complaint` for what the options say. */
export async function transportAt(
  registry: URL,
  options: ConnectionOptions,
  { env }: Pick<Surroundings, 'env'>,
): Promise<Transport> {
  return openTransport(transportFor(registry, options, await readConnection(options), env));
}

async function keychainFor({ registry, options, given, surroundings }: ClientSetting): Promise<Keychain> {
  if (options.anonymous === true) return anonymousKeychain;
  if (given !== null) return keychainOf(given, registry.origin);
  const { keychainAt } = await import('./keychain.ts');
  return keychainAt(options, surroundings);
}

/** Knows one registry: the one that was named in the same command line. */
function keychainOf({ username, password, source }: GivenCredential, registry: string): Keychain {
  const found = { credential: { type: 'password', username, password }, source } as const;
  return { find: async (origin) => (origin === registry ? found : null) };
}

/** What names its entries is heavy to load, and not needed without it. */
async function storeFor(env: Surroundings['env']): Promise<TokenStore> {
  const { storeAt } = await import('./store.ts');
  return storeAt(env);
}

/** The pairs that `reg trust` wrote down. */
async function trusted(env: Surroundings['env']): Promise<readonly RealmPair[]> {
  try {
    return await loadTrust(ownerOf(env));
  } catch (error) {
    if (!(error instanceof TrustError)) throw error;
    throw new Complaint(exitCode.credentials, error.message, {
      hint: `reg trust list   # once ${quote(toVisible(error.path))} is mended`,
    });
  }
}

/** What the user said about where a secret may go, how long it may take and how often it is tried. */
export function policyFor(
  { origin, host }: URL,
  { plainHttp = false }: ConnectionOptions,
  { trustRealm, attempts, timeoutMs }: Connection,
  pairs: readonly RealmPair[],
): PartialPolicy {
  const plain = trustRealm.filter((realm) => realm.startsWith('http:')).map((realm) => new URL(realm).host);
  return {
    realms: { pairs: [...pairs, ...trustRealm.map((realm) => ({ registry: origin, realm }))] },
    insecureHosts: plainHttp ? [host, ...plain] : [],
    ...(attempts === undefined ? {} : { retry: { attempts } }),
    // Whoever waits longer for an answer waits longer for the whole.
    ...(timeoutMs === undefined ? {} : { deadlineMs: Math.max(timeoutMs, defaultPolicy.deadlineMs) }),
  };
}

/**
 * TLS with hosts. What is not verified, and who sees the client certificate, is no more than was named: the registry, and
 * unverified also the token servers of `--trust-realm`.
 */
export function tlsFor(
  { host }: URL,
  { insecure = false }: ConnectionOptions,
  { ca, client, trustRealm }: Connection,
  env: Surroundings['env'],
): TlsSetting {
  const named = [host, ...trustRealm.map((realm) => new URL(realm).host)];
  return {
    ca,
    client: client === undefined ? undefined : { host, ...client },
    unverified: new Set(insecure ? named : []),
    ...ownerOf(env),
  };
}

/** How hosts are reached. */
function transportFor(
  registry: URL,
  options: ConnectionOptions,
  connection: Connection,
  env: Surroundings['env'],
): TransportOptions {
  const { pinned, timeoutMs } = connection;
  return {
    userAgent: `reg/${version}`,
    env,
    pinned,
    tls: tlsFor(registry, options, connection, env),
    ...(timeoutMs === undefined ? {} : { patience: { connect: timeoutMs, silence: timeoutMs } }),
  };
}
