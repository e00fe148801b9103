/**
 * CNCF Distribution itself, as Debian ships it, behind each kind of authorization it has. What was asked is read from its own
 * access log and from the token server's. `skopeo` pushes what we read, and reads what we pushed.
 */

import { failureOf, isRegistryAuthError, nextPage } from '@reg/core';
import { staticKeychain } from '@reg/core/driver';
import { canary, digestOf, image, startTokenServer } from '@reg/testing';
import { afterAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
// By path: a program that only tests start is no part of what @reg/testing offers.
import { type Distribution, isMissing, startDistribution } from '../../testing/test/docker-registry.ts';
import { createRegistryFetch } from '../src/index.ts';
import { type Skopeo, skopeoFor } from './skopeo.ts';

const missing = isMissing('docker-registry', 'htpasswd', 'skopeo');

/** How many tests met the real thing, on a line of its own, for whoever reads only the end of a run. */
let ran = 0;
const report = () => console.log(`real registry: ${ran} tests`);
if (missing) report();
beforeEach(() => {
  ran += 1;
});
afterAll(report);

type Auth = 'none' | 'htpasswd' | 'token';
type Credential = Parameters<typeof staticKeychain>[0][string];

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

const passwords = { alice: canary('password'), bob: canary('password') };
const identityToken = canary('identity token');
const alice: Credential = { type: 'password', username: 'alice', password: passwords.alice };
const bob: Credential = { type: 'password', username: 'bob', password: passwords.bob };
const mistaken: Credential = { ...alice, password: 'mistaken' };

/** What the token server knows. Distribution without one lets every user do everything. */
const known = {
  users: { alice: { password: passwords.alice, identityToken }, bob: passwords.bob },
  repositories: {
    'team/app': { access: { alice: ['*'], bob: ['pull'] } },
    'team/other': { access: { alice: ['*'] } },
    'library/open': { visibility: 'public', access: { alice: ['*'] } },
  },
} as const;

interface Setting {
  readonly registry: Distribution;
  /** Signed in as alice. */
  readonly skopeo: Skopeo;
  /** A fetch with a memory of its own. */
  as(credential: Credential | null): typeof fetch;
  /** Every token request since the last call, in order: `GET repository:team/app:pull 200`. */
  asked(): readonly string[];
}

async function settingFor(auth: Auth): Promise<Setting> {
  const tokens = auth === 'token' ? await startTokenServer(known) : null;
  if (tokens !== null) onTestFinished(() => tokens.close());
  const registry = await startDistribution(
    tokens !== null ? { token: tokens } : auth === 'htpasswd' ? { htpasswd: passwords } : null,
  );
  const pairs = tokens === null ? [] : [{ registry: registry.url, realm: new URL(tokens.url).origin }];
  let heard = 0;
  return {
    registry,
    skopeo: await skopeoFor(registry.host, auth === 'none' ? null : ['alice', passwords.alice]),
    as: (credential) =>
      createRegistryFetch({
        keychain: staticKeychain(credential === null ? {} : { [registry.host]: credential }),
        policy: { realms: { pairs } },
      }),
    asked() {
      const fresh = tokens?.requests.slice(heard) ?? [];
      heard += fresh.length;
      return fresh.map(({ method, url, body, status }) => {
        const form = method === 'POST' ? new URLSearchParams(body) : new URL(url, registry.url).searchParams;
        // Distribution names the two scopes of a mount in no fixed order.
        return `${method} ${form.getAll('scope').sort().join(' ')} ${status}`;
      });
    },
  };
}

/** The upload's own address, which the next request of it goes to. */
function locationOf(response: Response): URL {
  return new URL(response.headers.get('location') ?? '', response.url);
}

/** `location` with the digest that ends an upload. */
function ended(location: URL, digest: string): URL {
  const url = new URL(location);
  url.searchParams.append('digest', digest);
  return url;
}

/** Lines of the access log, with `…` for upload sessions. */
const anySession = (lines: readonly string[]) =>
  lines.map((line) => line.replace(/uploads\/[0-9a-f-]{36}/, 'uploads/…'));

describe.skipIf(missing).each<Auth>(['none', 'htpasswd', 'token'])('docker-registry, auth: %s', (auth) => {
  /** What a cold request costs before it succeeds. */
  const refused = (request: string) => (auth === 'none' ? [] : [`${request} 401`]);
  const token = (...scopes: string[]) => (auth === 'token' ? [`GET ${scopes.join(' ')} 200`] : []);

  test('what skopeo pushed: tags as skopeo lists them, manifest by GET and HEAD, blobs', async () => {
    const { registry, skopeo, as, asked } = await settingFor(auth);
    await skopeo.push('team/app', '1.0', 'one');
    await skopeo.push('team/app', 'latest', 'two');
    const tags = await skopeo.tags('team/app');
    const text = await skopeo.manifest('team/app', 'latest');
    await registry.answered();
    asked();

    const fetch = as(alice);
    const base = `${registry.url}/v2/team/app`;
    const listed = await fetch(`${base}/tags/list`);
    expect(await listed.json()).toEqual({ name: 'team/app', tags });
    expect([...tags].sort()).toEqual(['1.0', 'latest']);

    const headers = { Accept: OCI_MANIFEST };
    const manifest = await fetch(`${base}/manifests/latest`, { headers });
    expect(await manifest.text()).toBe(text);
    const digest = digestOf(Buffer.from(text));
    for (const method of ['GET', 'HEAD']) {
      const answer = await fetch(`${base}/manifests/${digest}`, { method, headers });
      expect([answer.status, answer.headers.get('content-length')]).toEqual([200, String(text.length)]);
      expect(answer.headers.get('docker-content-digest')).toBe(digest);
      await answer.arrayBuffer();
    }
    const { config, layers } = JSON.parse(text) as Record<'config', { digest: string }> &
      Record<'layers', { digest: string }[]>;
    const blobs = [config, ...layers].map((blob) => blob.digest);
    for (const blob of blobs) {
      const answer = await fetch(`${base}/blobs/${blob}`);
      expect(digestOf(new Uint8Array(await answer.arrayBuffer()))).toBe(blob);
    }

    expect(await registry.answered()).toEqual([
      ...refused('GET /v2/team/app/tags/list'),
      'GET /v2/team/app/tags/list 200',
      'GET /v2/team/app/manifests/latest 200',
      `GET /v2/team/app/manifests/${digest} 200`,
      `HEAD /v2/team/app/manifests/${digest} 200`,
      ...blobs.map((blob) => `GET /v2/team/app/blobs/${blob} 200`),
    ]);
    expect(asked()).toEqual(token('repository:team/app:pull'));
  });

  test('a push by POST, PATCH and PUT, and by POST and PUT alone; skopeo reads it', async () => {
    const { registry, skopeo, as, asked } = await settingFor(auth);
    const { manifest, config, layer } = image(`pushed under ${auth}`);
    const fetch = as(alice);
    const uploads = `${registry.url}/v2/team/app/blobs/uploads/`;

    const begun = await fetch(uploads, { method: 'POST' });
    const patched = await fetch(locationOf(begun), { method: 'PATCH', body: layer.bytes });
    expect([begun.status, patched.status]).toEqual([202, 202]);
    const put = await fetch(ended(locationOf(patched), layer.digest), { method: 'PUT' });
    expect([put.status, put.headers.get('docker-content-digest')]).toEqual([201, layer.digest]);

    const again = await fetch(uploads, { method: 'POST' });
    const single = await fetch(ended(locationOf(again), config.digest), {
      method: 'PUT',
      body: config.bytes,
      headers: { 'Content-Type': 'application/octet-stream' },
    });
    expect(single.status).toBe(201);

    const tagged = await fetch(`${registry.url}/v2/team/app/manifests/v1`, {
      method: 'PUT',
      body: manifest.bytes,
      headers: { 'Content-Type': manifest.mediaType },
    });
    expect([tagged.status, tagged.headers.get('docker-content-digest')]).toEqual([201, manifest.digest]);

    expect(anySession(await registry.answered())).toEqual([
      ...refused('POST /v2/team/app/blobs/uploads/'),
      'POST /v2/team/app/blobs/uploads/ 202',
      'PATCH /v2/team/app/blobs/uploads/… 202',
      'PUT /v2/team/app/blobs/uploads/… 201',
      'POST /v2/team/app/blobs/uploads/ 202',
      'PUT /v2/team/app/blobs/uploads/… 201',
      'PUT /v2/team/app/manifests/v1 201',
    ]);
    expect(asked()).toEqual(token('repository:team/app:pull,push'));
    expect(await skopeo.manifest('team/app', 'v1')).toBe(Buffer.from(manifest.bytes).toString());
  });

  test('a stream goes once, after a ping of a registry that is not known yet (rule 8)', async () => {
    const { registry, as, asked } = await settingFor(auth);
    const { layer } = image('streamed');
    const begun = await as(alice)(`${registry.url}/v2/team/app/blobs/uploads/`, { method: 'POST' });
    await registry.answered();
    asked();

    const fetch = as(alice);
    const patched = await fetch(locationOf(begun), {
      method: 'PATCH',
      body: new Blob([layer.bytes]).stream(),
      duplex: 'half',
    });
    const put = await fetch(ended(locationOf(patched), layer.digest), { method: 'PUT' });
    expect([patched.status, put.status]).toEqual([202, 201]);
    expect(anySession(await registry.answered())).toEqual([
      ...(auth === 'none' ? ['GET /v2/ 200'] : ['GET /v2/ 401']),
      'PATCH /v2/team/app/blobs/uploads/… 202',
      'PUT /v2/team/app/blobs/uploads/… 201',
    ]);
    expect(asked()).toEqual(token('repository:team/app:pull,push'));
  });

  test('a mount from another repository, with one token for both, asked or unasked (requirement 139)', async () => {
    const { registry, skopeo, as, asked } = await settingFor(auth);
    await skopeo.push('team/app', '1.0', 'one');
    const { layers } = JSON.parse(await skopeo.manifest('team/app', '1.0')) as {
      layers: [{ digest: string }];
    };
    const [{ digest }] = layers;
    const mount = `${registry.url}/v2/team/other/blobs/uploads/?mount=${digest}&from=team/app`;
    const blob = `/v2/team/other/blobs/${digest}`;
    const stranger = as(alice);
    const acquainted = as(alice);
    await acquainted(`${registry.url}/v2/`);
    await registry.answered();
    asked();

    for (const fetch of [stranger, acquainted]) {
      const mounted = await fetch(mount, { method: 'POST' });
      // 202 would be an upload to begin, and no mount.
      expect([mounted.status, locationOf(mounted).pathname]).toEqual([201, blob]);
      expect(await registry.answered()).toEqual([
        ...(fetch === stranger ? refused('POST /v2/team/other/blobs/uploads/') : []),
        'POST /v2/team/other/blobs/uploads/ 201',
      ]);
      expect(asked()).toEqual(token('repository:team/app:pull', 'repository:team/other:pull,push'));
      expect((await fetch(registry.url + blob, { method: 'HEAD' })).status).toBe(200);
      await registry.answered();
      asked();
    }
  });

  test('DELETE takes a manifest and a blob away', async () => {
    const { registry, skopeo, as, asked } = await settingFor(auth);
    await skopeo.push('team/app', '1.0', 'one');
    const text = await skopeo.manifest('team/app', '1.0');
    const { config } = JSON.parse(text) as { config: { digest: string } };
    await registry.answered();
    asked();

    const fetch = as(alice);
    const manifest = `/v2/team/app/manifests/${digestOf(Buffer.from(text))}`;
    const blob = `/v2/team/app/blobs/${config.digest}`;
    for (const path of [manifest, blob]) await fetch(registry.url + path, { method: 'DELETE' });
    for (const path of [manifest, blob])
      await fetch(registry.url + path, { headers: { Accept: OCI_MANIFEST } });
    expect(await registry.answered()).toEqual([
      ...refused(`DELETE ${manifest}`),
      `DELETE ${manifest} 202`,
      `DELETE ${blob} 202`,
      `GET ${manifest} 404`,
      `GET ${blob} 404`,
    ]);
    expect(asked()).toEqual([...token('repository:team/app:delete'), ...token('repository:team/app:pull')]);
  });

  test('the catalog, page by page along its Link (requirement 134)', async () => {
    const { registry, skopeo, as, asked } = await settingFor(auth);
    for (const repository of Object.keys(known.repositories)) await skopeo.push(repository, 't', 'text');
    await registry.answered();
    asked();

    const fetch = as(alice);
    const seen: string[] = [];
    let page: URL | null = new URL(`${registry.url}/v2/_catalog?n=2`);
    while (page !== null) {
      const answer: Response = await fetch(page);
      seen.push(...((await answer.json()) as { repositories: string[] }).repositories);
      page = nextPage({ headers: [...answer.headers] }, page);
    }
    expect(seen).toEqual(Object.keys(known.repositories).sort());
    expect(await registry.answered()).toEqual([
      ...refused('GET /v2/_catalog'),
      'GET /v2/_catalog 200',
      'GET /v2/_catalog 200',
    ]);
    expect(asked()).toEqual(token('registry:catalog:*'));
  });
});

/** What `fetch` rejected with. */
async function failureOfCall(call: Promise<Response>) {
  const error: unknown = await call.catch((thrown: unknown) => thrown);
  if (!isRegistryAuthError(error)) throw new Error('it was answered');
  return error.failure;
}

describe.skipIf(missing)('docker-registry, htpasswd: who is let in', () => {
  test('cold 2 requests, then 1, whatever the repository', async () => {
    const { registry, as } = await settingFor('htpasswd');
    const fetch = as(bob);
    for (const name of ['team/app', 'team/app', 'team/other'])
      await fetch(`${registry.url}/v2/${name}/tags/list`);
    // Nothing was pushed: authorized, and not found.
    expect(await registry.answered()).toEqual([
      'GET /v2/team/app/tags/list 401',
      'GET /v2/team/app/tags/list 404',
      'GET /v2/team/app/tags/list 404',
      'GET /v2/team/other/tags/list 404',
    ]);
  });

  test('a wrong password is sent once; the 401 is the caller’s, and says why', async () => {
    const { registry, as } = await settingFor('htpasswd');
    const answer = await as(mistaken)(`${registry.url}/v2/team/app/tags/list`);
    expect([answer.status, failureOf(answer)?.kind]).toEqual([401, 'credential-rejected']);
    expect(await answer.json()).toMatchObject({ errors: [{ code: 'UNAUTHORIZED' }] });
    expect(await registry.answered()).toEqual([
      'GET /v2/team/app/tags/list 401',
      'GET /v2/team/app/tags/list 401',
    ]);
  });

  test('without a credential it ends at the challenge', async () => {
    const { registry, as } = await settingFor('htpasswd');
    const failure = await failureOfCall(as(null)(`${registry.url}/v2/team/app/tags/list`));
    expect(failure).toMatchObject({ kind: 'credential-missing', scheme: 'basic' });
    expect(await registry.answered()).toEqual(['GET /v2/team/app/tags/list 401']);
  });
});

describe.skipIf(missing)('docker-registry, token: who is let in', () => {
  const list = 'GET /v2/team/app/tags/list';

  test('cold 3 requests, then 1, another repository 2', async () => {
    const { registry, as, asked } = await settingFor('token');
    const fetch = as(alice);
    // Nothing was pushed: authorized, and not found.
    await fetch(`${registry.url}/v2/team/app/tags/list`);
    expect([await registry.answered(), asked()]).toEqual([
      [`${list} 401`, `${list} 404`],
      ['GET repository:team/app:pull 200'],
    ]);
    await fetch(`${registry.url}/v2/team/app/tags/list`);
    expect([await registry.answered(), asked()]).toEqual([[`${list} 404`], []]);
    await fetch(`${registry.url}/v2/team/other/tags/list`);
    expect([await registry.answered(), asked()]).toEqual([
      ['GET /v2/team/other/tags/list 404'],
      ['GET repository:team/other:pull 200'],
    ]);
  });

  test('a wrong password goes to the token server once and to the registry never', async () => {
    const { registry, as, asked } = await settingFor('token');
    const failure = await failureOfCall(as(mistaken)(`${registry.url}/v2/team/app/tags/list`));
    expect(failure).toMatchObject({ kind: 'credential-rejected', scheme: 'bearer', status: 401 });
    expect([await registry.answered(), asked()]).toEqual([
      [`${list} 401`],
      ['GET repository:team/app:pull 401'],
    ]);
  });

  test('who may only pull is refused a push, told what is missing, and goes on pulling', async () => {
    const { registry, skopeo, as, asked } = await settingFor('token');
    await skopeo.push('team/app', '1.0', 'one');
    await registry.answered();
    asked();

    const fetch = as(bob);
    const answer = await fetch(`${registry.url}/v2/team/app/blobs/uploads/`, { method: 'POST' });
    expect([answer.status, failureOf(answer)]).toMatchObject([
      401,
      { kind: 'denied', reason: 'insufficient-scope', challenged: 'repository:team/app:pull,push' },
    ]);
    const listed = await fetch(`${registry.url}/v2/team/app/tags/list`);
    expect(await listed.json()).toEqual({ name: 'team/app', tags: ['1.0'] });
    expect([await registry.answered(), asked()]).toEqual([
      ['POST /v2/team/app/blobs/uploads/ 401', 'POST /v2/team/app/blobs/uploads/ 401', `${list} 200`],
      ['GET repository:team/app:pull,push 200', 'GET repository:team/app:pull 200'],
    ]);
  });

  test('nobody in particular pulls what is public, and nothing else', async () => {
    const { registry, skopeo, as, asked } = await settingFor('token');
    await skopeo.push('library/open', '1.0', 'one');
    await registry.answered();
    asked();

    const fetch = as(null);
    expect((await fetch(`${registry.url}/v2/library/open/tags/list`)).status).toBe(200);
    const answer = await fetch(`${registry.url}/v2/team/app/tags/list`);
    expect([answer.status, failureOf(answer)]).toMatchObject([401, { kind: 'denied', anonymous: true }]);
    expect(asked()).toEqual(['GET repository:library/open:pull 200', 'GET repository:team/app:pull 200']);
  });

  test('an identity token is exchanged by POST', async () => {
    const { registry, skopeo, as, asked } = await settingFor('token');
    await skopeo.push('team/app', '1.0', 'one');
    asked();
    const fetch = as({ type: 'identity', token: identityToken });
    expect((await fetch(`${registry.url}/v2/team/app/tags/list`)).status).toBe(200);
    expect(asked()).toEqual(['POST repository:team/app:pull 200']);
  });
});
