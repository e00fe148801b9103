import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { canary, type Fault } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { skopeoFor } from '../../../packages/node/test/skopeo.ts';
import { isMissing, startDistribution } from '../../../packages/testing/test/docker-registry.ts';
import { Stop } from '../src/surroundings.ts';
import { hintIn, registryFor, run } from './run.ts';

const password = canary('password');
const users = { alice: password };
const path = '/v2/team/app/tags/list';
const tags = '{"name":"team/app","tags":["1"]}';

const registry = (options: Partial<Parameters<typeof registryFor>[0]> = {}) =>
  registryFor({ auth: 'none', users, repositories: { 'team/app': { tags: ['1'] } }, ...options });

const answering = (status: number, body: string, headers: Record<string, string> = {}): Fault => ({
  kind: 'status',
  status,
  body,
  headers,
  path,
});

const flat = (text: string) => text.replace(/\s+/g, ' ');

/** The options that sign alice in. */
const asAlice = (realm: string) => ['-u', 'alice', '--password-stdin', '--trust-realm', realm];

describe('reg api prints what the registry answers', () => {
  test('to a URL, a URL without a scheme, and a path', async () => {
    const { url, host } = await registry();
    for (const about of [
      [`${url}${path}`],
      [`${host}${path}`],
      ['-R', host, path],
      ['GET', `${host}${path}`],
      ['get', '-R', url, path],
      ['-X', 'GET', `${host}${path}`],
      ['-R', host, `${url}${path}`],
    ])
      expect(await run(['api', ...about])).toEqual({ code: 0, stdout: tags, stderr: '' });
  });

  test('with a token for what the URL needs', async () => {
    const { host, pair, requests } = await registry({ auth: 'bearer' });
    const args = ['api', `${host}${path}`, ...asAlice(pair.realm)];
    expect(await run(args, { stdin: password })).toMatchObject({ code: 0, stdout: tags });
    expect(requests[1]?.url).toContain('scope=repository%3Ateam%2Fapp%3Apull&');
  });

  test('byte for byte, whatever it is', async () => {
    const { host, url } = await registry();
    const bytes = randomBytes(200_000);
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const begun = await fetch(`${url}/v2/team/app/blobs/uploads/`, { method: 'POST' });
    const upload = new URL(begun.headers.get('location') ?? '', url);
    upload.searchParams.set('digest', digest);
    await fetch(upload, { method: 'PUT', body: bytes });
    const chunks: Uint8Array[] = [];
    await run(['api', `${host}/v2/team/app/blobs/${digest}`], { onBytes: (chunk) => chunks.push(chunk) });
    expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
    const refused = await run(['api', `${host}/v2/team/app/blobs/${digest}`], { terminal: 80 });
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('> FILE') });
  });

  test('on a terminal as text that does nothing to it', async () => {
    const { host, faults } = await registry();
    faults.add(answering(200, '\u001b[2J{\n\t"ü": 1}\u202e', { 'X-Note': '\u009b2J' }));
    const { stdout } = await run(['api', '-i', `${host}${path}`], { terminal: 80 });
    expect(stdout).toContain('x-note: \\u{9b}2J\n');
    expect(stdout.endsWith('\n\n\\u{1b}[2J{\n\t"ü": 1}\\u{202e}\n')).toBe(true);
  });

  test('-i prints the status line and the fields before it, but no secret', async () => {
    const { host, faults } = await registry();
    const cookie = canary('token');
    faults.add(answering(200, 'body', { 'X-A': 'b', 'Set-Cookie': `session=${cookie}`, Link: '</x>' }));
    const { stdout } = await run(['api', '-i', `${host}${path}`]);
    const [head = '', body] = stdout.split('\n\n');
    expect(head.split('\n')[0]).toBe('HTTP/1.1 200 OK');
    expect(head.split('\n').slice(1)).toEqual(
      expect.arrayContaining(['x-a: b', 'link: </x>', 'set-cookie: •••']),
    );
    expect(body).toBe('body');
  });

  test('of a HEAD the head', async () => {
    const { host } = await registry();
    const { stdout } = await run(['api', 'HEAD', `${host}/v2/team/app/manifests/1`]);
    expect(stdout).toMatch(/^HTTP\/1\.1 200 OK\n(?:.|\n)*docker-content-digest: sha256:\w+\n(?:.|\n)*\n\n$/);
  });

  test('or with --silent nothing, but for the head that -i asks for', async () => {
    const { host } = await registry();
    expect(await run(['api', '--silent', `${host}${path}`])).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await run(['api', '--silent', 'HEAD', `${host}${path}`])).toMatchObject({ stdout: '' });
    expect((await run(['api', '--silent', '-i', `${host}${path}`])).stdout).toMatch(
      /^HTTP\/1\.1 200 OK\n(?:.|\n)*\n\n$/,
    );
  });

  test('until it is stopped', async () => {
    const { host, faults } = await registry();
    faults.add({ kind: 'stall', at: 'mid-body', path });
    const stop = new AbortController();
    const onBytes = () => stop.abort(new Stop(130));
    expect(await run(['api', '-i', `${host}${path}`], { signal: stop.signal, onBytes })).toMatchObject({
      code: 130,
      stderr: '',
    });
  });
});

describe('a status that is no success', () => {
  test.each([
    [400, 1],
    // Without a challenge.
    [401, 9],
    [403, 5],
    [404, 3],
    [405, 1],
    [429, 7],
    [500, 6],
  ])('%i: its body on stdout, a complaint on stderr, exit code %i', async (status, code) => {
    const { host, faults } = await registry();
    const body = '{"errors":[{"code":"SOME_CODE","message":"some words"}]}';
    faults.add({ ...answering(status, body), times: 9 });
    const ran = await run(['api', `${host}${path}`]);
    expect(ran).toMatchObject({ code, stdout: body });
    expect(ran.stderr).toMatch(/^reg: /);
    expect(hintIn(ran)).not.toBe('');
  });

  test('and the hint is the same request', async () => {
    const { host, faults } = await registry();
    faults.add(answering(200, 'half of it'));
    faults.add({ kind: 'truncated-body', path });
    const url = `${host}${path}`;
    const flags = [
      '-X',
      'PATCH',
      '-H',
      'Content-Type: a/b',
      '--input',
      '-',
      '--scope',
      'repository:team/app:pull',
    ];
    const ran = await run(['api', `${url}?secret`, ...flags], { stdin: '{}' });
    expect(ran.code).toBe(6);
    expect(hintIn(ran)).toBe(
      `reg api http://${url} -X PATCH -H 'Content-Type: a/b' --input - --scope repository:team/app:pull`,
    );
  });

  test('a redirect that is not followed is handed out', async () => {
    const { host, faults } = await registry();
    faults.add({ kind: 'redirect', status: 302, location: 'http://127.0.0.1:1/', path });
    const ran = await run(['api', '-i', 'POST', `${host}${path}`]);
    expect(ran).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('location: http://127.0.0.1:1/\n'),
    });
  });

  test('a body that breaks off is one as well', async () => {
    const { host, faults } = await registry();
    faults.add({ kind: 'truncated-body', path });
    expect(await run(['api', `${host}${path}`])).toMatchObject({ code: 6 });
  });
});

describe('--paginate follows the links', () => {
  const page = (body: string, next: string | null, after = 0): Fault => ({
    ...answering(200, body, next === null ? {} : { Link: `<${next}>; rel="next"` }),
    after,
  });

  test('and prints each page on lines of its own', async () => {
    const { host, faults, requests } = await registry();
    faults.add(page('{"tags":["0"]}', `${path}?n=1`));
    faults.add(page('{"tags":["1"]}\n', `${path}?n=2`, 1));
    const { code, stdout } = await run(['api', '--paginate', `${host}${path}?n=9`]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `{"tags":["0"]}\n{"tags":["1"]}\n${tags}\n` });
    expect(requests.map(({ url }) => url)).toEqual([`${path}?n=9`, `${path}?n=1`, `${path}?n=2`]);
  });

  test('of 10,000 tags', async () => {
    const many = Array.from({ length: 10_000 }, (_, i) => `v${String(i).padStart(5, '0')}`);
    const { host } = await registry({ repositories: { 'team/app': { tags: many } } });
    const { stdout } = await run(['api', '--paginate', `${host}${path}?n=1000`]);
    const pages = stdout.trimEnd().split('\n');
    expect(pages).toHaveLength(10);
    expect(pages.flatMap((text) => JSON.parse(text).tags)).toEqual(many);
  });

  test('to no other origin, in no circle, and past no error', async () => {
    const { host, faults, requests } = await registry();
    faults.add(page('{}', 'http://127.0.0.1:1/v2/'));
    expect(await run(['api', '--paginate', `${host}${path}`])).toMatchObject({ code: 9, stdout: '{}\n' });
    faults.clear();
    faults.add(page('{}', `${path}?a`));
    faults.add(page('{}', path, 1));
    expect(await run(['api', '--paginate', `${host}${path}`])).toMatchObject({ code: 9, stdout: '{}\n{}\n' });
    faults.clear();
    faults.add({ ...page('gone', `${path}?b`), status: 404 } as Fault);
    expect(await run(['api', '--paginate', `${host}${path}`])).toMatchObject({ code: 3, stdout: 'gone\n' });
    expect(requests).toHaveLength(4);
  });
});

describe('what is sent', () => {
  test('the method, the headers and the body, from a file or from stdin', async () => {
    const { host, requests, pair } = await registry({ auth: 'bearer' });
    const file = join(mkdtempSync(join(tmpdir(), 'reg-')), 'password');
    onTestFinished(() => rmSync(dirname(file), { recursive: true }));
    writeFileSync(file, password);
    const layer = `sha256:${createHash('sha256').update('1').digest('hex')}`;
    const empty = `sha256:${createHash('sha256').update('{}').digest('hex')}`;
    const type = 'application/vnd.oci.image.manifest.v1+json';
    const content = JSON.stringify({
      schemaVersion: 2,
      mediaType: type,
      config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: empty, size: 2 },
      layers: [{ mediaType: 'text/plain', digest: layer, size: 1 }],
      annotations: { pushed: 'by reg api' },
    });
    const args = [
      'api',
      '-R',
      host,
      '/v2/team/app/manifests/new',
      '-X',
      'PUT',
      '-H',
      `content-type:  ${type} `,
    ];
    const signed = ['-u', 'alice', '--password-file', file, '--trust-realm', pair.realm];
    const ran = await run([...args, ...signed, '--input', '-'], { stdin: content });
    expect(ran).toEqual({ code: 0, stdout: '', stderr: '' });
    // Without a hint a PUT is sent at once, and again with its token.
    expect(requests.filter(({ method }) => method === 'PUT').map(({ status }) => status)).toEqual([401, 201]);
    expect(requests.at(-1)).toMatchObject({ body: content, headers: { 'content-type': type } });

    // From who hands in a body no answer is expected.
    const unasked = await run([...args, '-u', 'alice', '--input', file], {
      stdin: { typed: [`${password}\r`] },
    });
    expect(unasked).toMatchObject({ code: 2, stdout: '' });

    writeFileSync(file, content);
    const again = await run([...args, ...asAlice(pair.realm), '--input', file], { stdin: password });
    expect(again).toMatchObject({ code: 0 });
  });

  test('--input makes it a POST of bytes', async () => {
    const { host, requests } = await registry();
    await run(['api', `${host}/v2/team/app/blobs/uploads/`, '--input', '-'], { stdin: 'x' });
    expect(requests[0]).toMatchObject({
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
    });
  });

  test('a body with --no-input too, in either order', async () => {
    const { host, requests } = await registry();
    const upload = `${host}/v2/team/app/blobs/uploads/`;
    await run(['api', upload, '--input', '-', '--no-input'], { stdin: 'x' });
    await run(['api', upload, '--no-input', '--input', '-'], { stdin: 'x' });
    expect(requests.map(({ method, headers }) => [method, headers['content-length']])).toEqual([
      ['POST', '1'],
      ['POST', '1'],
    ]);
  });

  test('a mount that may only be an upload is one, and that is said', async () => {
    const { host, pair, tokenUrl, faults } = await registry({
      auth: 'bearer',
      repositories: { 'team/app': { tags: ['1'] }, 'other/app': { tags: ['1'], access: {} } },
    });
    const scope = 'repository:team/app:pull,push repository:other/app:pull';
    const challenge = `Bearer realm="${tokenUrl}",service="test-registry",scope="${scope}"`;
    faults.add({ kind: 'challenge', values: [challenge], path: /mount=/, times: Number.POSITIVE_INFINITY });
    const mount = `mount=sha256:${createHash('sha256').update('1').digest('hex')}&from=other/app`;
    const args = ['api', '-i', 'POST', `${host}/v2/team/app/blobs/uploads/?${mount}`, ...asAlice(pair.realm)];
    const ran = await run(args, { stdin: password });
    expect(ran).toMatchObject({ code: 0, stdout: expect.stringContaining('HTTP/1.1 202 Accepted\n') });
    expect(ran.stderr).toMatch(/^reg: .*other\/app/);
    expect(await run([...args, '-q'], { stdin: password })).toMatchObject({ code: 0, stderr: '' });
  });

  test('all ways to describe an image, where a manifest is read, unless it is said which', async () => {
    const { host, requests } = await registry();
    const url = `${host}/v2/team/app/manifests/1`;
    await run(['api', url]);
    await run(['api', url, '-H', 'Accept: text/plain']);
    await run(['api', `${host}${path}`]);
    expect(requests.map(({ headers }) => headers['accept']?.split(',').length)).toEqual([4, 1, undefined]);
    expect(requests[1]?.headers['accept']).toBe('text/plain');
  });

  test('a token for --scope, in place of what the URL needs', async () => {
    const { host, pair, requests } = await registry({ auth: 'bearer' });
    const args = [
      'api',
      `${host}${path}`,
      ...asAlice(pair.realm),
      '--scope',
      'repository:team/app:pull,push',
    ];
    expect(await run([...args, '-vv'], { stdin: password })).toMatchObject({ code: 0, stdout: tags });
    expect(requests.find(({ server }) => server === 'token')?.url).toContain('pull%2Cpush');
    expect(requests.filter(({ url }) => url === path)).toHaveLength(1);

    const narrow = ['api', `${host}${path}`, ...asAlice(pair.realm), '--scope', 'repository:team/other:pull'];
    const ran = await run(narrow, { stdin: password });
    expect(ran.code).toBeGreaterThan(3);
    expect(flat(ran.stderr)).toContain('does not take a token for what --scope says');
    expect(hintIn(ran)).not.toContain('--scope');
  });
});

describe('what is not sent', () => {
  const secret = canary('password');

  test.each([
    ['a path without its registry', ['/v2/']],
    ['a host without a path', ['ghcr.io']],
    ['nothing', []],
    ['two registries', ['-R', 'ghcr.io', 'https://quay.io/v2/']],
    ['a repository as a registry', ['-R', 'ghcr.io/o/app', '/v2/']],
    ['a line end in a path', ['ghcr.io/v2/a\nb']],
    ['a blank in a path', ['ghcr.io/v2/a b']],
    ['a password in a URL', [`https://a:${secret}@ghcr.io/v2/`]],
    ['a password in a host', [`a:${secret}@ghcr.io/v2/`]],
    ['another scheme', ['ftp://ghcr.io/v2/']],
    ['no method', ['FETCH', 'ghcr.io/v2/']],
    ['two methods', ['PUT', 'ghcr.io/v2/', '-X', 'POST']],
    ['CONNECT', ['CONNECT', 'ghcr.io/v2/']],
    ['a line end in a method', ['GET\nHost: evil', 'ghcr.io/v2/']],
    ['a body of a GET', ['GET', 'ghcr.io/v2/', '--input', '-']],
    ['pages of a POST', ['POST', 'ghcr.io/v2/', '--paginate']],
    ['a body from no file', ['ghcr.io/v2/', '--input', '/nonexistent']],
    ['a body from nowhere', ['ghcr.io/v2/', '--input=']],
    ['stdin twice', ['ghcr.io/v2/', '--input', '-', '-u', 'a', '--password-stdin']],
    ['a header without a colon', ['ghcr.io/v2/', '-H', secret]],
    ['a header without a name', ['ghcr.io/v2/', '-H', `: ${secret}`]],
    ['a header with a blank in its name', ['ghcr.io/v2/', '-H', 'A b: c']],
    ['a line end in a header', ['ghcr.io/v2/', '-H', `A: b\r\nAuthorization: Basic ${secret}`]],
    ['a character that no header holds', ['ghcr.io/v2/', '-H', 'A: …']],
    ['Authorization', ['ghcr.io/v2/', '-H', `authorization: Bearer ${secret}`]],
    ['Cookie', ['ghcr.io/v2/', '-H', `Cookie:${secret}`]],
    ['Host', ['ghcr.io/v2/', '-H', 'Host: evil.example']],
    ['Transfer-Encoding', ['ghcr.io/v2/', '-H', 'Transfer-Encoding: chunked']],
  ])('%s', async (_, args) => {
    // A secret in what is printed would fail the run.
    expect(await run(['api', ...args, '--no-input'])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/^reg: (?:.|\n)+\nhint: reg /),
    });
  });

  test('and the registry of a path is asked for in a hint that can be run', async () => {
    const ran = await run(['api', '/v2/a?secret=1']);
    expect(hintIn(ran)).toBe('reg api -R REGISTRY /v2/a');
  });

  test('stdin cannot be the body and the password', async () => {
    const ran = await run(['api', 'ghcr.io/v2/', '--input', '-', '-u', 'a', '--password-stdin'], {
      stdin: 'x',
    });
    expect(ran.stderr).toContain('stdin is either the body or the password');
  });

  test('a path stays at its registry, however it begins', async () => {
    const { host, requests } = await registry();
    for (const odd of ['//127.0.0.1:1/v2/', '/\\127.0.0.1:1/v2/', '/@127.0.0.1:1/v2/', '/../v2/'])
      await run(['api', '-R', host, odd]);
    expect(requests).toHaveLength(4);
  });
});

describe.skipIf(isMissing('docker-registry', 'skopeo'))(
  'CNCF Distribution, with an image that skopeo pushed',
  () => {
    test('its manifest is read, tagged again, and deleted', async () => {
      const { host } = await startDistribution(null);
      const skopeo = await skopeoFor(host, null);
      await skopeo.push('team/app', '1.0', 'hello');
      const url = `${host}/v2/team/app/manifests`;
      const read = await run(['api', `${url}/1.0`]);
      expect(read.stdout).toBe(await skopeo.manifest('team/app', '1.0'));
      const { mediaType } = JSON.parse(read.stdout);
      const put = ['api', 'PUT', `${url}/2.0`, '-H', `Content-Type: ${mediaType}`, '--input', '-', '-i'];
      const written = await run(put, { stdin: read.stdout });
      expect(written).toMatchObject({ code: 0, stderr: '' });
      expect((await skopeo.tags('team/app')).toSorted()).toEqual(['1.0', '2.0']);
      const [, digest] = /^docker-content-digest: (\S+)$/m.exec(written.stdout) ?? [];
      expect(await run(['api', 'DELETE', `${url}/${digest}`])).toEqual({ code: 0, stdout: '', stderr: '' });
      expect(await run(['api', `${url}/1.0`])).toMatchObject({
        code: 3,
        stdout: expect.stringContaining('MANIFEST_UNKNOWN'),
      });
    });
  },
);
