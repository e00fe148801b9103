/**
 * No secret appears: secrets that can be recognised are put wherever one can be, and every command is run against a registry that
 * behaves and against one that fails in each way, in every form of output and as talkative as it gets.
 *
 * Rules of this file: the table has a row for each command of the tree, so that a new command without one fails. A secret may be
 * printed where that is what the command is for, and be in the files that are there to keep it; nowhere else, in no spelling.
 */

import { readdirSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { join, relative } from 'node:path';
import { Readable } from 'node:stream';
import { allow, canary, createTap, image } from '@reg/testing';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { authority } from '../../../packages/node/test/certificates.ts';
import { tree } from '../src/tree/root.ts';
import { startFront } from './doctor-cases/front.ts';
import { auth } from './doctor-cases/registries.ts';
import { type Stage, stage } from './doctor-cases/stage.ts';
import { type RunOptions, registryFor, run } from './run.ts';

const password = canary('password');
const identityToken = canary('identity token');
const registryToken = canary('registry token');
const signature = canary('signature');
const ownHeader = canary('header of the user');

/** How the servers behave, beyond adding a cookie to each answer and repeating, in what they refuse, what they were sent. */
const scenes = [
  'ok',
  '401',
  '403',
  '404',
  '429',
  '500',
  'not JSON',
  'no answer',
  'untrusted certificate',
  'unreadable challenge',
  'userinfo in the realm',
  'foreign realm',
  'redirect with a signature',
  'token 400',
  'token 401',
  'token 429',
  'token 500',
  'token not JSON',
  'token and more',
  'no answer from the token server',
] as const;

/** In these the registry's own answer repeats what it was sent. */
const repeating: ReadonlySet<Scene> = new Set(['401', '403', '404', '429', '500', 'not JSON']);

type Scene = (typeof scenes)[number];

interface Theatre {
  readonly on: Stage;
  /** Sets a scene. Returns `host:port` of its registry, and the options by which it is found. */
  play(scene: Scene): { readonly host: string; readonly options: readonly (readonly [string, string])[] };
}

/** Everything that a peer was sent and may say again, in the spellings it may choose. */
function echo({ headers }: IncomingMessage): string {
  const sent = headers.authorization ?? '';
  const [scheme = '', value = ''] = sent.split(' ');
  const plain = scheme === 'Basic' ? Buffer.from(value, 'base64').toString() : value;
  const escaped = [...plain].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
  return `you sent ${sent} or ${plain} or ${percent(plain)} or ${percent(value)} or ${escaped}`;
}

const percent = (text: string): string =>
  [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');

const cookie = (): { readonly 'set-cookie': string } => ({
  'set-cookie': `session=${canary('cookie')}; HttpOnly`,
});

async function theatre(): Promise<Theatre> {
  const on = await stage();
  const registry = await registryFor({
    auth: 'oauth2',
    users: { alice: { password, identityToken } },
    repositories: { 'team/app': { tags: ['1', 'latest'] } },
    tokens: { format: 'jwt' },
  });
  for (const secret of [signature, registryToken, ownHeader]) allow(secret, registry.url);
  const plain = await startFront(null);
  const secure = await startFront(authority().server());
  let scene: Scene = 'ok';
  const origins = { plain: `http://127.0.0.1:${plain.port}`, secure: `https://127.0.0.1:${secure.port}` };
  for (const front of [plain, secure]) {
    front.become({
      upstream: (path) => (path.startsWith('/token') ? new URL(registry.tokenUrl).origin : registry.url),
      answer: (request) => answerIn(scene, request, origins.plain, registry.url),
      edit(headers) {
        const challenge = headers['www-authenticate'];
        const challenged =
          challenge === undefined
            ? {}
            : { 'www-authenticate': challengeIn(scene, challenge, registry.tokenUrl, origins.plain) };
        return { ...headers, ...challenged, ...cookie() };
      },
    });
  }
  return {
    on,
    play(next) {
      scene = next;
      if (next !== 'untrusted certificate') return { host: `127.0.0.1:${plain.port}`, options: [] };
      const host = `registry.example:${secure.port}`;
      return { host, options: [['--resolve', `${host}:127.0.0.1`]] };
    },
  };
}

function challengeIn(scene: Scene, challenge: string, realm: string, origin: string): string {
  switch (scene) {
    case 'unreadable challenge':
      return `Bearer realm="${origin}/token`;
    case 'userinfo in the realm':
      return challenge.replace(
        realm,
        `${origin.replace('://', `://alice:${canary('userinfo of a realm')}@`)}/token`,
      );
    case 'foreign realm':
      return challenge.replace(realm, 'https://auth.elsewhere.example/token');
    default:
      return challenge.replace(realm, `${origin}/token`);
  }
}

/** What the servers answer in the place of what they would. */
function answerIn(scene: Scene, request: IncomingMessage, origin: string, registry: string) {
  const { url = '', headers } = request;
  const isToken = url.startsWith('/token');
  const isSignedIn = headers.authorization !== undefined;
  const refusal = (status: number) => ({
    status,
    headers: {
      ...cookie(),
      ...(status === 401
        ? {
            'www-authenticate': `Bearer realm="${origin}/token",service="test-registry",error_description="${echo(request).replaceAll(/["\\]/g, '')}"`,
          }
        : {}),
    },
    body: JSON.stringify({ errors: [{ code: 'SAID', message: `${echo(request)} for ${origin}${url}` }] }),
  });
  switch (scene) {
    case '401':
    case '403':
    case '404':
    case '429':
    case '500':
      return isToken || !isSignedIn ? null : refusal(Number(scene));
    case 'not JSON':
      return isToken || !isSignedIn
        ? null
        : { status: 200, headers: cookie(), body: `{"tags": "${echo(request)}` };
    case 'no answer':
      if (!isToken && isSignedIn) request.socket.destroy();
      return null;
    case 'redirect with a signature': {
      if (isToken || !isSignedIn || url.includes('signed')) return null;
      const location = `${origin}${url}${url.includes('?') ? '&' : '?'}signed=1&X-Amz-Signature=${signature}`;
      return { status: 307, headers: { location, ...cookie() } };
    }
    case 'token 400':
    case 'token 401':
    case 'token 429':
    case 'token 500':
      return isToken ? refusal(Number(scene.slice('token '.length))) : null;
    case 'token not JSON':
      return isToken
        ? { status: 200, headers: cookie(), body: `{"token": "${canary('token')}" ${echo(request)}` }
        : null;
    case 'token and more': {
      if (!isToken) return null;
      const [token, more] = [canary('token'), canary('session key')];
      allow(token, registry);
      const body = {
        token,
        access_token: token,
        refresh_token: canary('refresh token'),
        session_key: more,
        expires_in: 60,
      };
      return { status: 200, headers: cookie(), body: JSON.stringify(body) };
    }
    case 'no answer from the token server':
      if (isToken) request.socket.destroy();
      return null;
    default:
      return null;
  }
}

/** A command line, behind the command's name. `HOST` stands for the registry. */
interface Line {
  readonly args: readonly string[];
  readonly stdin?: string;
  /** To print a secret is what it is for. */
  readonly printsSecret?: true;
  /** It prints what the server sends, byte for byte: a server that repeats a secret there has it printed. */
  readonly printsBody?: true;
  /** What it ends with where nothing fails. Default: 0. */
  readonly code?: number;
  /** What was run before. */
  readonly after?: readonly string[];
}

const line = (...args: readonly string[]): Line => ({ args });

const entry = JSON.stringify({
  ServerURL: 'https://other.example',
  Username: 'alice',
  Secret: canary('stored'),
});

/** How each command is run. */
const lines: Readonly<Record<string, readonly Line[]>> = {
  'reg login': [
    { args: ['HOST', '-u', 'alice', '--password-stdin'], stdin: password },
    { args: ['HOST', '--identity-token-stdin'], stdin: identityToken },
    {
      args: [
        'HOST',
        '-u',
        'alice',
        '--password-file',
        '{home}/password',
        '--scope',
        'repository:team/app:pull',
      ],
    },
  ],
  'reg logout': [line('HOST'), line('--all', '--purge-cache')],
  'reg status': [line(), line('--check'), line('HOST', '--check')],
  'reg credential get': [
    { args: [], stdin: 'HOST', printsSecret: true },
    { args: [], stdin: 'other.example', code: 1 },
  ],
  'reg credential store': [
    { args: [], stdin: entry },
    { args: [], stdin: entry.slice(1), code: 1 },
  ],
  'reg credential erase': [{ args: [], stdin: 'HOST' }],
  'reg credential list': [line()],
  'reg credential install': [line('HOST', '--dry-run'), line('HOST', '--yes')],
  'reg trust list': [line()],
  'reg trust add': [
    line('HOST', 'https://auth.example'),
    { args: ['HOST', `https://a:${password}@auth.example`], code: 2 },
  ],
  'reg trust remove': [
    { args: ['HOST', 'https://auth.example'], after: ['trust', 'add', 'HOST', 'https://auth.example'] },
  ],
  'reg trace': [
    line('HOST/team/app'),
    line('HOST/team/app:1', '--push', '--show-claims'),
    line('HOST/team/app', '--out', '{home}/out/trace'),
    line('http://HOST/v2/team/app/tags/list?X-Amz-Signature=SIGNATURE'),
    { args: ['http://alice:SIGNATURE@HOST/v2/'], code: 2 },
    {
      args: ['--replay', '{home}/out/trace.json'],
      after: ['trace', 'HOST/team/app', '-o', 'json', '--out', '{home}/out/trace.json'],
    },
  ],
  'reg doctor': [
    line('HOST/team/app'),
    { args: ['HOST/team/app', '--push', '--browser', 'https://app.example'], code: 9 },
  ],
  'reg token': [
    { args: ['HOST/team/app'], printsSecret: true },
    { args: ['HOST/team/app', '-H'], printsSecret: true },
    line('HOST/team/app', '--inspect', '--push'),
  ],
  'reg ping': [line('HOST')],
  'reg ratelimit': [line('HOST/team/app')],
  'reg tags': [line('HOST/team/app'), line('HOST/team/app', '-u', 'alice')],
  'reg catalog': [line('HOST')],
  'reg manifest': [line('HOST/team/app:1'), line('HOST/team/app:1', '--head')],
  'reg blob': [
    { args: ['HOST/team/app@DIGEST', '--out', '-'], printsBody: true },
    line('HOST/team/app@DIGEST', '--out', '{home}/out/blob'),
  ],
  'reg api': [
    { args: ['http://HOST/v2/team/app/tags/list', '-i'], printsBody: true },
    { args: ['-R', 'HOST', '/v2/_catalog', '--paginate'], printsBody: true },
    { args: ['http://HOST/v2/', '-i', '-H', `X-Api-Key: ${ownHeader}`], printsBody: true },
    { args: ['http://HOST/v2/', '-H', `Authorization: Bearer ${ownHeader}`], code: 2 },
  ],
  'reg cache ls': [{ args: [], after: ['tags', 'HOST/team/app'] }],
  'reg cache clear': [{ args: ['HOST'], after: ['tags', 'HOST/team/app'] }],
  'reg cache path': [line()],
  'reg demo': [line()],
  'reg completion': [line('bash'), line('zsh'), line('fish')],
  'reg help': [line('environment'), line('login')],
};

/** The commands of the tree that do something, by name. */
function commands(): ReadonlyMap<string, Command> {
  const found = new Map<string, Command>();
  const visit = (command: Command, name: string): void => {
    if (command.commands.length === 0) found.set(name, command);
    for (const one of command.commands) visit(one, `${name} ${one.name()}`);
  };
  const nowhere = { write: () => true };
  const stdin = Readable.from([]);
  const { signal } = new AbortController();
  visit(
    tree({ stdout: nowhere, stderr: nowhere, stdin, env: {}, signal }, { out() {}, err() {} }, () => {}),
    'reg',
  );
  return found;
}

test('every command has a row, and every row is a command', () => {
  expect(Object.keys(lines).toSorted()).toEqual([...commands().keys()].toSorted());
});

/** The forms of output that a command has, as options. */
function formsOf(command: Command): readonly (readonly string[])[] {
  const { argChoices = [] } = command.options.find((option) => option.long === '--output') ?? {};
  return argChoices.length === 0 ? [[]] : argChoices.map((form) => ['-o', form]);
}

const { digest } = image('1').layer;

/** Files that are there to keep a secret. */
const keepers = [
  '.docker/',
  '.cache/',
  '.config/reg/credentials.json',
  'run/',
  'password',
  'bin/',
  'client.key',
];

/** What a command wrote that a secret is in, other than where they are kept. */
function leakingFiles({ home }: Stage): readonly string[] {
  const tap = createTap();
  for (const file of readdirSync(home, { recursive: true, withFileTypes: true })) {
    const path = join(file.parentPath, file.name);
    const name = relative(home, path);
    if (!file.isFile() || keepers.some((keeper) => name.startsWith(keeper))) continue;
    tap.reader(name)(readFileSync(path));
  }
  return tap.leaks().map(({ place }) => place);
}

/** Runs one line, and returns what is wrong with it: where a secret was, or that it ended otherwise than `expected`. */
async function leaksOf(
  on: Stage,
  args: readonly string[],
  options: RunOptions,
  expected: number | null = null,
): Promise<readonly string[]> {
  const shown = args.join(' ');
  try {
    const { stderr, code } = await run(args, { ...options, env: { ...on.env, ...options.env } });
    if (expected !== null && code !== expected) return [`${shown} ended with ${code}: ${stderr}`];
    if (stderr.includes('this should not have happened')) return [`${shown}: ${stderr}`];
  } catch (error) {
    return [`${shown}: ${String(error)}`];
  }
  return leakingFiles(on).map((file) => `${shown}: a secret is in ${file}`);
}

/** A machine that nothing was done on yet, but for a sign-in. */
function reset(on: Stage, host: string): void {
  for (const folder of ['.docker', '.cache', '.config', 'out', 'run']) {
    rmSync(join(on.home, folder), { recursive: true, force: true });
  }
  on.write('out/.keep', '');
  on.write('password', `${password}\n`);
  on.write('.docker/config.json', { auths: { [host]: { auth: auth('alice', password) } } });
}

describe('no secret appears, whatever the servers do', () => {
  const all = commands();
  test.each(Object.entries(lines))(
    'in what %s prints and writes',
    async (name, ways) => {
      const command = all.get(name) ?? expect.unreachable();
      const [, ...words] = name.split(' ');
      const has = (option: string): boolean => command.options.some(({ long }) => long === option);
      const { on, play } = await theatre();
      const leaks: string[] = [];
      // What connects to nothing meets no scene.
      for (const scene of has('--resolve') ? scenes : (['ok'] as const)) {
        const { host, options } = play(scene);
        const fill = (text: string): string =>
          text
            .replaceAll('HOST', host)
            .replaceAll('DIGEST', digest)
            .replaceAll('SIGNATURE', signature)
            .replaceAll('{home}', on.home);
        const given = [['--retries', '0'] as const, ...options].filter(([option]) => has(option)).flat();
        for (const { args, stdin, printsSecret = false, printsBody = false, code = 0, after } of ways) {
          for (const form of formsOf(command)) {
            // What is printed without a word on stderr is the same with one: of the servers' failures this is enough.
            for (const talk of scene === 'ok' || scene === '401' ? [[], ['-v'], ['-vv']] : [['-vv']]) {
              reset(on, host);
              if (after !== undefined) await run(after.map(fill), { env: on.env });
              const typed = [...words, ...args.map(fill), ...form, ...talk, ...given];
              const setting = {
                env: { REG_PASSWORD: password },
                printsSecret: printsSecret || (printsBody && repeating.has(scene)),
                ...(stdin === undefined ? {} : { stdin: fill(stdin) }),
              };
              const found = await leaksOf(on, typed, setting, scene === 'ok' ? code : null);
              leaks.push(...found.map((leak) => `${scene}: ${leak}`));
            }
          }
        }
      }
      expect(leaks).toEqual([]);
    },
    120_000,
  );
});

/** Where a secret can come from. `HOST` stands for the registry, in files as well. */
interface Source {
  readonly name: string;
  readonly config?: object | string;
  readonly env?: Readonly<Record<string, string>>;
  readonly program?: string;
  readonly args?: readonly string[];
  readonly stdin?: string;
}

const named = canary('proxy password');
const key = canary('client key');
const inline = auth('alice', password);

const sources: readonly Source[] = [
  { name: 'a password in a file', config: { auths: { HOST: { auth: inline } } } },
  { name: 'a password in a file, spelt out', config: { auths: { HOST: { username: 'alice', password } } } },
  { name: 'an identity token in a file', config: { auths: { HOST: { identitytoken: identityToken } } } },
  {
    name: 'a registry token in a file',
    config: { auths: { HOST: { registrytoken: registryToken } } },
  },
  { name: 'a file that is no JSON', config: `{"auths": {"HOST": {"auth": "${inline}"}` },
  {
    name: 'a password where a name belongs',
    config: { auths: { [`https://alice:${password}@HOST`]: { auth: inline } } },
  },
  { name: 'an entry that is none', config: { auths: { HOST: { auth: password } } } },
  {
    name: 'a variable with a file in it',
    env: { DOCKER_AUTH_CONFIG: `{"auths":{"HOST":{"auth":"${inline}"}}}` },
  },
  {
    name: 'a variable that is no JSON',
    env: { DOCKER_AUTH_CONFIG: `{"auths":{"HOST":{"auth":"${inline}"}` },
  },
  {
    name: 'a file in place of a path',
    env: { REGISTRY_AUTH_FILE: `{"auths":{"HOST":{"auth":"${inline}"}}}` },
  },
  { name: 'a helper', program: `echo '{"ServerURL":"HOST","Username":"alice","Secret":"${password}"}'` },
  {
    name: 'a helper that fails after its answer',
    program: `echo '{"Username":"alice","Secret":"${password}"}'; exit 1`,
  },
  { name: 'a helper whose answer is no JSON', program: `echo '{"Username":"alice","Secret":"${password}"'` },
  { name: 'a variable for a password', env: { REG_PASSWORD: password }, args: ['-u', 'alice'] },
  { name: 'stdin', args: ['-u', 'alice', '--password-stdin'], stdin: password },
  { name: 'a file for a password', args: ['-u', 'alice', '--password-file', '{home}/password'] },
  {
    name: 'a password in place of a file',
    args: ['-u', 'alice', '--password-file', `/nonexistent/${password}`],
  },
  {
    name: 'a proxy',
    env: {
      HTTPS_PROXY: `http://alice:${named}@127.0.0.1:1`,
      HTTP_PROXY: `http://alice:${named}@127.0.0.1:1`,
    },
  },
  {
    name: 'a proxy that is no URL',
    env: { HTTPS_PROXY: `http://alice:${named}@`, HTTP_PROXY: `ftp://alice:${named}@proxy` },
  },
  { name: 'a client key', args: ['--cert', '{home}/out/client.crt', '--key', '{home}/client.key'] },
  { name: 'an argument', args: ['--trust-realm', `https://alice:${password}@auth.example`] },
];

describe('no secret appears, wherever it comes from', () => {
  const all = commands();
  const questions = [
    ['trace', 'HOST/team/app', '-o', 'text'],
    ['trace', 'HOST/team/app', '-o', 'json'],
    ['tags', 'HOST/team/app', '-o', 'json'],
    ['token', 'HOST/team/app', '--inspect'],
    ['doctor', 'HOST/team/app', '-o', 'text'],
    ['doctor', 'HOST/team/app', '-o', 'json'],
    ['ping', 'HOST'],
    ['status', '--check'],
    ['credential', 'list'],
    ['tags', 'registry.example/team/app'],
    ['doctor', 'registry.example/team/app'],
  ];
  test.each(sources)('$name', async ({ config, env = {}, program, args = [], stdin = '' }) => {
    const { on, play } = await theatre();
    const leaks: string[] = [];
    for (const scene of ['ok', '401', 'token 401'] as const) {
      const { host } = play(scene);
      const fill = (text: string): string => text.replaceAll('HOST', host).replaceAll('{home}', on.home);
      for (const question of questions) {
        reset(on, host);
        on.write('client.key', `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`);
        on.write('out/client.crt', 'no certificate');
        if (config !== undefined) {
          on.write('.docker/config.json', fill(typeof config === 'string' ? config : JSON.stringify(config)));
        }
        if (program !== undefined) {
          on.write('.docker/config.json', { credHelpers: { [host]: 'vault' } });
          on.program('docker-credential-vault', fill(`cat > /dev/null\n${program}`));
        }
        const { options } =
          all.get(`reg ${question.slice(0, question[0] === 'credential' ? 2 : 1).join(' ')}`) ??
          expect.unreachable();
        const has = (word = ''): boolean =>
          options.some(({ long, short }) => long === word || short === word);
        const taken = args[0] === undefined || has(args[0]) ? args : [];
        const retries = has('--retries') ? ['--retries', '0', '--timeout', '2'] : [];
        const found = await leaksOf(on, [...question.map(fill), ...taken.map(fill), ...retries, '-vv'], {
          env: Object.fromEntries(Object.entries(env).map(([name, value]) => [name, fill(value)])),
          stdin,
        });
        leaks.push(...found.map((leak) => `${scene}: ${leak}`));
      }
    }
    expect(leaks).toEqual([]);
  });
});
