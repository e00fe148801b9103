import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { canary, type Fault } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { pages } from '../src/reading/pages.ts';
import { filterFor } from '../src/reading/pattern.ts';
import type { Again } from '../src/registry/argument.ts';
import type { Asked, Client } from '../src/registry/client.ts';
import { hintIn, registryFor, run } from './run.ts';
import { matchesSchema } from './schema.ts';

const password = canary('password');
const users = { alice: password };
const path = '/v2/team/app/tags/list';
const names = ['1', '1.0', 'latest'];

const registry = (options: Partial<Parameters<typeof registryFor>[0]> = {}) =>
  registryFor({ auth: 'none', users, repositories: { 'team/app': { tags: names } }, ...options });

const page = (body: string, headers: Record<string, string> = {}): Fault => ({
  kind: 'status',
  status: 200,
  body,
  headers: { 'Content-Type': 'application/json', ...headers },
  path,
});

describe('reg tags prints one tag a line', () => {
  test('of an open registry', async () => {
    const { host } = await registry();
    expect(await run(['tags', `${host}/team/app`])).toEqual({
      code: 0,
      stdout: '1\n1.0\nlatest\n',
      stderr: '',
    });
  });

  test('by Basic, the password from stdin without its line end', async () => {
    const { host } = await registry({ auth: 'basic' });
    const args = ['tags', `${host}/team/app`, '-u', 'alice', '--password-stdin'];
    for (const stdin of [password, `${password}\n`, `${password}\r\n`]) {
      expect(await run(args, { stdin })).toMatchObject({ code: 0, stdout: '1\n1.0\nlatest\n' });
    }
  });

  test('by a token, three requests, the password from the environment', async () => {
    const { host, pair, count } = await registry({ auth: 'bearer' });
    const args = ['tags', `${host}/team/app`, '-u', 'alice', '--trust-realm', pair.realm];
    const ran = await run(args, { env: { REG_PASSWORD: password } });
    expect(ran).toEqual({ code: 0, stdout: '1\n1.0\nlatest\n', stderr: '' });
    expect(count()).toBe(3);
  });

  test('anonymously where anyone may', async () => {
    const { host, pair, requests } = await registry({
      auth: 'bearer',
      repositories: { 'team/app': { tags: names, visibility: 'public' } },
    });
    const args = ['tags', `${host}/team/app`, '--anonymous', '--trust-realm', pair.realm];
    expect(await run(args)).toMatchObject({ code: 0, stdout: '1\n1.0\nlatest\n' });
    expect(requests[1]?.headers['authorization']).toBeUndefined();
  });

  test('over TLS under an authority of its own, or unchecked', async () => {
    const { host, ca } = await registry({ tls: true });
    const file = join(mkdtempSync(join(tmpdir(), 'reg-')), 'ca.pem');
    onTestFinished(() => rmSync(dirname(file), { recursive: true }));
    writeFileSync(file, ca ?? '');
    // A loopback address speaks http unless told otherwise, so the URL of `trace` is what says https here.
    for (const option of [['--ca-file', file], ['-k']]) {
      expect(await run(['trace', `https://${host}/v2/`, ...option])).toMatchObject({ code: 0, stderr: '' });
    }
    const refused = await run(['trace', `https://${host}/v2/`]);
    expect(refused.code).toBe(6);
    expect(hintIn(refused)).toMatch(/^reg doctor /);
  });

  test('page after page, on one connection', async () => {
    const { host, faults, count } = await registry();
    faults.add(page('{"name":"team/app","tags":["0"]}', { Link: `<${path}?n=1>; rel="next"` }));
    expect(await run(['tags', `${host}/team/app`])).toMatchObject({ code: 0, stdout: '0\n1\n1.0\nlatest\n' });
    expect(count()).toBe(4);
  });

  test.each(['{"tags":null}', '{"tags":[]}'])('and nothing for %s', async (body) => {
    const { host, faults } = await registry();
    faults.add(page(body));
    expect(await run(['tags', `${host}/team/app`])).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test('and a tag that holds a line end or an escape is still one line, and harmless', async () => {
    const { host, faults } = await registry();
    faults.add(page(JSON.stringify({ tags: ['a\nb', '\u001b[2Jc', '\u202etxt'] })));
    const { stdout } = await run(['tags', `${host}/team/app`], { terminal: 80 });
    expect(stdout).toBe('a\\nb\n\\u{1b}[2Jc\n\\u{202e}txt\n');
  });
});

describe('reg tags for scripts', () => {
  test('-o json is one document', async () => {
    const { host } = await registry();
    const { code, stdout, stderr } = await run(['tags', `${host}/team/app`, '-o', 'json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(matchesSchema('tags', stdout)).toEqual({ repository: `${host}/team/app`, tags: names });
    expect(stdout).toBe(`${JSON.stringify(JSON.parse(stdout), null, 2)}\n`);
  });

  test('-o ndjson is one document a line, a tag with a line end too', async () => {
    const { host, faults } = await registry();
    faults.add(page(JSON.stringify({ tags: ['a\nb', '\u202e'] })));
    const { stdout } = await run(['tags', `${host}/team/app`, '-o', 'ndjson']);
    const lines = stdout.trimEnd().split('\n');
    expect(lines.map((line) => matchesSchema('tags#/$defs/line', line))).toEqual([
      { tag: 'a\nb' },
      { tag: '\u202e' },
    ]);
  });

  test('text and ndjson are printed as the pages come, json only when it is whole', async () => {
    for (const [output, printed] of [
      ['text', '0\n'],
      ['ndjson', '{"tag":"0"}\n'],
      ['json', ''],
    ] as const) {
      const { host, faults } = await registry();
      faults.add(page('{"tags":["0"]}', { Link: `<${path}?b>; rel="next"` }));
      faults.add({ kind: 'truncated-body', path, after: 1 });
      expect(await run(['tags', `${host}/team/app`, '-o', output])).toMatchObject({
        code: 6,
        stdout: printed,
      });
    }
  });

  test('10,000 tags over pages of 1,000', async () => {
    const tags = Array.from({ length: 10_000 }, (_, i) => `v${String(i).padStart(5, '0')}`);
    const { host, count } = await registry({ repositories: { 'team/app': { tags } } });
    const { code, stdout } = await run(['tags', `${host}/team/app`, '--limit', '10000', '-o', 'json']);
    expect(code).toBe(0);
    expect(matchesSchema('tags', stdout)).toEqual({ repository: `${host}/team/app`, tags });
    expect(count()).toBe(10);
  });
});

describe('reg tags asks for no more than is wanted', () => {
  const asked = ({ requests }: Awaited<ReturnType<typeof registry>>) => requests.map(({ url }) => url);

  test('of everything: the page size is the registry’s (Q61)', async () => {
    const open = await registry();
    await run(['tags', `${open.host}/team/app`]);
    expect(asked(open)).toEqual([path]);
  });

  test('--limit and --last', async () => {
    const open = await registry();
    const ran = await run(['tags', `${open.host}/team/app`, '--limit', '1', '--last', '1']);
    expect(ran).toEqual({ code: 0, stdout: '1.0\n', stderr: '' });
    expect(asked(open)).toEqual([`${path}?n=1&last=1`]);
  });

  test('--last where the registry lists all tags nevertheless, as CNCF Distribution 2 does', async () => {
    const { host, faults } = await registry();
    faults.add(page(JSON.stringify({ tags: names })));
    expect(await run(['tags', `${host}/team/app`, '--last', '1'])).toMatchObject({ stdout: '1.0\nlatest\n' });
  });

  test('--last on a later page is a tag like any other', async () => {
    const { host, faults } = await registry();
    faults.add(page('{"tags":["b"]}', { Link: `<${path}?b>; rel="next"` }));
    faults.add({ ...page('{"tags":["c","a","d"]}'), after: 1 });
    const { stdout } = await run(['tags', `${host}/team/app`, '--last', 'a']);
    expect(stdout).toBe('b\nc\na\nd\n');
  });

  test('--limit counts what is left by --include and --exclude, and the next page is not asked for', async () => {
    const open = await registry({ repositories: { 'team/app': { tags: ['1', '1-rc', '2', '2-rc', '3'] } } });
    open.faults.add({ ...page('{"tags":["1","1-rc","2"]}', { Link: `<${path}?last=2>; rel="next"` }) });
    const args = ['tags', `${open.host}/team/app`, '--include', '^[0-9]', '--exclude', '-rc$'];
    expect(await run([...args, '--limit', '2'])).toMatchObject({ code: 0, stdout: '1\n2\n' });
    expect(asked(open)).toEqual([`${path}?n=1000`]);
    expect(await run(args)).toMatchObject({ code: 0, stdout: '1\n2\n3\n' });
  });

  test.each(['0', '-1', '1.5', 'ten', '1e3', ''])('--limit %j is no number of tags', async (limit) => {
    const { host, count } = await registry();
    expect(await run(['tags', `${host}/team/app`, `--limit=${limit}`])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--limit takes a number from 1 on'),
    });
    expect(count()).toBe(0);
  });
});

describe('patterns', () => {
  test.each([
    ['--include', '(', 'Unterminated group'],
    ['--exclude', 'a: **', 'Nothing to repeat'],
  ])('%s %j is none, and says why', async (option, pattern, reason) => {
    const { host, count } = await registry();
    const ran = await run(['tags', `${host}/team/app`, option, pattern]);
    expect(ran).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`${option} '${pattern}' is no regular expression: ${reason}`),
    });
    expect(count()).toBe(0);
  });

  test('one that backtracks is stopped, whatever the registry has chosen for it', () => {
    const keep = filterFor({ include: '(a+)+$' }, 50);
    expect(keep?.(['aaa', 'b'])).toEqual(['aaa']);
    expect(() => keep?.([`${'a'.repeat(128)}!`])).toThrow('busy without end');
  });
});

describe('a list that cannot be followed to its end is an error, after what there was of it', () => {
  test('a next page at another origin', async () => {
    const { host, faults } = await registry();
    const link = `<http://127.0.0.1:1${path}?last=0>; rel="next"`;
    faults.add(page('{"tags":["0"]}', { Link: link }));
    expect(await run(['tags', `${host}/team/app`])).toMatchObject({
      code: 9,
      stderr: expect.stringContaining('its next page is at another origin'),
    });
  });

  test.each([
    ['no URL', '<http://[>; rel="next"'],
    ['no URL, its relation unquoted', '</p>; rel=prev, <http://[>; title="a, <b>"; rel=next'],
    ['the page itself', `<${path}>; rel="next"`],
    ['the page itself, its relation unquoted', '<#top>;rel=next'],
    ['a URL with a password', '<http://a:b@$host/v2/x>; rel="next"'],
  ])('a link to the next page that is %s', async (_, link) => {
    for (const args of [
      ['tags', '$host/team/app'],
      ['api', '--paginate', '-R', '$host', path],
    ]) {
      const { host, faults } = await registry();
      faults.add(page('{"tags":["0"]}', { Link: link.replace('$host', host) }));
      const ran = await run(args.map((arg) => arg.replace('$host', host)));
      expect(ran).toMatchObject({
        code: 9,
        stdout: args[0] === 'tags' ? '0\n' : '{"tags":["0"]}\n',
        stderr: expect.stringContaining('the link to its next page leads nowhere'),
      });
    }
  });

  test.each(['</p>; rel="prev"', '<http://[>; rel="nextish"; title="rel=next"', '<>; rel="next"', 'next'])(
    'but %s is none, and the list at its end',
    async (link) => {
      const { host, faults } = await registry();
      faults.add(page('{"tags":["0"]}', { Link: link }));
      expect(await run(['tags', `${host}/team/app`])).toEqual({ code: 0, stdout: '0\n', stderr: '' });
    },
  );

  test('a registry that ignores where to go on, and sends the same names again', async () => {
    for (const next of [() => 'last=b', (i: number) => `page=${i}`]) {
      const { host, faults, count } = await registry();
      for (let i = 0; i < 4; i++)
        faults.add({ ...page('{"tags":["a","b"]}', { Link: `<${path}?${next(i)}>; rel="next"` }), after: i });
      expect(await run(['tags', `${host}/team/app`])).toMatchObject({
        code: 9,
        stdout: 'a\nb\n',
        stderr: expect.stringContaining('a page of it has the same names as the one before'),
      });
      expect(count()).toBe(2);
    }
  });

  test('pages that lead in a circle (requirement 136)', async () => {
    const { host, faults, count } = await registry();
    faults.add(page('{"tags":["0"]}', { Link: `<${path}?b>; rel="next"` }));
    faults.add({ ...page('{"tags":["1"]}', { Link: `<${path}>; rel="next"` }), after: 1 });
    expect(await run(['tags', `${host}/team/app`])).toMatchObject({
      code: 9,
      stdout: '0\n1\n',
      stderr: expect.stringContaining('read before'),
    });
    expect(count()).toBe(2);
  });

  test.each(['', 'null', '[]', '{}', '{"tags":1}', '{"tags":[1]}', '<html>', '{"tags":["a"]'])(
    'a body %j is none',
    async (body) => {
      const { host, faults } = await registry();
      faults.add(page(body));
      expect(await run(['tags', `${host}/team/app`])).toMatchObject({ code: 9, stdout: '' });
    },
  );

  test('a page that breaks off', async () => {
    const { host, faults } = await registry();
    faults.add({ kind: 'truncated-body', path });
    const ran = await run(['tags', `${host}/team/app`]);
    expect(ran).toMatchObject({ code: 6, stdout: '', stderr: expect.stringContaining('broke off') });
    expect(hintIn(ran)).toBe(`reg tags ${host}/team/app`);
  });

  test('a page of 64 MiB', async () => {
    const { host, faults } = await registry();
    faults.add({ kind: 'gzip-bomb', bytes: 64 * 1024 * 1024, path });
    expect(await run(['tags', `${host}/team/app`])).toMatchObject({
      code: 9,
      stderr: expect.stringContaining('larger than 32 MiB'),
    });
  });

  test('a list without an end, of one page after another', async () => {
    const client = {
      request: async ({ url }: Asked) => {
        const next = `</v2/?${Number(url.search.slice(1)) + 1}>; rel="next"`;
        return { head: { status: 200, headers: [['link', next]] }, url: url.href };
      },
    } as unknown as Client;
    const again = { command: 'reg tags', trace: 'reg trace' } as Again;
    let count = 0;
    const all = async () => {
      for await (const _ of pages(client, { method: 'GET', url: new URL('http://localhost/v2/') }, again))
        count++;
    };
    await expect(all()).rejects.toThrow('more than 10000 pages');
    expect(count).toBe(10_001);
  });

  test('one document of more than 64 Mi characters', async () => {
    const { host, faults } = await registry();
    for (let i = 0; i < 3; i++) {
      const body = JSON.stringify({ tags: [`${i}${'x'.repeat(24 * 1024 * 1024)}`] });
      faults.add({ ...page(body, { Link: `<${path}?${i}>; rel="next"` }), after: i });
    }
    const ran = await run(['tags', `${host}/team/app`, '-o', 'json']);
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toContain('-o ndjson');
  });

  test('a list without an end, of one empty page after another', async () => {
    const { host, faults, count } = await registry();
    for (let i = 0; i < 101; i++)
      faults.add({ ...page('{"tags":[]}', { Link: `<${path}?${i}>; rel="next"` }), after: i });
    expect(await run(['tags', `${host}/team/app`])).toMatchObject({
      code: 9,
      stderr: expect.stringContaining('101 of its pages in a row are empty'),
    });
    expect(count()).toBe(101);
  });
});
