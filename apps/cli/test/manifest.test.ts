import { createHash } from 'node:crypto';
import type { Fault, Registry } from '@reg/testing';
import { describe, expect, test } from 'vitest';
import { skopeoFor } from '../../../packages/node/test/skopeo.ts';
import { isMissing, startDistribution } from '../../../packages/testing/test/docker-registry.ts';
import { entryFor, readPlatform } from '../src/reading/manifest.ts';
import { hintIn, registryFor, run } from './run.ts';
import { matchesSchema } from './schema.ts';

const imageType = 'application/vnd.oci.image.manifest.v1+json';
const indexType = 'application/vnd.oci.image.index.v1+json';
const path = '/v2/team/app/manifests/1';

const registry = (options: Partial<Parameters<typeof registryFor>[0]> = {}) =>
  registryFor({ auth: 'none', repositories: { 'team/app': { tags: ['1', '2'] } }, ...options });

const digestOf = (bytes: string | Uint8Array, algorithm = 'sha256') =>
  `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;

/** What the registry sends for a tag. */
async function stored({ url }: Registry, tag = '1') {
  const response = await fetch(`${url}/v2/team/app/manifests/${tag}`);
  const text = await response.text();
  return { text, digest: digestOf(text), size: text.length };
}

/** Answers with `body` in place of the tag `1`, and says of itself what `headers` do. */
const sending = (body: string, headers: Record<string, string> = {}): Fault => ({
  kind: 'status',
  status: 200,
  body,
  headers: { 'Content-Type': imageType, ...headers },
  path,
  times: 9,
});

describe('reg manifest', () => {
  test('prints JSON to be read, by people and by programs', async () => {
    const open = await registry();
    const { text } = await stored(open);
    const ran = await run(['manifest', `${open.host}/team/app:1`]);
    expect(ran).toEqual({ code: 0, stdout: `${JSON.stringify(JSON.parse(text), null, 2)}\n`, stderr: '' });
  });

  test('in which nothing is hidden, and which still says the same', async () => {
    const { host, faults } = await registry();
    const content = { annotations: { title: '\u202etxt.exe\u001b[2J\u{e0041}', 'a\u0007b': 'ü😀' } };
    faults.add(sending(JSON.stringify(content)));
    const { stdout } = await run(['manifest', `${host}/team/app:1`]);
    expect(stdout).toContain('"\\u202etxt.exe\\u001b[2J\\udb40\\udc41"');
    expect(stdout).toContain('ü😀');
    expect(JSON.parse(stdout)).toEqual(content);
  });

  test('is asked for in all the ways there are to describe an image', async () => {
    const { host, requests } = await registry();
    await run(['manifest', `${host}/team/app:1`]);
    expect(requests[0]?.headers['accept']?.split(', ')).toHaveLength(4);
  });

  test('--raw prints it byte for byte', async () => {
    const { host, faults } = await registry();
    const body = ' {\r\n"a" :\t"\u001b[1m\u00a0"}\n\n';
    faults.add(sending(body));
    const chunks: Uint8Array[] = [];
    await run(['manifest', `${host}/team/app:1`, '--raw'], { onBytes: (bytes) => chunks.push(bytes) });
    expect(Buffer.concat(chunks)).toEqual(Buffer.from(body));
  });

  test('--raw on a terminal does nothing to the terminal', async () => {
    const { host, faults } = await registry();
    faults.add(sending('{"a":\t"\u001b[2J"}'));
    const { stdout } = await run(['manifest', `${host}/team/app:1`, '--raw'], { terminal: 80 });
    expect(stdout).toBe('{"a":\t"\\u{1b}[2J"}\n');
  });

  test('-o json is a document about it', async () => {
    const open = await registry();
    const { text, digest, size } = await stored(open);
    const { stdout } = await run(['manifest', `${open.host}/team/app:1`, '-o', 'json']);
    expect(matchesSchema('manifest', stdout)).toEqual({
      reference: `${open.host}/team/app:1`,
      mediaType: imageType,
      size,
      digest,
      manifest: JSON.parse(text),
    });
  });

  test.each([
    ['--raw', '--head'],
    ['--raw', '--digest'],
    ['--head', '--digest'],
    ['--raw', '-o', 'json'],
    ['--platform', 'linux'],
    ['--platform', 'linux/'],
    ['--platform', 'linux/arm/v7/x'],
    ['--platform', 'li nux/arm'],
  ])('%s %s %s is a complaint about the command line', async (...flags) => {
    const { host, count } = await registry();
    expect(await run(['manifest', `${host}/team/app:1`, ...flags])).toMatchObject({ code: 2, stdout: '' });
    expect(count()).toBe(0);
  });

  test('of what is not there', async () => {
    const { host } = await registry();
    expect(await run(['manifest', `${host}/team/app:3`])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('MANIFEST_UNKNOWN'),
    });
  });
});

describe('reg manifest --head and --digest fetch no manifest', () => {
  test('--head says media type, size and digest', async () => {
    const open = await registry();
    const { digest, size } = await stored(open);
    const { stdout } = await run(['manifest', `${open.host}/team/app:1`, '--head']);
    expect(stdout).toBe(`media type  ${imageType}\nsize        ${size}\ndigest      ${digest}\n`);
    expect(open.requests.slice(1).map(({ method }) => method)).toEqual(['HEAD']);
  });

  test('--digest prints it alone', async () => {
    const open = await registry();
    const { digest } = await stored(open);
    expect(await run(['manifest', `${open.host}/team/app:1`, '--digest'])).toMatchObject({
      stdout: `${digest}\n`,
    });
    expect(open.requests.slice(1).map(({ method }) => method)).toEqual(['HEAD']);
  });

  test('-o json with either', async () => {
    const open = await registry();
    const { digest, size } = await stored(open);
    for (const flag of ['--head', '--digest']) {
      const { stdout } = await run(['manifest', `${open.host}/team/app:1`, flag, '-o', 'json']);
      expect(matchesSchema('manifest', stdout)).toMatchObject({ digest, size, manifest: null });
    }
  });

  test('where the registry does not say the digest, --head says that, and --digest computes it', async () => {
    const { host, faults, requests } = await registry();
    faults.add(sending('{}'));
    const { stdout } = await run(['manifest', `${host}/team/app:1`, '--head']);
    expect(stdout).toContain('digest      not said\n');
    const head = await run(['manifest', `${host}/team/app:1`, '--head', '-o', 'json']);
    expect(matchesSchema('manifest', head.stdout)).toMatchObject({ digest: null });
    expect(await run(['manifest', `${host}/team/app:1`, '--digest'])).toMatchObject({
      code: 0,
      stdout: `${digestOf('{}')}\n`,
    });
    expect(requests.map(({ method }) => method)).toEqual(['HEAD', 'HEAD', 'HEAD', 'GET']);
  });

  test('the size of something compressed is not the size of the manifest', async () => {
    const { host, faults } = await registry();
    faults.add(sending('{}', { 'Content-Encoding': 'gzip' }));
    const { stdout } = await run(['manifest', `${host}/team/app:1`, '--head']);
    expect(stdout).toContain('size        not said\n');
  });

  test.each([405, 501])('where there is no HEAD (%i) it is fetched', async (status) => {
    const open = await registry();
    const { digest } = await stored(open);
    open.faults.add({ kind: 'status', status, method: 'HEAD', path, times: 2 });
    expect(await run(['manifest', `${open.host}/team/app:1`, '--digest'])).toMatchObject({
      stdout: `${digest}\n`,
    });
    const { stdout } = await run(['manifest', `${open.host}/team/app:1`, '--head']);
    expect(stdout).toContain(digest);
  });

  test.each([
    [404, 3],
    [403, 5],
    [429, 7],
    [500, 6],
  ])('%i is exit code %i', async (status, code) => {
    const { host, faults } = await registry();
    faults.add({ kind: 'status', status, method: 'HEAD', path, times: 9 });
    for (const flag of ['--head', '--digest'])
      expect(await run(['manifest', `${host}/team/app:1`, flag])).toMatchObject({ code, stdout: '' });
  });
});

describe('a manifest that is not what its digest says is an error', () => {
  const body = '{"layers":[]}';

  test('where it was asked for by digest', async () => {
    const { host, faults } = await registry();
    const wanted = digestOf('something else');
    faults.add({ ...sending(body), path: `/v2/team/app/manifests/${wanted}` });
    for (const flags of [[], ['--raw'], ['-o', 'json']]) {
      const ran = await run(['manifest', `${host}/team/app@${wanted}`, ...flags]);
      expect(ran).toMatchObject({ code: 9, stdout: '' });
      expect(ran.stderr.replace(/\s+/g, ' ')).toContain(`is not ${wanted}: its digest is ${digestOf(body)}`);
    }
  });

  test('where the registry itself says another digest', async () => {
    const { host, faults } = await registry();
    faults.add(sending(body, { 'Docker-Content-Digest': digestOf('something else') }));
    expect(await run(['manifest', `${host}/team/app:1`])).toMatchObject({ code: 9, stdout: '' });
  });

  test('of a HEAD too', async () => {
    const { host, faults } = await registry();
    const wanted = digestOf('something else');
    const headers = { 'Docker-Content-Digest': digestOf(body) };
    faults.add({ ...sending(body, headers), path: `/v2/team/app/manifests/${wanted}` });
    expect(await run(['manifest', `${host}/team/app@${wanted}`, '--digest'])).toMatchObject({
      code: 9,
      stdout: '',
    });
  });

  test('a SHA-512 is one too', async () => {
    const { host, faults } = await registry();
    const wanted = digestOf(body, 'sha512');
    faults.add({ ...sending(body), path: `/v2/team/app/manifests/${wanted}` });
    expect(await run(['manifest', `${host}/team/app@${wanted}`])).toMatchObject({ code: 0 });
    faults.clear();
    faults.add({ ...sending(`${body} `), path: `/v2/team/app/manifests/${wanted}` });
    expect(await run(['manifest', `${host}/team/app@${wanted}`])).toMatchObject({ code: 9 });
  });

  test.each([
    'sha256:\u00e9',
    'sha256:abc',
    digestOf('x').toUpperCase(),
    `sha256:${'G'.repeat(64)}`,
    'md5:0',
  ])('a digest field %j is none and says nothing', async (digest) => {
    const { host, faults } = await registry();
    faults.add(sending(body, { 'Docker-Content-Digest': digest }));
    expect(await run(['manifest', `${host}/team/app:1`])).toMatchObject({ code: 0 });
  });

  test('a digest of another algorithm than was asked for is no contradiction', async () => {
    const { host, faults } = await registry();
    const wanted = digestOf(body, 'sha512');
    const headers = { 'Docker-Content-Digest': digestOf(body) };
    faults.add({ ...sending(body, headers), path: `/v2/team/app/manifests/${wanted}` });
    for (const flag of ['--raw', '--head', '--digest'])
      expect(await run(['manifest', `${host}/team/app@${wanted}`, flag])).toMatchObject({ code: 0 });
  });

  test('the digest is of the algorithm that the registry uses', async () => {
    const { host, faults } = await registry();
    const digest = digestOf(body, 'sha512');
    faults.add(sending(body, { 'Docker-Content-Digest': digest }));
    for (const flags of [[], ['--head']]) {
      const { stdout } = await run(['manifest', `${host}/team/app:1`, '-o', 'json', ...flags]);
      expect(matchesSchema('manifest', stdout)).toMatchObject({ digest });
    }
  });
});

describe('what is no manifest', () => {
  test.each(['', 'null', '[]', '"a"', '{"a":', '<html>'])('the body %j', async (body) => {
    const { host, faults } = await registry();
    faults.add(sending(body));
    for (const flags of [[], ['-o', 'json']])
      expect(await run(['manifest', `${host}/team/app:1`, ...flags])).toMatchObject({ code: 9, stdout: '' });
    expect(await run(['manifest', `${host}/team/app:1`, '--raw'])).toMatchObject({ code: 0, stdout: body });
  });

  test.each([
    ['a web page', '<html>', { 'Content-Type': 'text/html' }],
    ['a page that says nothing of itself', '<html>', { 'Content-Type': '' }],
    ['nothing', '', {}],
  ])('--digest and --head say nothing of %s', async (what, body, headers) => {
    const { host, faults } = await registry();
    faults.add({ ...sending(body, headers), times: 99 });
    const ran = await run(['manifest', `${host}/team/app:1`, '--digest']);
    expect(ran).toMatchObject({ code: 9, stdout: '' });
    expect(hintIn(ran)).not.toBe('');
    const isTold = what !== 'a page that says nothing of itself';
    const head = await run(['manifest', `${host}/team/app:1`, '--head', '-o', 'json']);
    expect(head.code).toBe(isTold ? 9 : 0);
    faults.add({ kind: 'status', status: 405, method: 'HEAD', path, times: 9 });
    for (const flag of ['--head', '--digest'])
      expect(await run(['manifest', `${host}/team/app:1`, flag])).toMatchObject({ code: 9, stdout: '' });
  });

  test('a size of nothing beside a digest is that of a HEAD, and not said', async () => {
    const open = await registry();
    const { digest } = await stored(open);
    open.faults.add({ ...sending('', { 'Docker-Content-Digest': digest }), method: 'HEAD' });
    const { code, stdout } = await run(['manifest', `${open.host}/team/app:1`, '--head', '-o', 'json']);
    expect(code).toBe(0);
    expect(matchesSchema('manifest', stdout)).toMatchObject({ digest, size: null });
  });

  test('more than 4 MiB', async () => {
    const { host, faults } = await registry();
    faults.add({ kind: 'oversized-body', bytes: 5 * 1024 * 1024, path });
    expect(await run(['manifest', `${host}/team/app:1`])).toMatchObject({
      code: 9,
      stderr: expect.stringContaining('larger than 4 MiB'),
    });
  });

  test('one that breaks off', async () => {
    const { host, faults } = await registry();
    faults.add({ kind: 'truncated-body', path });
    expect(await run(['manifest', `${host}/team/app:1`])).toMatchObject({ code: 6, stdout: '' });
  });
});

describe('--platform picks from an index', () => {
  /** Pushes an index of both images of the registry as `all`. */
  async function withIndex(
    platforms = [
      ['linux', 'amd64'],
      ['linux', 'arm64', 'v8'],
    ],
  ) {
    const open = await registry();
    const images = [await stored(open, '1'), await stored(open, '2')];
    const manifests = platforms.map(([os, architecture, variant], i) => ({
      mediaType: imageType,
      digest: images[i % 2]?.digest,
      size: images[i % 2]?.size,
      platform: { os, architecture, variant },
    }));
    const body = JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests });
    const pushed = await fetch(`${open.url}/v2/team/app/manifests/all`, {
      method: 'PUT',
      headers: { 'Content-Type': indexType },
      body,
    });
    expect(pushed.status).toBe(201);
    return { host: open.host, images };
  }

  test('the manifest of that image, in every form', async () => {
    const { host, images } = await withIndex();
    const args = ['manifest', `${host}/team/app:all`, '--platform', 'linux/arm64'];
    const text = images[1]?.text ?? '';
    const digest = images[1]?.digest;
    expect((await run([...args, '--raw'])).stdout).toBe(text);
    expect((await run([...args, '--digest'])).stdout).toBe(`${digest}\n`);
    expect((await run([...args, '--head'])).stdout).toContain(`digest      ${digest}\n`);
    expect(JSON.parse((await run(args)).stdout)).toEqual(JSON.parse(text));
    const { stdout } = await run([...args, '-o', 'json']);
    expect(matchesSchema('manifest', stdout)).toMatchObject({
      reference: `${host}/team/app@${digest}`,
      digest,
    });
  });

  test('one that is not there: those that are, each once', async () => {
    const { host } = await withIndex([
      ['linux', 'amd64'],
      ['unknown', 'unknown'],
      ['linux', 'amd64'],
      ['linux', 'arm', 'v7'],
    ]);
    const ran = await run(['manifest', `${host}/team/app:all`, '--platform', 'linux/s390x', '--digest']);
    expect(ran.code).toBe(3);
    expect(ran.stderr).toContain('nothing for linux/s390x: it is for linux/amd64, linux/arm/v7\n');
    expect(hintIn(ran)).toBe(`reg manifest ${host}/team/app:all --digest --platform linux/amd64`);
  });

  test('of what is one image, that image, and says so', async () => {
    const open = await registry();
    const { text } = await stored(open);
    const args = ['manifest', `${open.host}/team/app:1`, '--platform', 'linux/amd64', '--raw'];
    expect(await run(args)).toMatchObject({
      code: 0,
      stdout: text,
      stderr: expect.stringContaining('is no index but one image'),
    });
    expect(await run([...args, '-q'])).toMatchObject({ code: 0, stdout: text, stderr: '' });
  });

  test.each([
    ['an index and an image at once (CVE-2021-41190)', { manifests: [], layers: [] }],
    ['an entry without a digest', { manifests: [{ platform: { os: 'linux', architecture: 'amd64' } }] }],
    ['an entry whose digest is a path', { manifests: [{ digest: '../../../v2/' }] }],
    ['an entry that is none', { manifests: [null] }],
  ])('%s is refused', async (_, content) => {
    const { host, faults, count } = await registry();
    faults.add(sending(JSON.stringify(content), { 'Content-Type': indexType }));
    expect(await run(['manifest', `${host}/team/app:1`, '--platform', 'linux/amd64'])).toMatchObject({
      code: 9,
      stdout: '',
    });
    expect(count()).toBe(1);
  });

  test.each([
    ['linux/arm64', 'linux/arm64/v8', 0],
    ['linux/arm64/v8', 'linux/arm64', 0],
    ['linux/arm', 'linux/arm/v6 linux/arm/v7', 0],
    ['linux/arm/v7', 'linux/arm/v6 linux/arm/v7', 1],
    ['linux/arm/v8', 'linux/arm/v6 linux/arm/v7', null],
    ['linux/arm', 'linux/arm/v6 linux/arm', 1],
    ['windows/arm64', 'linux/arm64', null],
  ])('%s of %s', (wanted, offered, index) => {
    const entries = offered
      .split(' ')
      .map((text, i) => ({ digest: String(i), platform: readPlatform(text) }));
    expect(entryFor(entries, readPlatform(wanted))?.digest ?? null).toBe(
      index === null ? null : String(index),
    );
  });
});

describe("a manifest of Docker's schema 1", () => {
  const type = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
  const signed = '{\n   "schemaVersion": 1,\n   "name": "team/app"\n}';
  const sealed = (payload: string) => {
    const about = { formatLength: payload.length - 2, formatTail: Buffer.from('\n}').toString('base64url') };
    return Buffer.from(JSON.stringify(about)).toString('base64url');
  };
  const jws = (content: string, payload: string) =>
    `${content.slice(0, -2)},\n   "signatures": [{"protected": "${sealed(payload)}"}]\n}`;

  test('has the digest of what is signed in it', async () => {
    const { host, faults } = await registry();
    faults.add(
      sending(jws(signed, signed), { 'Content-Type': type, 'Docker-Content-Digest': digestOf(signed) }),
    );
    expect(await run(['manifest', `${host}/team/app:1`])).toMatchObject({ code: 0 });
  });

  test('and nothing else is shown under that digest', async () => {
    const { host, faults } = await registry();
    const other = signed.replace('team/app', 'evil/app');
    faults.add(
      sending(jws(other, signed), { 'Content-Type': type, 'Docker-Content-Digest': digestOf(signed) }),
    );
    expect(await run(['manifest', `${host}/team/app:1`])).toMatchObject({ code: 9, stdout: '' });
    const about = { formatLength: 0, formatTail: Buffer.from(signed).toString('base64url') };
    const hidden = Buffer.from(JSON.stringify(about)).toString('base64url');
    faults.clear();
    const body = `{"name":"evil/app","signatures":[{"protected":"${hidden}"}]}`;
    faults.add(sending(body, { 'Content-Type': type, 'Docker-Content-Digest': digestOf(signed) }));
    expect(await run(['manifest', `${host}/team/app:1`])).toMatchObject({ code: 9, stdout: '' });
  });
});

describe.skipIf(isMissing('docker-registry', 'skopeo'))(
  'CNCF Distribution, with an image that skopeo pushed',
  () => {
    test('the same bytes and digest as skopeo has', async () => {
      const { host } = await startDistribution(null);
      const skopeo = await skopeoFor(host, null);
      await skopeo.push('team/app', '1.0', 'hello');
      const text = await skopeo.manifest('team/app', '1.0');
      const reference = `${host}/team/app:1.0`;
      expect((await run(['manifest', reference, '--raw'])).stdout).toBe(text);
      expect((await run(['manifest', reference, '--digest'])).stdout).toBe(`${digestOf(text)}\n`);
      const byDigest = await run(['manifest', `${host}/team/app@${digestOf(text)}`, '-o', 'json']);
      expect(matchesSchema('manifest', byDigest.stdout)).toMatchObject({ manifest: JSON.parse(text) });
      expect((await run(['tags', `${host}/team/app`])).stdout).toBe('1.0\n');
      expect((await run(['tags', `${host}/team/app`, '--last', '1.0'])).stdout).toBe('');
      expect((await run(['catalog', host])).stdout).toBe('team/app\n');
    });
  },
);
