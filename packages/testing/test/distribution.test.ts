import { describe, expect, test } from 'vitest';
import { digestOf, image } from '../src/index.ts';
import { registryFor } from './setup.ts';
import { parsed, send } from './wire.ts';

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';

const open = () =>
  registryFor({
    auth: 'none',
    repositories: {
      'library/busybox': { tags: { latest: 'hello', '1.0': 'one' } },
      'team/app': { tags: ['a', 'b', 'c', 'd', 'e'] },
      'team/empty': {},
    },
  });

const code = (answer: Parameters<typeof parsed>[0]) =>
  parsed<{ errors: [{ code: string }] }>(answer).errors[0].code;

describe('ping', () => {
  test('answers 200 at /v2/ and names the API version', async () => {
    const { url } = await open();
    const answer = await send(`${url}/v2/`);
    expect([answer.status, answer.text]).toEqual([200, '{}']);
    expect(answer.headers['docker-distribution-api-version']).toBe('registry/2.0');
  });

  test.each([
    ['/v3/', 404],
    ['/v2/UPPER/tags/list', 404],
    ['/v2/team/app/nothing/here', 404],
  ])('%s is no endpoint', async (path, status) => {
    const { url } = await open();
    expect((await send(url + path)).status).toBe(status);
  });

  test('lists cannot be written', async () => {
    const { url } = await open();
    const answer = await send(`${url}/v2/team/app/tags/list`, { method: 'POST' });
    expect([answer.status, code(answer)]).toEqual([405, 'UNSUPPORTED']);
  });
});

describe('manifests', () => {
  test.each(['latest', image('hello').manifest.digest, image('hello').manifest.digest.replace(':', '%3A')])(
    'GET and HEAD %s give type, digest and length',
    async (reference) => {
      const { url } = await open();
      const { manifest } = image('hello');
      for (const method of ['GET', 'HEAD']) {
        const answer = await send(`${url}/v2/library/busybox/manifests/${reference}`, { method });
        expect(answer.status).toBe(200);
        expect(answer.headers['content-type']).toBe(OCI_MANIFEST);
        expect(answer.headers['docker-content-digest']).toBe(manifest.digest);
        expect(answer.headers['content-length']).toBe(String(manifest.bytes.length));
        expect(answer.body).toEqual(method === 'GET' ? manifest.bytes : Buffer.alloc(0));
      }
    },
  );

  test.each([
    [OCI_MANIFEST, 200],
    ['application/json, */*;q=0.1', 200],
    ['application/vnd.docker.distribution.manifest.v2+json', 404],
  ])('Accept: %s gives %i', async (accept, status) => {
    const { url } = await open();
    const answer = await send(`${url}/v2/library/busybox/manifests/latest`, { headers: { Accept: accept } });
    expect(answer.status).toBe(status);
  });

  test('an unknown reference, and an unknown repository', async () => {
    const { url } = await open();
    expect(code(await send(`${url}/v2/library/busybox/manifests/none`))).toBe('MANIFEST_UNKNOWN');
    expect(code(await send(`${url}/v2/library/none/manifests/latest`))).toBe('NAME_UNKNOWN');
  });

  test('PUT by tag, then GET the same bytes under the same type', async () => {
    const { url } = await open();
    const { manifest } = image('hello');
    const put = await send(`${url}/v2/library/busybox/manifests/new`, {
      method: 'PUT',
      headers: { 'Content-Type': OCI_MANIFEST },
      body: manifest.bytes,
    });
    expect(put.status).toBe(201);
    expect(put.headers.location).toBe(`/v2/library/busybox/manifests/${manifest.digest}`);
    const got = await send(`${url}/v2/library/busybox/manifests/new`);
    expect([got.headers['content-type'], got.body]).toEqual([OCI_MANIFEST, manifest.bytes]);
  });

  test.each([
    ['a digest of other bytes', digestOf(Buffer.from('x')), '{}', 400, 'DIGEST_INVALID'],
    ['a tag outside the grammar', '-x', '{}', 400, 'TAG_INVALID'],
    ['no JSON', 'x', '{', 400, 'MANIFEST_INVALID'],
    [
      'a layer nobody pushed',
      'x',
      JSON.stringify({ layers: [{ digest: 'sha256:0' }] }),
      404,
      'MANIFEST_BLOB_UNKNOWN',
    ],
    ['an index of unknown manifests', 'x', '{"manifests":[{"digest":"sha256:0"}]}', 404, 'MANIFEST_UNKNOWN'],
  ])('PUT refuses %s', async (_, reference, body, status, expected) => {
    const { url } = await open();
    const headers = { 'Content-Type': OCI_MANIFEST };
    const answer = await send(`${url}/v2/team/empty/manifests/${reference}`, {
      method: 'PUT',
      headers,
      body,
    });
    expect([answer.status, code(answer)]).toEqual([status, expected]);
  });

  test('DELETE by tag keeps the manifest, DELETE by digest takes its tags along', async () => {
    const { url } = await open();
    const base = `${url}/v2/library/busybox/manifests`;
    const { digest } = image('hello').manifest;
    await send(`${base}/second`, {
      method: 'PUT',
      headers: { 'Content-Type': OCI_MANIFEST },
      body: image('hello').manifest.bytes,
    });
    expect((await send(`${base}/latest`, { method: 'DELETE' })).status).toBe(202);
    expect((await send(`${base}/latest`)).status).toBe(404);
    expect((await send(`${base}/second`)).status).toBe(200);
    expect((await send(`${base}/${digest}`, { method: 'DELETE' })).status).toBe(202);
    expect((await send(`${base}/second`)).status).toBe(404);
    expect((await send(`${base}/${digest}`, { method: 'DELETE' })).status).toBe(404);
  });
});

describe('lists', () => {
  test('without n all tags in lexical order and no Link', async () => {
    const { url } = await open();
    const answer = await send(`${url}/v2/library/busybox/tags/list`);
    expect(parsed(answer)).toEqual({ name: 'library/busybox', tags: ['1.0', 'latest'] });
    expect(answer.headers['link']).toBeUndefined();
  });

  test.each([
    ['/v2/team/app/tags/list?n=2', 'tags', ['a', 'b', 'c', 'd', 'e']],
    ['/v2/_catalog?n=2', 'repositories', ['library/busybox', 'team/app', 'team/empty']],
  ])('%s pages by relative Link until there is none (Q59)', async (path, member, all) => {
    const { url } = await open();
    const seen: unknown[] = [];
    let next: string | undefined = path;
    let pages = 0;
    while (next !== undefined) {
      const answer = await send(new URL(next, url).href);
      seen.push(...(parsed<Record<string, unknown[]>>(answer)[member] ?? []));
      next = /^<(\/v2\/[^>]*)>; rel="next"$/.exec(String(answer.headers['link']))?.[1];
      pages++;
    }
    expect([seen, pages]).toEqual([all, Math.ceil(all.length / 2)]);
  });

  test('n=0 is an empty page, n=x an error', async () => {
    const { url } = await open();
    expect(parsed(await send(`${url}/v2/team/app/tags/list?n=0`))).toEqual({ name: 'team/app', tags: [] });
    expect(code(await send(`${url}/v2/team/app/tags/list?n=x`))).toBe('PAGINATION_NUMBER_INVALID');
  });

  test('referrers are an index of what names the digest as subject, by artifact type if asked', async () => {
    const { url } = await open();
    const subject = { digest: image('hello').manifest.digest };
    for (const [tag, artifactType] of [
      ['s', 'application/signature'],
      ['b', 'application/sbom'],
    ] as const) {
      const put = await send(`${url}/v2/library/busybox/manifests/${tag}`, {
        method: 'PUT',
        headers: { 'Content-Type': OCI_MANIFEST },
        body: JSON.stringify({ subject, artifactType, annotations: { a: tag } }),
      });
      expect(put.headers['oci-subject']).toBe(subject.digest);
    }
    const all = await send(`${url}/v2/library/busybox/referrers/${subject.digest}`);
    expect(all.headers['content-type']).toBe(OCI_INDEX);
    expect(parsed<{ manifests: unknown[] }>(all).manifests).toHaveLength(2);
    const one = await send(
      `${url}/v2/library/busybox/referrers/${subject.digest}?artifactType=application/sbom`,
    );
    expect(one.headers['oci-filters-applied']).toBe('artifactType');
    expect(parsed<{ manifests: unknown[] }>(one).manifests).toMatchObject([
      { artifactType: 'application/sbom', annotations: { a: 'b' } },
    ]);
    const none = await send(`${url}/v2/library/busybox/referrers/sha256:0`);
    expect([none.status, parsed<{ manifests: unknown[] }>(none).manifests]).toEqual([200, []]);
  });
});

describe('blobs', () => {
  const { layer } = image('0123456789');
  const withBlob = (redirectBlobs: boolean) =>
    registryFor({ auth: 'none', repositories: { 'a/b': { tags: { t: '0123456789' } } }, redirectBlobs });

  test('GET and HEAD', async () => {
    const { url } = await withBlob(false);
    const got = await send(`${url}/v2/a/b/blobs/${layer.digest}`);
    expect([got.status, got.text, got.headers['docker-content-digest']]).toEqual([
      200,
      '0123456789',
      layer.digest,
    ]);
    const head = await send(`${url}/v2/a/b/blobs/${layer.digest}`, { method: 'HEAD' });
    expect([head.status, head.headers['content-length'], head.text]).toEqual([200, '10', '']);
    expect(code(await send(`${url}/v2/a/b/blobs/sha256:0`))).toBe('BLOB_UNKNOWN');
  });

  test.each([
    ['bytes=2-4', 206, '234', 'bytes 2-4/10'],
    ['bytes=7-', 206, '789', 'bytes 7-9/10'],
    ['bytes=-3', 206, '789', 'bytes 7-9/10'],
    ['bytes=-99', 206, '0123456789', 'bytes 0-9/10'],
    ['bytes=5-99', 206, '56789', 'bytes 5-9/10'],
    ['bytes=10-', 416, '', 'bytes */10'],
    ['bytes=-0', 416, '', 'bytes */10'],
    ['bytes=4-2', 200, '0123456789', undefined],
    ['bytes=-', 200, '0123456789', undefined],
    ['lines=1-2', 200, '0123456789', undefined],
  ])('Range: %s gives %i (RFC 9110 §14)', async (range, status, text, contentRange) => {
    const { url } = await withBlob(false);
    const answer = await send(`${url}/v2/a/b/blobs/${layer.digest}`, { headers: { Range: range } });
    expect([answer.status, answer.text, answer.headers['content-range']]).toEqual([
      status,
      text,
      contentRange,
    ]);
  });

  test('a redirect leads to another origin, which takes the signed URL and nothing else (Q47)', async () => {
    const registry = await withBlob(true);
    const redirect = await send(`${registry.url}/v2/a/b/blobs/${layer.digest}`);
    const location = redirect.headers.location ?? '';
    expect([redirect.status, new URL(location).origin]).toEqual([307, registry.blobsUrl]);
    expect((await send(location)).text).toBe('0123456789');
    expect((await send(location, { headers: { Range: 'bytes=0-1' } })).text).toBe('01');
    expect((await send(location.split('?')[0] ?? '')).status).toBe(403);
    const both = await send(location, { headers: { Authorization: 'Bearer x' } });
    expect([both.status, both.text]).toEqual([400, 'Only one auth mechanism allowed']);
  });

  test('DELETE', async () => {
    const { url } = await withBlob(false);
    expect((await send(`${url}/v2/a/b/blobs/${layer.digest}`, { method: 'DELETE' })).status).toBe(202);
    expect((await send(`${url}/v2/a/b/blobs/${layer.digest}`)).status).toBe(404);
  });
});

describe('uploads', () => {
  const digest = digestOf(Buffer.from('hello world'));
  const begin = async (url: string) => {
    const begun = await send(`${url}/v2/team/empty/blobs/uploads/`, { method: 'POST' });
    expect([begun.status, begun.headers.range]).toEqual([202, '0-0']);
    return new URL(begun.headers.location ?? '', url);
  };

  test('POST, PATCH twice, PUT: the blob is there', async () => {
    const { url } = await open();
    let location = await begin(url);
    for (const [body, range, after] of [
      ['hello ', '0-5', '0-5'],
      ['world', '6-10', '0-10'],
    ] as const) {
      const headers = { 'Content-Range': range };
      const patched = await send(location.href, { method: 'PATCH', headers, body });
      expect([patched.status, patched.headers.range]).toEqual([202, after]);
      location = new URL(patched.headers.location ?? '', url);
    }
    const status = await send(location.href);
    expect([status.status, status.headers.range]).toEqual([204, '0-10']);
    location.searchParams.append('digest', digest);
    const put = await send(location.href, { method: 'PUT' });
    expect([put.status, put.headers.location]).toEqual([201, `/v2/team/empty/blobs/${digest}`]);
    expect((await send(`${url}/v2/team/empty/blobs/${digest}`)).text).toBe('hello world');
    expect((await send(location.href, { method: 'PUT' })).status).toBe(404);
  });

  test('POST then PUT with all bytes, and POST with all bytes', async () => {
    const { url } = await open();
    const location = await begin(url);
    location.searchParams.append('digest', digest);
    expect((await send(location.href, { method: 'PUT', body: 'hello world' })).status).toBe(201);
    const single = await send(`${url}/v2/team/new/blobs/uploads/?digest=${digest}`, {
      method: 'POST',
      body: 'hello world',
    });
    expect([single.status, single.headers['docker-content-digest']]).toEqual([201, digest]);
  });

  test('a chunk out of order is 416 and says where to go on', async () => {
    const { url } = await open();
    const location = await begin(url);
    const headers = { 'Content-Range': '5-9' };
    const answer = await send(location.href, { method: 'PATCH', headers, body: 'world' });
    expect([answer.status, answer.headers.range]).toEqual([416, '0-0']);
    expect(answer.headers.location).toBe(location.pathname + location.search);
  });

  test('bytes of another digest are refused, and the session lives on', async () => {
    const { url } = await open();
    const location = await begin(url);
    const wrong = new URL(location);
    wrong.searchParams.append('digest', 'sha256:0');
    const answer = await send(wrong.href, { method: 'PUT' });
    expect([answer.status, code(answer)]).toEqual([400, 'DIGEST_INVALID']);
    expect((await send(location.href)).status).toBe(204);
  });

  test('a Location that was not followed as given is refused', async () => {
    const { url } = await open();
    const location = await begin(url);
    expect(code(await send(location.origin + location.pathname, { method: 'PATCH', body: 'x' }))).toBe(
      'BLOB_UPLOAD_INVALID',
    );
  });

  test('DELETE cancels', async () => {
    const { url } = await open();
    const location = await begin(url);
    expect((await send(location.href, { method: 'DELETE' })).status).toBe(204);
    expect(code(await send(location.href))).toBe('BLOB_UPLOAD_UNKNOWN');
  });

  test('a mount is 201 when the blob is there and 202 with a session when not', async () => {
    const { url } = await open();
    const { layer } = image('hello');
    const mounted = await send(
      `${url}/v2/team/new/blobs/uploads/?mount=${layer.digest}&from=library/busybox`,
      { method: 'POST' },
    );
    expect([mounted.status, mounted.headers.location]).toEqual([201, `/v2/team/new/blobs/${layer.digest}`]);
    expect((await send(`${url}/v2/team/new/blobs/${layer.digest}`)).text).toBe('hello');
    const fallback = await send(`${url}/v2/team/new/blobs/uploads/?mount=sha256:0&from=library/busybox`, {
      method: 'POST',
    });
    expect([fallback.status, fallback.headers['docker-upload-uuid']]).toEqual([202, expect.any(String)]);
  });
});

test.each([
  ['PATCH', '/v2/team/app/manifests/a'],
  ['PATCH', `/v2/library/busybox/blobs/${image('hello').layer.digest}`],
  ['PUT', '/v2/team/app/blobs/uploads/'],
])('%s %s is 405', async (method, path) => {
  const { url } = await open();
  const answer = await send(url + path, { method });
  expect([answer.status, code(answer)]).toEqual([405, 'UNSUPPORTED']);
});

test('an upload session knows GET, PATCH, PUT and DELETE', async () => {
  const { url } = await open();
  const begun = await send(`${url}/v2/team/app/blobs/uploads/`, { method: 'POST' });
  const answer = await send(new URL(begun.headers.location ?? '', url).href, { method: 'POST' });
  expect(code(answer)).toBe('UNSUPPORTED');
});

test('the log holds every request in order, with path, query, headers, body, status and time', async () => {
  let now = 1_000;
  const registry = await registryFor({ auth: 'none', clock: () => now });
  await send(`${registry.url}/v2/?a=b`, { headers: { 'X-Test': 'yes' } });
  now = 2_000;
  await send(`${registry.url}/v2/n/blobs/uploads/?digest=sha256:0`, { method: 'POST', body: 'text' });
  expect(registry.requests).toMatchObject([
    {
      server: 'registry',
      method: 'GET',
      url: '/v2/?a=b',
      headers: { 'x-test': 'yes' },
      status: 200,
      at: 1_000,
    },
    { server: 'registry', method: 'POST', body: 'text', status: 400, at: 2_000 },
  ]);
  expect(registry.count()).toBe(2);
  expect(registry.count({ method: 'POST' })).toBe(1);
  expect(registry.count({ path: '/v2/' })).toBe(1);
  expect(registry.count({ path: /digest=/ })).toBe(1);
  expect(registry.count({ server: 'token' })).toBe(0);
});
