import { execFile, spawnSync } from 'node:child_process';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Credential } from '../src/credential.ts';
import { createAuthorizer, type Outgoing, type Reply, staticKeychain } from '../src/driver/index.ts';
import type { PartialPolicy } from '../src/policy.ts';
import { type Transcript, toCurl } from '../src/transcript/index.ts';
import {
  begun,
  exchanged,
  obtained,
  registry,
  reply,
  send,
  sent,
  transcript,
  whole,
} from './transcript-samples.ts';

const hasCurl =
  spawnSync('curl', ['--version']).status === 0 && spawnSync('bash', ['--version']).status === 0;
if (!hasCurl) console.log('skipped: running the curl script needs bash and curl (apt-get install curl)');

/** Whether bash can read the script; it does nothing of it. */
function checkSyntax(script: string): void {
  const { status, stderr } = spawnSync('bash', ['-n'], { input: script, encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
}

const password = 'p4ss "CANARY" \\ $(echo no) `id` é\'';
const token = 'tok.CANARY_1/+~x==';

interface Seen {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly authorization: string | undefined;
  readonly body: string;
}

/** A registry with a token server and a storage server beside it, each on its own port of loopback. */
const seen: Seen[] = [];
let storage = '';
let origin = '';

const storageServer = createServer(async (request, response) => {
  await note(request);
  response.end('the blob');
});

const server = createServer(async (request, response) => {
  const body = await note(request);
  const url = new URL(request.url ?? '/', origin);
  const authorization = request.headers.authorization;
  if (url.pathname === '/token') {
    const form = new URLSearchParams(body);
    const known =
      authorization === `Basic ${Buffer.from(`alice:${password}`).toString('base64')}` ||
      form.get('password') === password ||
      form.get('refresh_token') === 'ident-CANARY';
    if (request.method === 'POST' && form.get('grant_type') === 'password') response.statusCode = 405;
    else if (!known) response.statusCode = 401;
    response.end(
      JSON.stringify({ expires_in: 300, access_token: '', token }, null, 1).replaceAll('/', '\\/'),
    );
    return;
  }
  if (authorization !== `Bearer ${token}`) {
    const scope = 'repository:a/b:pull';
    response.writeHead(401, {
      'www-authenticate': `Bearer realm="${origin}/token",service="it's \\"quoted\\"",scope="${scope}"`,
    });
    response.end('{"errors":[]}');
    return;
  }
  if (url.pathname.includes('/blobs/')) {
    response.writeHead(307, { location: `${storage}/blob?sig=SIGNATURE` }).end();
    return;
  }
  response.setHeader('content-type', 'application/json');
  response.end('{"name":"a/b","tags":["1"]}');
});

async function note(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request) body += String(chunk);
  seen.push({
    method: request.method,
    path: request.url,
    authorization: request.headers.authorization,
    body,
  });
  return body;
}

beforeAll(async () => {
  for (const s of [server, storageServer])
    await new Promise<void>((resolve) => s.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  storage = `http://127.0.0.1:${(storageServer.address() as AddressInfo).port}`;
});

afterAll(() => {
  for (const s of [server, storageServer]) s.close();
});

beforeEach(() => {
  seen.length = 0;
});

/** Sends by the platform's fetch, which hands redirects over when asked to. */
async function sendByFetch(outgoing: Outgoing): Promise<Reply<Response>> {
  const response = await fetch(outgoing.url, {
    method: outgoing.method,
    headers: outgoing.headers.map(([name, value]): [string, string] => [name, value]),
    body: outgoing.form,
    redirect: 'manual',
  });
  return {
    head: { status: response.status, headers: [...response.headers] },
    raw: response,
    text: () => response.text(),
    discard: async () => {
      await response.body?.cancel();
    },
  };
}

/** Records what a driver does for a request to the registry above. */
async function record(path: string, credential: Credential, policy: PartialPolicy = {}): Promise<Transcript> {
  const host = new URL(origin).host;
  const driver = createAuthorizer({
    send: sendByFetch,
    keychain: staticKeychain({ [host]: credential }),
    policy,
  });
  const delivered = await driver.request({
    method: path.startsWith('HEAD ') ? 'HEAD' : 'GET',
    url: origin + path.replace('HEAD ', ''),
    headers: [['accept', 'application/json']],
    body: 'none',
  });
  await delivered.raw.body?.cancel();
  driver.close();
  return delivered.transcript();
}

interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

async function runScript(script: string, env: Readonly<Record<string, string>>): Promise<Ran> {
  const options = { env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C.UTF-8', ...env } };
  return promisify(execFile)('bash', ['--norc', '-c', script], options).then(
    ({ stdout, stderr }) => ({ stdout, stderr, code: 0 }),
    (error: { stdout: string; stderr: string; code: number }) => error,
  );
}

const alice: Credential = { type: 'password', username: 'alice', password };

describe.runIf(hasCurl)('the script, run', () => {
  test('does the handshake of the record and prints the answer, and no secret', async () => {
    const script = toCurl(await record('/v2/a/b/tags/list?n=5', alice));
    checkSyntax(script);
    const recorded = seen.splice(0);
    const { stdout, stderr, code } = await runScript(script, { REG_PASSWORD: password });
    expect([code, stdout]).toEqual([0, '{"name":"a/b","tags":["1"]}']);
    expect(stderr.split('\n')).toEqual([
      `#1 GET ${origin}`,
      '401',
      `#2 GET ${origin}`,
      '200',
      `#3 GET ${origin}`,
      '200',
      '',
    ]);
    const query = (path = '') => [...new URL(path, origin).searchParams];
    expect(seen.map((s) => [s.method, query(s.path), s.authorization])).toEqual(
      recorded.map((s) => [s.method, query(s.path), s.authorization]),
    );
    for (const text of [script, stdout, stderr]) expect(text).not.toContain('CANARY');
  });

  test('as somebody else, whose name the token request then says', async () => {
    const script = toCurl(await record('/v2/a/b/tags/list', alice));
    seen.length = 0;
    const { code, stderr, stdout } = await runScript(script, { REG_USER: "bob's", REG_PASSWORD: 'x' });
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain('curl: (22) The requested URL returned error: 401');
    expect(stderr).toContain('there is no token in the answer');
    expect(new URL(seen[1]?.path ?? '', origin).searchParams.get('account')).toBe("bob's");
    expect(seen).toHaveLength(2);
  });

  test('without the password it says what it needs and asks nobody', async () => {
    const script = toCurl(await record('/v2/a/b/tags/list', alice));
    seen.length = 0;
    const { code, stderr } = await runScript(script, {});
    expect(code).not.toBe(0);
    expect(stderr).toContain('REG_PASSWORD: the password');
    expect(seen).toEqual([]);
  });

  test('an identity token goes by POST; a POST that is refused is asked again by GET', async () => {
    const identity = toCurl(await record('/v2/a/b/tags/list', { type: 'identity', token: 'ident-CANARY' }));
    checkSyntax(identity);
    expect(await runScript(identity, { REG_IDENTITY_TOKEN: 'ident-CANARY' })).toMatchObject({
      stdout: '{"name":"a/b","tags":["1"]}',
    });
    const posted = toCurl(await record('/v2/a/b/tags/list', alice, { oauth2: 'prefer' }));
    checkSyntax(posted);
    seen.length = 0;
    expect(await runScript(posted, { REG_PASSWORD: password })).toMatchObject({ code: 0 });
    expect(seen.map((s) => s.method)).toEqual(['GET', 'POST', 'GET', 'GET']);
    expect(new URLSearchParams(seen[1]?.body).get('password')).toBe(password);
  });

  test('a redirect is followed to the recorded origin only, without the token', async () => {
    const recorded = await record('/v2/a/b/blobs/sha256:1', alice);
    const script = toCurl(recorded);
    expect(script).not.toContain('SIGNATURE');
    checkSyntax(script);
    seen.length = 0;
    expect(await runScript(script, { REG_PASSWORD: password })).toMatchObject({
      code: 0,
      stdout: 'the blob',
    });
    expect(seen.at(-1)).toMatchObject({ path: '/blob?sig=SIGNATURE', authorization: undefined });

    const moved = script.replaceAll(`'${storage}'`, "'http://127.0.0.1:1'");
    seen.length = 0;
    const { code, stderr } = await runScript(moved, { REG_PASSWORD: password });
    expect([code, stderr.includes('expected a URL below http://127.0.0.1:1')]).toEqual([1, true]);
    expect(seen).toHaveLength(3);
  });

  test('HEAD, a ready token, and a URL whose query was not recorded', async () => {
    const ready: Credential = { type: 'registry', token };
    const script = toCurl(await record('HEAD /v2/a/b/tags/list?x=CANARY', ready));
    checkSyntax(script);
    seen.length = 0;
    const REG_URL = `${origin}/v2/a/b/tags/list?x=1`;
    const { code, stdout } = await runScript(script, { REG_TOKEN: token, REG_URL });
    expect([code, stdout.split('\r\n')[0]]).toEqual([0, 'HTTP/1.1 200 OK']);
    expect(seen.map((s) => [s.method, s.path])).toEqual([
      ['HEAD', '/v2/a/b/tags/list?x=1'],
      ['HEAD', '/v2/a/b/tags/list?x=1'],
    ]);
    expect(
      await runScript(script, { REG_TOKEN: token, REG_URL: 'https://elsewhere.example/' }),
    ).toMatchObject({ code: 1 });
    expect((await runScript(script, { REG_TOKEN: token })).stderr).toContain(
      'REG_URL: the URL of the request',
    );
  });

  test('whatever a transcript says, nothing of it is run and no file is read', async () => {
    const evil = '\'; echo RAN; $(echo RAN) `echo RAN` "$(echo RAN)" \\\'; echo RAN\n echo RAN #\u2028\r\n';
    const nowhere = 'http://127.0.0.1:1';
    const url = `${nowhere}/x?${encodeURIComponent(evil)}='`;
    const hostile = [
      sent(401, 'obtaining', {
        effect: send({
          url: `${nowhere}/';echo RAN;'#`,
          headers: [
            [evil, evil],
            ['accept', evil],
            ['accept', "it's $(echo RAN)"],
            ['@/etc/passwd', 'x'],
          ],
        }),
      }),
      sent(200, 'sending', { effect: send({ url: evil }) }),
      sent(200, 'sending', { effect: send({ url: 'file:///etc/passwd' }) }),
      sent(200, 'sending', { effect: send({ url: nowhere, method: evil }) }),
      sent(200, 'sending', { effect: send({ url: nowhere, method: '' }) }),
      exchanged(200, '{}', 'failed', {
        effect: send({
          to: 'authority',
          url,
          authorization: { scheme: 'basic', username: evil, password: evil },
        }),
      }),
      exchanged(200, '{}', 'failed', {
        effect: send({ to: 'authority', method: 'POST', url, form: [['grant_type', evil]] }),
      }),
      exchanged(200, '{}', 'failed', {
        effect: send({ to: 'authority', method: 'POST', url, form: [['grant type', 'x']] }),
      }),
      exchanged(200, '{}', 'failed', {
        effect: send({ to: 'authority', method: 'POST', url, form: [['', 'x']] }),
      }),
      exchanged(200, '{}', 'failed', {
        effect: send({ to: 'authority', method: 'POST', url, form: [['-x', 'x']] }),
      }),
      exchanged(200, '{}', 'failed', {
        effect: send({ to: 'authority', method: 'POST', url, form: [['a', "@/etc/passwd'; echo RAN"]] }),
      }),
    ];
    const script = toCurl(transcript(hostile)).replace('set -eu', 'set -u');
    checkSyntax(script);
    expect(script.match(/-H '[^']*/g)).toEqual([
      "-H 'accept: it",
      ...Array(2).fill("-H 'accept: application/json"),
    ]);
    expect(script).not.toMatch(/[\r\u2028]/);
    const { stdout, stderr } = await runScript(script, { REG_USER: 'u', REG_PASSWORD: 'p' });
    expect(stdout).not.toContain('RAN');
    expect(stderr.split('\n').filter((line) => line.includes('RAN'))).toEqual([]);
    expect(stderr.split('\n').filter((line) => line.startsWith('#'))).toEqual([
      '#1 GET http://127.0.0.1:1',
      '#6 GET http://127.0.0.1:1',
      '#11 POST http://127.0.0.1:1',
    ]);
    expect(stderr).not.toContain('root:');
  });
});

describe('the script, read', () => {
  const lines = (t: Transcript) => toCurl(t).split('\n');

  test('of the whole workflow: one request a paragraph, secrets by standard input', () => {
    const script = toCurl(whole);
    checkSyntax(script);
    const told = script.split('\n');
    expect(told.slice(told.findIndex((line) => line.startsWith('if [ -z')))).toEqual([
      `if [ -z "$` + `{REG_USER-}" ]; then REG_USER='alice'; fi`,
      `: "$` + '{REG_PASSWORD:?the password}"',
      '',
      '# the registry wants a Bearer token: ask https://auth.example/token for repository:a/b:pull, service svc',
      "echo '#1 GET https://registry.example' >&2",
      "ask -o /dev/null -H 'accept: application/json' 'https://registry.example/v2/a/b/tags/list' </dev/null",
      '',
      '# a token for repository:a/b:pull, good for 300 s',
      "echo '#2 GET https://auth.example' >&2",
      `token_2=$({ printf 'user = %s\\n' "$(quote "$REG_USER:$REG_PASSWORD")"; } | ask -f -H 'accept: application/json' --basic ` +
        `-G --data-raw 'service=svc' --data-raw 'scope=repository%3Aa%2Fb%3Apull' --data-urlencode "account=$REG_USER" ` +
        `'https://auth.example/token' | token_of)`,
      '',
      '# the registry takes it: this is its answer',
      "echo '#3 GET https://registry.example' >&2",
      `{ printf 'header = %s\\n' "$(quote "Authorization: Bearer $token_2")"; } | ask -H 'accept: application/json' ` +
        `'https://registry.example/v2/a/b/tags/list'`,
      '',
    ]);
  });

  test('no request, no variables', () => {
    const script = toCurl(transcript([]));
    checkSyntax(script);
    expect(script).not.toContain('REG_');
  });

  test('a body is the file of whoever runs it; a user name that was a secret is asked for', () => {
    const put = sent(201, 'answered', {
      effect: send({ method: 'PUT', body: 'caller', headers: [['x', 'redacted-0']] }),
    });
    const token = exchanged(200, '{"token":"redacted-2"}', 'granted', {
      effect: send({
        to: 'authority',
        method: 'POST',
        url: 'https://auth.example/token',
        form: [
          ['username', 'redacted-1'],
          ['password', 'redacted-1'],
        ],
      }),
    });
    const script = toCurl(transcript([begun(), token, obtained(), put]));
    checkSyntax(script);
    expect(script).toContain(`-X PUT --data-binary "@$REG_BODY" '${registry}/v2/a/b/tags/list' </dev/null`);
    expect(script).toContain('{REG_BODY:?the file to send}"');
    expect(script).toContain('{REG_USER:?the user name}"');
  });

  test('an anonymous token request says the account as it is; one without a query says nothing', () => {
    const anonymous = exchanged(200, '{}', 'failed', {
      effect: send({ to: 'authority', url: 'https://auth.example/token?account=x' }),
    });
    expect(lines(transcript([anonymous]))).toContain(
      "ask -o /dev/null -H 'accept: application/json' -G --data-raw 'account=x' 'https://auth.example/token' </dev/null",
    );
    const bare = exchanged(200, '{}', 'failed', {
      effect: send({ to: 'authority', url: 'https://auth.example/token' }),
    });
    expect(lines(transcript([bare]))).toContain(
      "ask -o /dev/null -H 'accept: application/json' -G 'https://auth.example/token' </dev/null",
    );
  });

  test('a redirect that the record does not follow is a request like any other', () => {
    const script = toCurl(
      transcript([sent(307, 'sending', { answer: reply(307) }), begun(), exchanged(200, '{}', 'failed')]),
    );
    expect(script).not.toContain('location=');
    const silent = {
      ...sent(0, 'sending'),
      answer: { type: 'no-response', at: 1, phase: 'head', code: '', message: '' },
    } as const;
    expect(
      toCurl(transcript([silent, sent(200, 'answered'), sent(404, 'sending'), sent(200, 'answered')])),
    ).not.toContain('location=');
  });
});
