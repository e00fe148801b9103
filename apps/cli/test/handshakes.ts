/**
 * Every kind of handshake and every way it can fail, as a command line for `reg trace` at a registry made for it.
 *
 * Rules of this file: set-ups alone; what is printed about them is for the tests to judge. What is not here a trace of the
 * command cannot come to: it has no body that could be spent, and no time to wait for a deadline.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canary, type Fault, type Registry, type RegistryOptions } from '@reg/testing';
import { onTestFinished } from 'vitest';
import { registryFor } from './run.ts';

export interface Handshake {
  readonly name: string;
  readonly code: number;
  /** Kind of the failure, or `null`. */
  readonly failure: string | null;
  /** Starts the registry. Resolves to the arguments after `trace`, and the environment. */
  readonly start: () => Promise<{ readonly args: readonly string[]; readonly env: Record<string, string> }>;
}

/** What a server may write to annoy whoever shows it. */
const hostile =
  '\u001b]0;owned\u0007\u202e\r\n; end\n%%{init: {"theme": "x"}}%%\nnote over C: <img src=x onerror=alert(1)> #35; "`$(echo RAN)`" \';echo RAN #';

interface Setup {
  readonly registry?: Partial<RegistryOptions>;
  readonly faults?: readonly Fault[] | ((registry: Registry) => readonly Fault[]);
  /** `$host`, `$url` stand for the registry's. Default: the tags of `team/app`. */
  readonly about?: string;
  readonly flags?: readonly string[];
  /** Default: alice, by `-u`, who trusts the token server. */
  readonly as?: 'alice' | 'nobody' | 'mallory';
  /** An entry of Docker's config for the registry, or all of that file. */
  readonly entry?: (secrets: Secrets) => object | string;
  readonly trust?: boolean;
}

interface Secrets {
  readonly password: string;
  readonly identityToken: string;
  readonly ready: string;
}

function handshake(name: string, code: number, failure: string | null, setup: Setup): Handshake {
  return { name, code, failure, start: () => start(setup) };
}

async function start({
  registry = {},
  faults = [],
  about = '$host/team/app',
  flags = [],
  as = 'alice',
  entry,
  trust = true,
}: Setup) {
  const secrets = {
    password: canary('password'),
    identityToken: canary('identity token'),
    ready: 'ready-token-of-nobody',
  };
  const made = await registryFor({
    auth: 'bearer',
    users: { alice: { password: secrets.password, identityToken: secrets.identityToken } },
    repositories: {
      'team/app': { tags: { '1': 'a layer' }, access: { alice: ['pull', 'push', 'delete'] } },
      'team/read': { tags: ['1'], access: { alice: ['pull'] } },
      'open/app': { tags: ['1'], visibility: 'public' },
    },
    ...registry,
  });
  for (const fault of typeof faults === 'function' ? faults(made) : faults) made.faults.add(fault);
  const env: Record<string, string> = {
    REG_PASSWORD: as === 'mallory' ? 'another-password' : secrets.password,
  };
  if (entry !== undefined) {
    const folder = mkdtempSync(join(tmpdir(), 'reg-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const given = entry(secrets);
    const config = typeof given === 'string' ? given : JSON.stringify({ auths: { [made.host]: given } });
    writeFileSync(join(folder, 'config.json'), config, { mode: 0o600 });
    env['DOCKER_CONFIG'] = folder;
  }
  const port = new URL(made.url).port;
  const named = (text: string): string =>
    text.replaceAll('$host', made.host).replaceAll('$url', made.url).replaceAll('$port', port);
  const who = as === 'nobody' ? ['--anonymous'] : entry === undefined ? ['-u', 'alice'] : [];
  const realm = trust ? ['--trust-realm', made.pair.realm] : [];
  return { args: [about, ...flags, ...who, ...realm].map(named), env };
}

const registryAnswer = (status: number, more: Partial<Fault> = {}): Fault =>
  ({ kind: 'status', status, server: 'registry', times: 99, ...more }) as Fault;
const tokenAnswer = (status: number, body = '', more: Partial<Fault> = {}): Fault =>
  ({ kind: 'status', status, server: 'token', times: 99, body, ...more }) as Fault;
const challenge = (value: string, more: Partial<Fault> = {}): Fault =>
  ({ kind: 'challenge', values: [value], server: 'registry', times: 99, ...more }) as Fault;

export const handshakes: readonly Handshake[] = [
  handshake('a registry that asks for nothing', 0, null, { registry: { auth: 'none' } }),
  handshake('Basic', 0, null, { registry: { auth: 'basic' }, trust: false }),
  handshake('Bearer, with a password', 0, null, {}),
  handshake('Bearer, with a JWT', 0, null, {
    registry: { tokens: { format: 'jwt' } },
    flags: ['--show-claims'],
  }),
  handshake('Bearer, for anyone', 0, null, { about: '$host/open/app', as: 'nobody' }),
  handshake('Bearer, with an identity token', 0, null, {
    registry: { auth: 'oauth2' },
    entry: ({ identityToken }) => ({ identitytoken: identityToken }),
  }),
  handshake('Bearer, with a ready token that is refused', 4, 'credential-rejected', {
    entry: ({ ready }) => ({ registrytoken: ready }),
  }),
  handshake('an image', 0, null, { about: '$host/team/app:1' }),
  handshake('a push', 0, null, { flags: ['--push'] }),
  handshake('a push that is not granted', 5, 'denied', { about: '$host/team/read', flags: ['--push'] }),
  handshake('a token for scopes', 0, null, { flags: ['--scope', 'repository:team/app:pull,push'] }),
  handshake('a token server that is busy', 0, null, { faults: [tokenAnswer(503, '', { times: 1 })] }),
  handshake('a redirect', 0, null, {
    faults: [
      { kind: 'redirect', location: '/v2/team/app/tags/list?n=1&sig=hidden', server: 'registry', after: 1 },
    ],
  }),
  handshake('not found', 3, null, { about: '$host/team/app:none' }),
  handshake('a registry that is down', 6, null, {
    faults: [registryAnswer(502, { headers: { 'Content-Type': 'text/html' }, body: `<h1>${hostile}</h1>` })],
  }),
  handshake('no challenge', 9, 'challenge-unusable', { faults: [registryAnswer(401)] }),
  handshake('a hostile challenge', 9, 'challenge-unusable', {
    faults: [challenge('Bearer realm="unterminated \u0080`;#')],
  }),
  handshake('a scheme of others', 4, 'challenge-unusable', { faults: [challenge('Negotiate')] }),
  handshake('a hostile service and scope', 0, null, {
    about: '$host/open/app',
    as: 'nobody',
    faults: ({ tokenUrl }) => [
      challenge(
        `Bearer realm="${tokenUrl}",service="';echo RAN;$(echo RAN)\`#%%{x}",scope="repository:open/app:pull end;"`,
        {
          times: 1,
        },
      ),
      tokenAnswer(200, '{"token":"x.y-z","scope":"repository:open/app:pull \\u202e\\u001b[2J"}', {
        times: 1,
      }),
      registryAnswer(200, { after: 1, body: JSON.stringify({ tags: [hostile] }) }),
    ],
  }),
  handshake('a realm in the cloud', 9, 'realm-forbidden', {
    faults: [challenge('Bearer realm="https://169.254.169.254/token$(id)"')],
  }),
  handshake('a realm of nobody', 4, 'realm-untrusted', {
    faults: [challenge('Bearer realm="https://auth.elsewhere.example/token"')],
    trust: false,
  }),
  handshake('a realm on this machine', 4, 'realm-forbidden', { trust: false }),
  handshake('plain http', 4, 'insecure-transport', {
    registry: { auth: 'basic' },
    about: 'http://registry.test:$port/v2/team/app/tags/list',
    flags: ['--resolve', 'registry.test:$port:127.0.0.1'],
  }),
  handshake('Basic without a credential', 4, 'credential-missing', {
    registry: { auth: 'basic' },
    as: 'nobody',
    trust: false,
  }),
  handshake('a wrong password', 4, 'credential-rejected', { as: 'mallory' }),
  handshake('an identity token for Basic', 8, 'credential-unusable', {
    registry: { auth: 'basic' },
    trust: false,
    entry: ({ identityToken }) => ({ identitytoken: identityToken }),
  }),
  handshake('a broken config', 8, 'credential-unavailable', { entry: () => '{' }),
  handshake('a token server that says no', 5, 'token-refused', {
    faults: [tokenAnswer(403, JSON.stringify({ details: hostile }))],
  }),
  handshake('a token server without a token', 9, 'token-invalid', { faults: [tokenAnswer(200, '{}')] }),
  handshake('a token server that moved', 9, 'token-redirected', {
    faults: [{ kind: 'redirect', location: 'https://elsewhere.example/token', server: 'token' }],
  }),
  handshake('too many tokens', 7, 'rate-limited', {
    faults: [tokenAnswer(429, '', { headers: { 'Retry-After': '3600' } })],
  }),
  handshake('denied', 5, 'denied', { about: '$host/team/other' }),
  handshake('redirects without end', 9, 'redirect-refused', {
    faults: [{ kind: 'redirect', location: '/v2/team/app/tags/list', server: 'registry', times: 99 }],
  }),
  handshake('Basic after Bearer', 9, 'scheme-downgrade', {
    faults: [challenge('Basic realm="x"', { after: 1 })],
  }),
  handshake('demands without end', 9, 'limit', {
    faults: ({ tokenUrl }) =>
      [1, 2, 3, 4, 5].map((n) =>
        challenge(`Bearer realm="${tokenUrl}",service="svc-${n}",scope="repository:team/app:pull"`, {
          times: 1,
          after: n - 1,
        }),
      ),
  }),
  handshake('nobody there', 6, 'network', { about: 'http://127.0.0.1:1/v2/', trust: false }),
  handshake('a reset', 6, 'network', {
    faults: [{ kind: 'reset', at: 'before-head', server: 'token', times: 99 }],
  }),
];
