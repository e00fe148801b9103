/**
 * The cases about single requests: what the caller asks, which credential there is, how the servers answer.
 *
 * What a case does not say is the same for all: a user of the registry, a challenge that names the registry's own token
 * server, a token server that gives a token.
 */

import type { Credential } from '../src/credential.ts';
import { readTokenResponse } from '../src/grant.ts';
import { type HeaderList, headerValue } from '../src/message.ts';
import type { PartialPolicy } from '../src/policy.ts';
import { type AttackCase, listOf, type Members, membersOf, textOf, textsOf } from './attack-cases.ts';
import {
  type Answer,
  authorizationOf,
  challenge,
  type Scene,
  type Server,
  type Servers,
  token,
} from './attack-scene.ts';

export const home = 'https://registry.example.com';
export const host = new URL(home).host;
export const alice: Credential = { type: 'password', username: 'alice', password: 's3cr3t-PW' };
export const identity: Credential = { type: 'identity', token: 's3cr3t-identity' };
export const ownChallenge = `Bearer realm="${home}/token",service="${host}",scope="repository:a/b:pull"`;

/** What the caller sends to the registry, and to nobody else. */
export const callersOwn: HeaderList = [
  ['accept', 'application/json'],
  ['cookie', 'sid=canary-cookie'],
  ['proxy-authorization', 'Basic canary-proxy'],
  ['x-api-key', 'canary-key'],
];

export interface Plan {
  readonly url: string;
  /** By host and port. */
  readonly credentials: Readonly<Record<string, Credential | null>>;
  readonly policy?: PartialPolicy;
  readonly servers: (scene: Scene) => Servers;
  /** Calls, and virtual milliseconds between them. Default one. */
  readonly calls?: number;
  readonly pauseMs?: number;
}

/** The plans of a case about single requests; several when it has variants. */
export function plansOf({ input }: AttackCase): readonly Plan[] {
  if (input['token_response'] !== undefined) return tokenPlans(membersOf(input['token_response']));
  if (input['password'] !== undefined || input['passwords'] !== undefined) return credentialPlans(input);
  return [challengePlan(input)];
}

function credentialOf(value: unknown): Credential | null {
  const { username, password } = membersOf(value);
  return value === null ? null : { type: 'password', username: textOf(username), password: textOf(password) };
}

/** A registry that challenges like this, sends on like that, or has a token server that does. */
function challengePlan(input: Members): Plan {
  const registry = String(input['registry'] ?? home);
  const layer = input['blob_url'];
  const url = layer === undefined ? `${registry}/v2/a/b/manifests/latest` : String(layer);
  const chain = listOf(input['chain']).map(membersOf);
  const byToken = chain.find((hop) => hop['to'] === 'token');
  const hops = byToken === undefined ? hopsOf(chain, url) : new Map<string, Answer>();
  const lines = textsOf(input['www_authenticate'] ?? [ownChallenge.replaceAll(home, registry)]);
  const ready = input['registry_token'];
  const held: Credential | null =
    ready !== undefined
      ? { type: 'registry', token: String(ready) }
      : byToken?.['method'] === 'POST'
        ? identity
        : credentialOf(input['credential'] === undefined ? alice : input['credential']);
  const stored = Object.entries(membersOf(input['stored_credentials']));
  const plan: Plan = {
    url,
    credentials: {
      [new URL(registry).host]: held,
      ...Object.fromEntries(stored.map(([key, value]) => [new URL(key).host, credentialOf(value)])),
    },
    servers: () => ({
      registry: (out) => {
        // A foreign layer wants more than what its own realm gives to everybody.
        if (layer !== undefined || (out.url === url && authorizationOf(out) === null))
          return challenge(...lines);
        return hops.get(out.url) ?? { status: 200 };
      },
      authority: () => {
        if (byToken !== undefined) return redirect(byToken);
        return token(layer === undefined ? 'for-the-registry' : 'for-everybody');
      },
    }),
  };
  return input['prior_scheme'] === undefined ? plan : afterBearer(plan);
}

function redirect({ status, location }: Members): Answer {
  return { status: Number(status), headers: [['location', String(location)]] };
}

/** What is answered where. A place that was sent on before is sent on in the same way again. */
function hopsOf(chain: readonly Members[], from: string): ReadonlyMap<string, Answer> {
  const hops = new Map<string, Answer>();
  let at = from;
  for (const hop of chain) {
    const { location } = hop;
    if (!hops.has(at))
      hops.set(at, location === undefined ? challenge(...textsOf(hop['www_authenticate'])) : redirect(hop));
    if (URL.canParse(String(location), at)) at = new URL(String(location), at).href;
  }
  return hops;
}

/** The registry named a token server at another host before, which the user trusts. */
function afterBearer(plan: Plan): Plan {
  const realm = 'https://auth.example.net';
  return {
    ...plan,
    policy: { realms: { pairs: [{ registry: home, realm }] } },
    calls: 2,
    servers: (scene) => {
      const later = plan.servers(scene);
      const registry: Server = (out, n) => {
        if (scene.ends.length > 0) return later.registry({ ...out, headers: [] }, n);
        return authorizationOf(out) === null ? challenge(`Bearer realm="${realm}/token"`) : { status: 200 };
      };
      return { ...later, registry };
    },
  };
}

/** A token server that answers like this. */
function tokenPlans(response: Members): readonly Plan[] {
  const { json, json_variants, raw, headers, status, method, registry_status, drip } = response;
  const bodies =
    json_variants !== undefined
      ? listOf(json_variants).map((variant) => JSON.stringify(variant))
      : [
          json !== undefined
            ? JSON.stringify(json)
            : raw !== undefined
              ? textOf(raw)
              : JSON.stringify(response),
        ];
  const named = Object.entries(membersOf(headers)).map(([name, value]) => [name, String(value)] as const);
  const posting: readonly Partial<Plan>[] = [
    { credentials: { [host]: identity } },
    { policy: { oauth2: 'prefer' } },
  ];
  return bodies.flatMap((body) => {
    const answer: Answer = { status: Number(status ?? 200), headers: named, body };
    const cutOff = Number(headerValue(named, 'content-length') ?? 0) > body.length;
    const plan: Plan = {
      url: `${home}/v2/a/b/manifests/latest`,
      credentials: { [host]: alice },
      servers: (scene) => ({
        registry: (out) => {
          const refused = registry_status === 401 || authorizationOf(out) === null;
          return refused ? challenge(ownChallenge) : { status: 200 };
        },
        authority: (out) => {
          if (method !== undefined && out.method !== method) return token('for-the-registry');
          if (cutOff) return { ...answer, read: () => Promise.reject(new Error('the body ended early')) };
          return drip === undefined ? answer : { ...answer, read: drippingFrom(scene, membersOf(drip)) };
        },
      }),
      ...timesOf(body),
    };
    return method === 'POST' ? posting.map((about) => ({ ...plan, ...about })) : [plan];
  });
}

/** A body of which one byte comes after another, for ever. */
function drippingFrom({ clock }: Scene, drip: Members): NonNullable<Answer['read']> {
  return async (_, signal) => {
    while (!signal.aborted) await clock.sleep(Number(drip['every_ms']), signal);
    throw new Error('the connection was closed');
  };
}

/** Ten calls in what we take for most of a token's life, if the response says how long that is. */
function timesOf(body: string): Pick<Plan, 'calls' | 'pauseMs'> {
  const read = readTokenResponse(body, 0);
  return read.ok && body.includes('expires_in') ? { calls: 10, pauseMs: read.expiresAt * 0.08 } : {};
}

/** A user with this name and password, whichever scheme the registry asks for. */
function credentialPlans(input: Members): readonly Plan[] {
  const passwords = textsOf(input['passwords'] ?? [input['password']]);
  const username = textOf(input['username'] ?? 'alice');
  return passwords.flatMap((password) =>
    ['Basic realm="x"', `Bearer realm="${home}/token"`].map((line) => ({
      ...challengePlan({ www_authenticate: [line] }),
      credentials: { [host]: { type: 'password', username, password } as const },
    })),
  );
}
