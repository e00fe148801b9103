/**
 * The core's driver on this command's transport, as the options of the command line have it.
 *
 * Rules of this file: it wires; whether and where a secret goes is the core's to judge, by a policy made of what the user
 * said. Whoever opens a client closes it: a kept connection would keep the process.
 */

import type { HeaderList, PartialPolicy } from '@reg/core';
import {
  type Authorized,
  anonymousKeychain,
  createAuthorizer,
  type Delivered,
  type Keychain,
} from '@reg/core/driver';
import type { TranscriptStep } from '@reg/core/transcript';
import type { Surroundings } from '../surroundings.ts';
import type { Body } from '../transport/body.ts';
import { type Asking, openTransport } from '../transport/send.ts';
import { version } from '../version.ts';
import { type GivenCredential, type NetworkOptions, readAuthorities } from './options.ts';

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
  readonly surroundings: Surroundings;
  /** Record the beginning of each body in the transcript. */
  readonly bodies: boolean;
  /** Where credentials come from, in place of what `options` and `given` say. */
  readonly keychain?: Keychain;
  /** Whether tokens are taken from, and kept in, the store. Default: true, but with `--no-cache`. */
  readonly store?: boolean;
  /** Told each step of each request, without secrets. */
  readonly onStep?: (step: TranscriptStep) => void;
}

/** What images are described by; a registry that is not told sends old clients what they knew. */
export const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

export async function openClient(setting: ClientSetting): Promise<Client> {
  const { registry, options, surroundings, bodies, onStep } = setting;
  const transport = openTransport({
    userAgent: `reg/${version}`,
    ca: readAuthorities(options),
    insecure: options.insecure,
  });
  const authorizer = createAuthorizer({
    send: transport.send,
    keychain: setting.keychain ?? (await keychainFor(setting)),
    policy: policyFor(registry, options),
    transcript: { bodies },
    ...(onStep === undefined ? {} : { onStep }),
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

/** What the user said about where a secret may go. */
export function policyFor(
  { origin, host }: URL,
  { plainHttp = false, trustRealm = [] }: NetworkOptions,
): PartialPolicy {
  const plain = trustRealm.filter((realm) => realm.startsWith('http:')).map((realm) => new URL(realm).host);
  return {
    realms: { pairs: trustRealm.map((realm) => ({ registry: origin, realm })) },
    insecureHosts: plainHttp ? [host, ...plain] : [],
  };
}
