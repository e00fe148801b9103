/**
 * Every example of the README type-checks as it stands, and runs, in a process of its own, with a registry on loopback in place
 * of the one it names.
 */

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { allow, digestOf, type Registry, type RegistryOptions } from '@reg/testing';
import ts from 'typescript';
import { expect, onTestFinished, test } from 'vitest';
import { stage } from './stage.ts';

const folder = fileURLToPath(new URL('..', import.meta.url));
const readme = await readFile(join(folder, 'README.md'), 'utf8');

/** The examples under each heading. */
const examples = new Map(
  readme.split('\n## ').map((section) => {
    const codes = section.split('```ts\n').slice(1);
    const heading = section.slice(0, section.indexOf('\n'));
    return [heading, codes.map((rest) => rest.slice(0, rest.indexOf('```')))] as const;
  }),
);
const ran = new Set<string>();

function example(heading: string, index = 0): string {
  const code = examples.get(heading)?.[index];
  if (code === undefined) throw new Error(`the README has no example ${index} under '${heading}'`);
  ran.add(code);
  return code;
}

type Env = Readonly<Record<string, string>>;

/** Runs `program` with names replaced. */
async function run(
  program: string,
  names: Readonly<Record<string, string>>,
  env: Env,
): Promise<{ stdout: string; stderr: string }> {
  let own = program;
  for (const [name, replacement] of Object.entries(names)) {
    expect(own).toContain(name);
    own = own.replaceAll(name, replacement);
  }
  // Nothing leaves the machine.
  for (const host of own.matchAll(/https?:\/\/([^/':]+)/g)) expect(host[1]).toBe('127.0.0.1');
  const flags = ['--conditions=@reg/source', '--input-type=module-typescript', '--eval', own];
  return promisify(execFile)(process.execPath, flags, { cwd: folder, env });
}

const repositories = {
  'library/busybox': { tags: ['latest'] },
  'acme/app': { tags: { '1': 'a layer' } },
  'acme/private': { access: {} },
};

async function folderOfTest(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'reg-readme-'));
  onTestFinished(() => rm(path, { recursive: true }));
  return path;
}

/** A home in which alice is logged in, and nothing else is. */
async function homeWith({ host }: Registry, password: string): Promise<string> {
  const home = await folderOfTest();
  const auth = Buffer.from(`alice:${password}`).toString('base64');
  await writeFile(join(home, 'config.json'), JSON.stringify({ auths: { [host]: { auth } } }), {
    mode: 0o600,
  });
  return home;
}

/** A registry with its token server on the same origin, and a home with alice's login for it. */
async function loggedIn(
  options: Partial<RegistryOptions> = {},
): Promise<{ registry: Registry; env: Env; home: string }> {
  const { registry, password } = await stage({ repositories, ...options });
  // On loopback a realm at another port needs a pair.
  registry.faults.add({
    server: 'registry',
    kind: 'realm',
    realm: '/token',
    times: Number.POSITIVE_INFINITY,
  });
  allow(password, registry.url);
  const home = await homeWith(registry, password);
  return { registry, home, env: { HOME: home, DOCKER_CONFIG: home } };
}

const tags = "{ name: 'acme/app', tags: [ '1' ] }\n";

test('all of them type-check', () => {
  const codes = new Map(
    [...examples.values()].flat().map((code, n) => [join(folder, `example-${n}.ts`), code]),
  );
  const options: ts.CompilerOptions = {
    ...ts.parseJsonConfigFileContent(
      ts.readConfigFile(join(folder, 'tsconfig.json'), ts.sys.readFile).config,
      ts.sys,
      folder,
    ).options,
    noEmit: true,
  };
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile: read, getSourceFile } = host;
  host.fileExists = (path) => codes.has(path) || fileExists(path);
  host.readFile = (path) => codes.get(path) ?? read(path);
  host.getSourceFile = (path, version, ...rest) => {
    const code = codes.get(path);
    return code === undefined
      ? getSourceFile(path, version, ...rest)
      : ts.createSourceFile(path, code, version);
  };
  const program = ts.createProgram([...codes.keys()], options, host);
  const problems = [...codes.keys()].flatMap((path) => {
    const source = program.getSourceFile(path);
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
  });
  expect(
    problems.map(({ file, start, messageText }) => [
      ts.flattenDiagnosticMessageText(messageText, ' '),
      file?.text.slice(start, (start ?? 0) + 40),
    ]),
  ).toEqual([]);
});

test('a service with undici', async () => {
  const { registry, env } = await loggedIn();
  const { stdout, stderr } = await run(
    example('A service with undici'),
    { 'https://ghcr.io': registry.url },
    env,
  );
  expect({ stdout, stderr }).toEqual({ stdout: `200 ${tags}`, stderr: '' });
});

test('the global fetch', async () => {
  const { registry, env } = await loggedIn();
  const { stdout } = await run(example('With the global fetch'), { 'https://ghcr.io': registry.url }, env);
  expect(stdout).toBe(`200 ${tags}`);
});

test('a fetch made for registries', async () => {
  const { registry, env } = await loggedIn();
  const { stdout } = await run(
    example('With the global fetch', 1),
    { 'https://registry-1.docker.io': registry.url },
    env,
  );
  expect(stdout).toBe("{ name: 'library/busybox', tags: [ 'latest' ] }\n");
});

/** Downloads the layer, which the registry has in its store: the answer is a redirect. */
const blob = `acme/app/blobs/${digestOf(Buffer.from('a layer'))}`;

test.each([
  ['got', 0, `console.log(await registry('${blob}').text());`],
  ['axios', 1, `console.log((await registry('${blob}')).data);`],
])(
  '%s: a token from memory, a token that ended early, and a redirect that gets none',
  async (_, index, download) => {
    const { registry, env } = await loggedIn({ redirectBlobs: true });
    const early = `Bearer realm="/token",service="test-registry",error="invalid_token"`;
    const path = '/v2/acme/app/tags/list';
    registry.faults.add({ server: 'registry', kind: 'challenge', values: [early], path });
    const { stdout } = await run(
      `${example('With any other client', index)}\n${download}`,
      { 'https://ghcr.io': registry.url },
      env,
    );
    expect(stdout).toBe(`${tags}a layer\n`);
    expect(
      registry.requests.map(({ server, url, status, headers }) => [
        server,
        url.split('?')[0],
        status,
        headers['authorization']?.split(' ')[0],
      ]),
    ).toEqual([
      ['registry', '/v2/', 401, undefined],
      ['registry', '/token', 200, 'Basic'],
      ['registry', path, 401, 'Bearer'],
      ['registry', '/token', 200, 'Basic'],
      ['registry', path, 200, 'Bearer'],
      ['registry', `/v2/${blob}`, 307, 'Bearer'],
      ['blobs', expect.any(String), 200, undefined],
    ]);
  },
);

test('credentials: given, from the environment, from a pull secret, and from a login', async () => {
  const { registry, password } = await stage();
  const { stdout } = await run(
    example('Credentials')
      .replace("username: 'ci'", "username: 'alice'")
      .replace(
        'createRegistryFetch({ keychain })',
        `createRegistryFetch({ keychain, policy: { realms: { pairs: [${JSON.stringify(registry.pair)}] } } })`,
      ),
    { 'https://registry.example:5000': registry.url, 'registry.example:5000': registry.host },
    { REGISTRY_PASSWORD: password },
  );
  expect(stdout).toBe("{ name: 'team/app', tags: [ '1' ] }\n");
});

test('credentials: the trail', async () => {
  const { registry, env } = await loggedIn();
  const { stdout } = await run(example('Credentials', 1), { 'https://ghcr.io': registry.url }, env);
  expect(stdout).toMatch(/^alice\n/);
  expect(stdout).toContain('\nmatched: ');
});

test('saving credentials', async () => {
  const home = await folderOfTest();
  const env = { HOME: home, DOCKER_CONFIG: home, REGISTRY_PASSWORD: 'x' };
  const { stdout } = await run(example('Saving credentials'), {}, env);
  expect(stdout).toBe('ghcr.io in the file\ntrue\n');
});

test('what is stored', async () => {
  const { registry, env } = await loggedIn();
  const { stdout } = await run(
    example('Saving credentials', 1),
    {},
    { ...env, XDG_RUNTIME_DIR: '/nonexistent' },
  );
  expect(stdout).toBe(
    `${registry.host} alice ${env['DOCKER_CONFIG']}/config.json default, docker, podman no end known\n`,
  );
});

test('TLS: a host whose certificate is not verified', async () => {
  const { registry, env } = await loggedIn({ tls: true, repositories: { 'team/app': { tags: ['1'] } } });
  const { stdout } = await run(
    example('TLS, proxies and addresses'),
    { 'https://registry.lab:5000': registry.url, 'registry.lab:5000': registry.host },
    env,
  );
  expect(stdout).toBe("{ name: 'team/app', tags: [ '1' ] }\n");
});

test('the second process sends one request where the first sent three', async () => {
  const { registry, home, env } = await loggedIn();
  const program = example('Tokens that outlive the process');
  const counts: number[] = [];
  for (const _ of ['first', 'second']) {
    const before = registry.count();
    const { stdout } = await run(
      program,
      { 'https://ghcr.io': registry.url },
      { ...env, XDG_CACHE_HOME: join(home, 'cache') },
    );
    expect(stdout).toBe(tags);
    counts.push(registry.count() - before);
  }
  expect(counts).toEqual([3, 1]);
});

/** Prints the spans of one call that a service makes on behalf of a request of its own. */
const traced = `
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { createRegistryFetch, defaultKeychain } from '@reg/node';

const exporter = new InMemorySpanExporter();
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
const fetch = createRegistryFetch({ keychain: defaultKeychain() });
await tracer.startActiveSpan('my request', async (span) => {
  await (await fetch('https://ghcr.io/v2/acme/app/tags/list')).text();
  span.end();
});
const finished = exporter.getFinishedSpans();
const names = new Map(finished.map((span) => [span.spanContext().spanId, span.name]));
console.log(JSON.stringify(finished.map(({ name, kind, status, attributes, parentSpanContext, duration }) => ({
  name, kind, status, attributes, parent: names.get(parentSpanContext?.spanId) ?? null, took: duration[0] * 1e9 + duration[1],
}))));`;

test('a span for each call, and below it one for each token and each request', async () => {
  const { registry, env } = await loggedIn();
  const program = example('Observability') + traced;
  const { stdout } = await run(program, { 'https://ghcr.io': registry.url }, env);
  const spans: readonly Record<string, unknown>[] = JSON.parse(stdout);
  const sent = (parent: string, status: number, url: unknown) => ({
    name: 'GET',
    kind: 2,
    status: { code: 0 },
    attributes: {
      'http.request.method': 'GET',
      'url.full': url,
      'server.address': '127.0.0.1',
      'http.response.status_code': status,
    },
    parent,
  });
  const url = `${registry.url}/v2/acme/app/tags/list`;
  expect(spans.map(({ took, ...span }) => span)).toEqual([
    sent('handshake', 401, url),
    sent('exchange', 200, expect.stringContaining(`${registry.url}/token?`)),
    {
      name: 'exchange',
      kind: 0,
      status: { code: 0 },
      attributes: { scopes: 'repository:acme/app:pull', reason: 'missing', outcome: 'granted' },
      parent: 'handshake',
    },
    sent('handshake', 200, url),
    {
      name: 'handshake',
      kind: 0,
      status: { code: 0 },
      attributes: { registry: registry.url, repository: 'acme/app', outcome: 'answered' },
      parent: 'my request',
    },
    { name: 'my request', kind: 0, status: { code: 0 }, attributes: {}, parent: null },
  ]);
  for (const { took } of spans) expect(took).toBeGreaterThan(0);
  expect(stdout).not.toContain('canary-');
});

test('a span of a call that failed says how', async () => {
  const { registry, env } = await loggedIn({ users: { alice: 'another password' } });
  const program =
    example('Observability') +
    traced.replace(').text()', ').catch(() => {})').replace('(await fetch', '(fetch');
  const { stdout } = await run(program, { 'https://ghcr.io': registry.url }, env);
  const spans: readonly Record<string, unknown>[] = JSON.parse(stdout);
  const ours = spans.filter(({ name }) => name === 'handshake' || name === 'exchange');
  const status = { code: 2, message: 'credential-rejected' };
  expect(ours.map((span) => span['status'])).toEqual([status, status]);
});

test('failures that are delivered, and failures that are thrown', async () => {
  const bearer = await loggedIn();
  const program = example('When it fails');
  const delivered = await run(program, { 'https://ghcr.io': bearer.registry.url }, {});
  expect(delivered.stderr).toMatch(/^401 .*does not exist or is not public/);
  const basic = await loggedIn({ auth: 'basic' });
  const thrown = await run(program, { 'https://ghcr.io': basic.registry.url }, {});
  expect(thrown.stderr).toMatch(/^ERR_REG_CREDENTIAL_MISSING credential-missing /);
});

test('a token server of another domain, trusted in code', async () => {
  const { registry, password } = await stage();
  const home = await homeWith(registry, password);
  const { stdout } = await run(
    example('Security'),
    { 'https://registry.example:5000': registry.url, 'https://sso.example': registry.pair.realm },
    { HOME: home, DOCKER_CONFIG: home },
  );
  expect(stdout).toBe("{ name: 'team/app', tags: [ '1' ] }\n");
});

test('none of them was left out', () => {
  expect([...examples.values()].flat().filter((code) => !ran.has(code))).toEqual([]);
});
