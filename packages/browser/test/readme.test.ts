/**
 * Every example of the README type-checks as it stands, or is JavaScript, and runs, in a process of its own, with a registry on
 * loopback in place of the one it names.
 */

import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { allow, type RegistryOptions } from '@reg/testing';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { stage } from './stage.ts';

const folder = fileURLToPath(new URL('..', import.meta.url));
const readme = await readFile(join(folder, 'README.md'), 'utf8');

/** What a browser tells for itself: those examples have tests of their own there. */
const elsewhere = '## Diagnose CORS';

const sections = readme.split(`\n${elsewhere}`)[0] ?? readme;

function examplesIn(text: string, language: string): ReadonlyMap<string, string[]> {
  return new Map(
    text.split('\n## ').map((section) => {
      const codes = section.split(`\`\`\`${language}\n`).slice(1);
      return [
        section.slice(0, section.indexOf('\n')),
        codes.map((rest) => rest.slice(0, rest.indexOf('```'))),
      ];
    }),
  );
}

const examples = { ts: examplesIn(sections, 'ts'), js: examplesIn(sections, 'js') };
const ran = new Set<string>();

function example(heading: string, language: 'ts' | 'js' = 'ts'): string {
  const code = examples[language].get(heading)?.[0];
  if (code === undefined) throw new Error(`the README has no example under '${heading}'`);
  ran.add(code);
  return code;
}

/** Runs `program` with names replaced. */
async function run(program: string, names: Readonly<Record<string, string>>) {
  let own = program;
  for (const [name, replacement] of Object.entries(names)) {
    expect(own).toContain(name);
    own = own.replaceAll(name, replacement);
  }
  // Nothing leaves the machine.
  for (const host of own.matchAll(/https?:\/\/([^/':`]+)/g)) expect(host[1]).toBe('127.0.0.1');
  const flags = ['--conditions=@reg/source', '--input-type=module-typescript', '--eval', own];
  return promisify(execFile)(process.execPath, flags, { cwd: folder, env: {} });
}

/** A registry with its token server on the same origin: on loopback a realm at another port needs a pair. */
async function registryWith(options: Partial<RegistryOptions> = {}) {
  const { registry, password } = await stage({
    repositories: {
      'library/busybox': { tags: ['latest'] },
      'acme/app': { tags: ['1'] },
      'acme/private': { access: {} },
    },
    ...options,
  });
  registry.faults.add({
    server: 'registry',
    kind: 'realm',
    realm: '/token',
    times: Number.POSITIVE_INFINITY,
  });
  allow(password, registry.url);
  return {
    registry,
    login: { "username: 'ci'": "username: 'alice'", 'of a form, not of this file': password },
  };
}

const tags = "{ name: 'acme/app', tags: [ '1' ] }\n";
const open = { 'library/busybox': { visibility: 'public', tags: ['latest'] } } as const;

test('all of them type-check', () => {
  const codes = new Map(
    [...examplesIn(readme, 'ts').values()].flat().map((code, n) => [join(folder, `example-${n}.ts`), code]),
  );
  const { config } = ts.readConfigFile(join(folder, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, folder);
  const host = ts.createCompilerHost({ ...options, noEmit: true });
  const { fileExists, readFile: read, getSourceFile } = host;
  host.fileExists = (path) => codes.has(path) || fileExists(path);
  host.readFile = (path) => codes.get(path) ?? read(path);
  host.getSourceFile = (path, version, ...rest) => {
    const code = codes.get(path);
    return code === undefined
      ? getSourceFile(path, version, ...rest)
      : ts.createSourceFile(path, code, version);
  };
  const program = ts.createProgram([...codes.keys()], { ...options, noEmit: true }, host);
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

test('in a page', async () => {
  const { registry, login } = await registryWith();
  const { stdout, stderr } = await run(example('In a page'), {
    ...login,
    'https://registry.example:5000': registry.url,
    'registry.example:5000': registry.host,
  });
  expect({ stdout, stderr }).toEqual({ stdout: tags, stderr: '' });
});

test('in a service worker: what is for the registry, and nothing else', async () => {
  const { registry } = await registryWith({ repositories: open });
  const program = `
    const handlers = [];
    globalThis.self = { addEventListener: (type, handler) => handlers.push([type, handler]) };
    ${example('In a service worker', 'js')}
    const asked = [];
    const urls = ['/index.html', '/v2/library/busybox/tags/list'].map((path) => '${registry.url}' + path);
    for (const url of [...urls, 'http://127.0.0.1:1/v2/collect']) {
      const request = new Request(url);
      for (const [type, handler] of handlers) handler({ type, request, respondWith: (answer) => asked.push(answer) });
    }
    console.log(handlers.map(([type]) => type).join(), asked.length, (await asked[0]).status);`;
  const { stdout } = await run(program, { 'https://registry.example': registry.url });
  expect(stdout).toBe('fetch 1 200\n');
});

test('in Deno, Bun and Workers', async () => {
  const { registry } = await registryWith({ repositories: open });
  const program = `${example('In Deno, Bun and Workers', 'js').replace('export default', 'const worker =')}
    const request = new Request('${registry.url}/library/busybox');
    console.log(await (await worker.fetch(request)).json());`;
  const { stdout } = await run(program, { 'https://registry-1.docker.io': registry.url });
  expect(stdout).toBe("{ name: 'library/busybox', tags: [ 'latest' ] }\n");
});

test('with a fetch of one’s own', async () => {
  const { registry } = await registryWith({ repositories: open });
  const { stdout } = await run(example('In Deno, Bun and Workers'), {
    'https://registry-1.docker.io': registry.url,
  });
  expect(stdout).toBe('200\n');
});

test('known challenges', async () => {
  const { registry } = await registryWith({
    repositories: { 'acme/app': { visibility: 'public', tags: ['1'] } },
  });
  const { stdout } = await run(example('Known challenges'), {
    'https://registry.example': registry.url,
    'https://auth.example/token': `${registry.url}/token`,
    'https://auth.example': registry.url,
    'service="registry.example"': `service="${registry.service}"`,
  });
  expect(stdout).toBe('200\n');
  // The challenge was known: one token, one request.
  expect(registry.count()).toBe(2);
});

test('a login without a preflight', async () => {
  const { registry, login } = await registryWith({ auth: 'oauth2' });
  const { stdout } = await run(example('A login without a preflight'), {
    ...login,
    'https://registry.example': registry.url,
    'registry.example': registry.host,
  });
  expect(stdout).toBe('200\n');
  const asked = registry.requests.filter(({ url }) => url.startsWith('/token'));
  expect(asked.map(({ method, headers }) => [method, headers['authorization']])).toEqual([
    ['POST', undefined],
  ]);
});

test('where tokens are kept', async () => {
  const { registry } = await registryWith({ repositories: open });
  const storage = `const kept = new Map();
    globalThis.sessionStorage = {
      get length() { return kept.size; },
      key: (index) => [...kept.keys()][index] ?? null,
      getItem: (name) => kept.get(name) ?? null,
      setItem: (name, value) => kept.set(name, value),
      removeItem: (name) => kept.delete(name),
    };
    globalThis.location = { reload: () => console.log('reloaded with', kept.size) };\n`;
  const program = `${storage}${example('Where tokens are kept')}\nconsole.log(kept.size); logout();`;
  const { stdout } = await run(program, { 'https://registry-1.docker.io': registry.url });
  expect(stdout).toBe('200\n3\nreloaded with 0\n');
});

test('failures that are delivered, and failures that are thrown', async () => {
  const bearer = await registryWith();
  const program = example('When it fails');
  const delivered = await run(program, { 'https://ghcr.io': bearer.registry.url });
  expect(delivered.stderr).toBe('401 denied\n');
  const basic = await registryWith({ auth: 'basic' });
  const thrown = await run(program, { 'https://ghcr.io': basic.registry.url });
  expect(thrown.stderr).toMatch(/^ERR_REG_CREDENTIAL_MISSING /);
});

test('none of them was left out', () => {
  const all = [...examples.ts.values(), ...examples.js.values()].flat();
  expect(all.filter((code) => !ran.has(code))).toEqual([]);
});
