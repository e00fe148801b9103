/**
 * A registry, a token server and one user between them, for vectors about tokens.
 *
 * What a vector does not say is filled in the same way for all: the challenge, the user, realms that are trusted as all those
 * clients trust them. All servers speak https here.
 */

import type { Credential } from '../../src/credential.ts';
import { createAuthorizer, type Keychain } from '../../src/driver/index.ts';
import { isRegistryAuthError } from '../../src/error.ts';
import type { Failure } from '../../src/failure.ts';
import type { PartialPolicy } from '../../src/policy.ts';
import { type Answer, type Seen, World } from '../driver/world.ts';
import { type Fields, membersOf, textsOf } from './harness.ts';

const registry = 'https://r.test';
export const realm = 'https://as.test/token';

/** `{R}` stands for the host and port of a server, and for its whole origin where a realm begins with it. */
export function placed(text: string): string {
  return text
    .replaceAll(/(realm=")\{(\w+)\}/g, (_, before, name) => `${before}https://${name.toLowerCase()}.test`)
    .replaceAll(/\{base64\((.*?)\)\}/g, (_, plain) => btoa(plain))
    .replaceAll(/http:\/\/\{/g, 'https://{')
    .replaceAll(/\{(\w+)\}/g, (_, name) => `${name.toLowerCase()}.test`);
}

export const defaultChallenge = `Bearer realm="${realm}",service="r.test",scope="repository:test:pull"`;

export function bearer(params: Readonly<Record<string, unknown>>): string {
  const present = Object.entries(params).filter(([, value]) => typeof value === 'string');
  return `Bearer ${present.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(',')}`;
}

export function challengesOf(input: Fields): readonly string[] {
  const value = input.value('challenge');
  if (value === undefined) return [defaultChallenge];
  return (typeof value === 'string' ? [value] : textsOf(value)).map(placed);
}

/** Those tests whose vector names no credential have this one. */
export const someone: Credential = { type: 'password', username: 'user', password: 'pass' };

export function credentialOf(value: unknown): Credential | null {
  if (value === undefined) return someone;
  const { username, password, identity_token, registry_token, auth } = membersOf(value);
  if (typeof registry_token === 'string') return { type: 'registry', token: registry_token };
  if (typeof identity_token === 'string') return { type: 'identity', token: identity_token };
  if (typeof auth === 'string') {
    const [name = '', ...rest] = atob(auth).split(':');
    return { type: 'password', username: name, password: rest.join(':') };
  }
  if (typeof username !== 'string' || typeof password !== 'string') return null;
  return { type: 'password', username, password };
}

/** A secret that calls itself bad or wrong is refused by everybody. */
export function isWrong(credential: Credential | null): boolean {
  if (credential === null) return false;
  return /bad|wrong|invalid/.test(credential.type === 'password' ? credential.password : credential.token);
}

// A registry and a token server, and one user between them.

interface Setting {
  readonly credential: Credential | null;
  readonly policy?: PartialPolicy;
  readonly clientId?: string;
  /** The field lines of a 401 to a request without authorization. */
  readonly challenge: readonly string[];
  /** What a request with authorization is answered; 200 by default. */
  readonly authorized?: (authorization: string) => Answer;
  /** What the token server answers its `n`-th request. */
  readonly token: (n: number, method: string) => Answer | Promise<Answer>;
}

/** How a call ended: with the registry's own answer, or rejected. */
interface End {
  readonly status: number | null;
  readonly rejected: boolean;
  readonly failure: Failure | null;
}

export interface Story {
  readonly end: End;
  readonly registry: readonly Seen[];
  readonly authority: readonly Seen[];
  /** The identity token that the user has at the end. */
  readonly identity: string | null;
}

export class Session {
  readonly world: World;
  #credential: Credential | null;
  readonly #authorizer;
  readonly #url: string;
  #told = 0;

  constructor({ credential, policy, clientId, challenge, authorized, token }: Setting) {
    this.#credential = credential;
    this.#url = urlFor(challenge);
    this.world = new World({
      registry,
      onRegistry: (_, { headers }) => {
        const authorization = headers.find(([name]) => name === 'authorization')?.[1];
        return authorization === undefined
          ? challenged(challenge)
          : (authorized?.(authorization) ?? { status: 200 });
      },
      onToken: (n, { method }) => token(n, method),
    });
    const keychain: Keychain = {
      find: async () => ({ credential: this.#credential, source: 'the vector' }),
      replaced: (_, __, replacement) => {
        this.#credential = replacement;
      },
    };
    const { send, clock } = this.world;
    this.#authorizer = createAuthorizer<string>({
      send,
      keychain,
      now: clock.now,
      sleep: clock.sleep,
      clientId: clientId ?? 'reg',
      // These clients go wherever a challenge points.
      policy: { realms: { mode: 'any-https' }, deadlineMs: 600_000, ...policy },
    });
  }

  async call(): Promise<End> {
    try {
      const request = { method: 'GET', url: this.#url, headers: [], body: 'none' } as const;
      const { head, failure } = await this.world.clock.run(this.#authorizer.request(request));
      return { status: head.status, rejected: false, failure };
    } catch (error) {
      if (!isRegistryAuthError(error)) throw error;
      return { status: statusOf(error.failure), rejected: true, failure: error.failure };
    }
  }

  /** What happened since the last time. */
  story(end: End): Story {
    const news = this.world.seen.slice(this.#told);
    this.#told = this.world.seen.length;
    return {
      end,
      registry: news.filter(({ to }) => to === 'registry'),
      authority: news.filter(({ to }) => to === 'authority'),
      identity: this.#credential?.type === 'identity' ? this.#credential.token : null,
    };
  }
}

/** What the challenge asks for, and nothing that it does not. */
function urlFor(challenge: readonly string[]): string {
  const [, name] = /scope="repository:([^" ]+):[a-z,]*pull[a-z,]*"/.exec(challenge.join()) ?? [];
  return `${registry}/v2/${name === undefined ? 'x' : `${name}/tags/list`}`;
}

function statusOf(failure: Failure): number | null {
  if (failure.kind === 'rate-limited') return 429;
  return 'status' in failure ? failure.status : null;
}

export function challenged(lines: readonly string[]): Answer {
  return { status: 401, headers: lines.map((line) => ['www-authenticate', line] as const) };
}

export function tokenAnswer(body: unknown): Answer {
  return { status: 200, body: JSON.stringify(body) };
}
