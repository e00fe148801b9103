/**
 * `docker-registry` as set-ups have it: behind a front that ends TLS, at `registry.example:5000`, with an image in it.
 *
 * Rules of this file: what it starts is healthy; each set-up says by itself what is wrong with it. The token server is behind
 * the same front, under `/token`, as its operator would have it.
 */

import { canary, startTokenServer, type TokenServer } from '@reg/testing';
import { onTestFinished } from 'vitest';
import { type Authority, authority } from '../../../../packages/node/test/certificates.ts';
import { type Distribution, startDistribution } from '../../../../packages/testing/test/docker-registry.ts';
import { type Front, startFront } from './front.ts';
import { imageOf, manifestType } from './image.ts';
import type { Stage } from './stage.ts';

export const HOST = 'registry.example:5000';

/** What `alice` signs in with. */
export const password = canary('password');

/** Puts the images there, and is none of the operators. */
const owner = { name: 'owner', password: canary('password') } as const;

interface Behind {
  readonly front: Front;
  readonly authority: Authority;
  readonly registry: Distribution;
}

interface BehindWithTokens extends Behind {
  readonly tokens: TokenServer;
}

/** A front with a certificate for `host`, whose authority the operator's `certs.d` folder has. */
export async function frontFor(
  stage: Stage,
  host = HOST,
  signer = authority(),
): Promise<{ readonly front: Front; readonly authority: Authority }> {
  const front = await startFront(signer.server({ names: [hostname(host)] }), {
    forwarded: { 'x-forwarded-proto': 'https' },
  });
  stage.name(host, front.port);
  trust(stage, host, signer.ca);
  return { front, authority: signer };
}

/** Puts an authority where containers' tools look for it. */
function trust(stage: Stage, host: string, ca: string): void {
  stage.write(`.config/containers/certs.d/${stage.real(host)}/ca.crt`, ca);
}

/** One that asks nobody who they are. */
export async function openRegistry(stage: Stage, host = HOST): Promise<Behind> {
  const { front, authority } = await frontFor(stage, host);
  const registry = await startDistribution(null);
  await putImage(registry.url, 'team/app', undefined);
  front.become({ upstream: () => registry.url });
  return { front, authority, registry };
}

/** One that knows `alice` by her password. */
export async function passwordRegistry(stage: Stage): Promise<Behind> {
  const { front, authority } = await frontFor(stage);
  const registry = await startDistribution({ htpasswd: { alice: password } });
  await putImage(registry.url, 'team/app', basic('alice', password));
  front.become({ upstream: () => registry.url });
  return { front, authority, registry };
}

interface WithTokens {
  /** Origin and path of the token server, as challenges say it. Default: behind the same front. */
  readonly realm?: string;
  /** What `alice` may do in `team/app`. Default: pull. */
  readonly actions?: readonly string[];
  readonly clock?: () => number;
  /** Who signs its certificate. Default: an authority of its own. */
  readonly authority?: Authority;
}

/**
 * One that takes tokens: `alice` may pull `team/app`, and everyone `library/busybox`.
 */
export async function tokenRegistry(stage: Stage, setting: WithTokens = {}): Promise<BehindWithTokens> {
  const { front, authority } = await frontFor(stage, HOST, setting.authority);
  return { front, authority, ...(await tokensBehind(stage, front, setting)) };
}

/** Starts a registry and its token server behind `front`, in the place of what was there. */
export async function tokensBehind(
  stage: Stage,
  front: Front,
  { realm = `https://${HOST}/token`, actions = ['pull'], clock = Date.now }: WithTokens = {},
): Promise<{ readonly registry: Distribution; readonly tokens: TokenServer }> {
  const tokens = await tokenServer(actions, clock);
  const registry = await startDistribution({ token: { ...tokens, url: stage.real(realm) } });
  for (const repository of ['team/app', 'library/busybox']) {
    await putImage(registry.url, repository, await pusherOf(tokens, repository));
  }
  front.become({
    upstream: (path) => (path.startsWith('/token') ? new URL(tokens.url).origin : registry.url),
  });
  return { registry, tokens };
}

async function tokenServer(actions: readonly string[], clock: () => number): Promise<TokenServer> {
  const tokens = await startTokenServer({
    clock,
    users: { alice: { password, identityToken }, [owner.name]: owner.password },
    repositories: {
      'team/app': { access: { alice: actions, [owner.name]: ['*'] } },
      'library/busybox': { visibility: 'public', access: { [owner.name]: ['*'] } },
    },
  });
  onTestFinished(() => tokens.close());
  return tokens;
}

/** What `alice` may exchange in the place of her password. */
export const identityToken = canary('identity token');

/** The `auth` of an entry in a configuration. */
export function auth(username: string, secret: string): string {
  return Buffer.from(`${username}:${secret}`).toString('base64');
}

/** Docker's configuration with one entry. */
export function signIn(stage: Stage, secret: string, key = HOST): void {
  stage.write('.docker/config.json', { auths: { [stage.real(key)]: { auth: auth('alice', secret) } } });
}

const basic = (username: string, secret: string): string => `Basic ${auth(username, secret)}`;

async function pusherOf(tokens: TokenServer, repository: string): Promise<string> {
  const query = new URLSearchParams({ service: tokens.service, scope: `repository:${repository}:pull,push` });
  const answer = await fetch(`${tokens.url}?${query}`, {
    headers: { Authorization: basic(owner.name, owner.password) },
  });
  const { token } = (await answer.json()) as { readonly token: string };
  return `Bearer ${token}`;
}

/** Pushes an image, `repository:1`, straight to the registry. */
export async function putImage(
  origin: string,
  repository: string,
  authorization: string | undefined,
): Promise<void> {
  const { config, digest, manifest } = imageOf(repository);
  const send = async (method: string, url: string, type: string, body?: string): Promise<Headers> => {
    const headers = {
      'Content-Type': type,
      ...(authorization === undefined ? {} : { Authorization: authorization }),
    };
    const answer = await fetch(url, { method, headers, ...(body === undefined ? {} : { body }) });
    if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${await answer.text()}`);
    return answer.headers;
  };
  const begun = await send('POST', `${origin}/v2/${repository}/blobs/uploads/`, 'application/octet-stream');
  const upload = new URL(begun.get('location') ?? '', origin);
  upload.searchParams.set('digest', digest);
  await send('PUT', upload.href, 'application/octet-stream', config);
  await send('PUT', `${origin}/v2/${repository}/manifests/1`, manifestType, manifest);
}

const hostname = (host: string): string => host.slice(0, host.lastIndexOf(':'));
