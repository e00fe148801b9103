import { execFile, execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { canary, type Fault, type Registry } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { skopeoFor } from '../../../packages/node/test/skopeo.ts';
import { isMissing, startDistribution } from '../../../packages/testing/test/docker-registry.ts';
import { Stop } from '../src/surroundings.ts';
import { show } from '../src/writing/show.ts';
import { hintIn, type Ran, type RunOptions, registryFor, run } from './run.ts';

import { openTerminal } from './tmux.ts';

const registry = (options: Partial<Parameters<typeof registryFor>[0]> = {}) =>
  registryFor({ auth: 'none', repositories: { 'team/app': { tags: ['1'] } }, ...options });

const digestOf = (bytes: string | Uint8Array, algorithm = 'sha256') =>
  `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;

/** Pushes `bytes` and returns what the blob is called. */
async function pushed({ url, host }: Registry, bytes: Uint8Array): Promise<string> {
  const digest = digestOf(bytes);
  const begun = await fetch(`${url}/v2/team/app/blobs/uploads/`, { method: 'POST' });
  const location = new URL(begun.headers.get('location') ?? '', url);
  location.searchParams.set('digest', digest);
  const body = new Uint8Array(bytes);
  expect((await fetch(location, { method: 'PUT', body })).status).toBe(201);
  return `${host}/team/app@${digest}`;
}

/** Answers with `body` for the blob `digest`. */
const sending = (digest: string, body: string, headers: Record<string, string> = {}): Fault => ({
  kind: 'status',
  status: 200,
  body,
  headers,
  path: `/v2/team/app/blobs/${digest}`,
});

async function runForBytes(
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ran & { bytes: Buffer }> {
  const chunks: Uint8Array[] = [];
  const ran = await run(args, { ...options, onBytes: (chunk) => chunks.push(chunk) });
  return { ...ran, bytes: Buffer.concat(chunks) };
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'reg-blob-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

const flat = (text: string) => text.replace(/\s+/g, ' ');

describe('reg blob prints the bytes that the digest names', () => {
  test.each([0, 1, 1_000_000])('%i bytes', async (size) => {
    const bytes = randomBytes(size);
    const reference = await pushed(await registry(), bytes);
    const { code, stderr, bytes: printed } = await runForBytes(['blob', reference]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(printed.equals(bytes)).toBe(true);
  });

  test('by SHA-384 and SHA-512 too', async () => {
    const { host, faults } = await registry();
    for (const algorithm of ['sha384', 'sha512']) {
      const digest = digestOf('hello', algorithm);
      faults.add({ ...sending(digest, 'hello'), times: 2 });
      expect(await run(['blob', `${host}/team/app@${digest}`])).toMatchObject({ code: 0, stdout: 'hello' });
      faults.clear();
      faults.add(sending(digest, 'hallo'));
      expect(await run(['blob', `${host}/team/app@${digest}`])).toMatchObject({ code: 9 });
    }
  });

  test('as they are stored, though they are labelled as if HTTP had compressed them', async () => {
    const { host, faults, requests } = await registry();
    const digest = digestOf('no gzip at all');
    faults.add(sending(digest, 'no gzip at all', { 'Content-Encoding': 'gzip' }));
    expect(await run(['blob', `${host}/team/app@${digest}`])).toMatchObject({ stdout: 'no gzip at all' });
    expect(requests[0]?.headers['accept-encoding']).toBe('identity');
  });

  test('from the storage that the registry redirects to, which is sent no token', async () => {
    const password = canary('password');
    const { host, pair, requests } = await registry({
      auth: 'bearer',
      users: { alice: password },
      redirectBlobs: true,
    });
    const reference = `${host}/team/app@${digestOf('1')}`;
    const args = ['blob', reference, '-u', 'alice', '--password-stdin', '--trust-realm', pair.realm];
    expect(await run(args, { stdin: password })).toMatchObject({ code: 0, stdout: '1' });
    expect(requests.map(({ server }) => server)).toEqual(['registry', 'token', 'registry', 'blobs']);
    expect(requests[3]?.headers).toMatchObject({ 'accept-encoding': 'identity' });
    expect(requests[3]?.headers['authorization']).toBeUndefined();
  });

  test('but not from where no registry may send anybody', async () => {
    const { host, faults } = await registry();
    const digest = digestOf('1');
    const path = `/v2/team/app/blobs/${digest}`;
    faults.add({ kind: 'redirect', location: 'http://169.254.169.254/latest/meta-data/', path });
    expect(await run(['blob', `${host}/team/app@${digest}`])).toMatchObject({ code: 9, stdout: '' });
  });

  test('no more is read than is taken', async () => {
    const released: (() => void)[] = [];
    const pulled: number[] = [];
    async function* source() {
      for (let i = 0; i < 3; i++) {
        pulled.push(i);
        yield new Uint8Array([i]);
      }
    }
    const stdout = { write: (_: unknown, done?: () => void) => released.push(done ?? (() => {})) };
    const rest = { stderr: stdout, stdin: process.stdin, env: {}, signal: new AbortController().signal };
    const shown = show(source(), '', { stdout, ...rest });
    for (let i = 0; i < 3; i++) {
      await new Promise(setImmediate);
      expect(pulled).toHaveLength(i + 1);
      released.shift()?.();
    }
    await shown;
  });
});

describe('on a terminal', () => {
  test('text is shown, and does nothing to the terminal', async () => {
    const reference = await pushed(await registry(), Buffer.from('{"a":\t"ü\u001b[2J\r"}\n{}'));
    const { stdout } = await run(['blob', reference], { terminal: 80 });
    expect(stdout).toBe('{"a":\t"ü\\u{1b}[2J\\r"}\n{}\n');
  });

  test.each([
    ['a zero byte', Buffer.from('a\0b')],
    ['what is no UTF-8', Buffer.from([0x1f, 0x8b, 0x08])],
    ['half a character at the end', Buffer.from([0x61, 0xc3])],
  ])('%s is not, and how to have it is said', async (_, bytes) => {
    const reference = await pushed(await registry(), bytes);
    const ran = await run(['blob', reference], { terminal: 80 });
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain(`reg blob ${reference} --out FILE\n`);
  });

  test('but with --out -', async () => {
    const bytes = Buffer.from([0x1f, 0x8b, 0x00]);
    const reference = await pushed(await registry(), bytes);
    const ran = await runForBytes(['blob', reference, '--out', '-'], { terminal: 80 });
    expect(ran).toMatchObject({ code: 0, bytes, stderr: '' });
  });
});

describe('bytes that are not what the digest names', () => {
  test('have been printed, and end in an error', async () => {
    const { host, faults } = await registry();
    const digest = digestOf('1');
    faults.add(sending(digest, 'evil'));
    const ran = await run(['blob', `${host}/team/app@${digest}`]);
    expect(ran).toMatchObject({ code: 9, stdout: 'evil' });
    expect(flat(ran.stderr)).toContain(`is not ${digest}: its digest is ${digestOf('evil')}`);
  });

  test.each(['truncated-body', 'stall'] as const)('that break off (%s)', async (kind) => {
    const { host, faults } = await registry();
    const digest = digestOf('1');
    const path = `/v2/team/app/blobs/${digest}`;
    const options = kind === 'stall' ? ['--timeout', '0.2'] : [];
    faults.add(kind === 'stall' ? { kind, at: 'mid-body', path } : { kind, path });
    const out = join(folder(), 'out');
    const args = ['blob', `${host}/team/app@${digest}`, '--out', out, ...options];
    expect(await run(args)).toMatchObject({ code: 6, stdout: '' });
    expect(readdirSync(join(out, '..'))).toEqual([]);
  });
});

describe('--out is a file that is whole or not there', () => {
  test('whole', async () => {
    const bytes = randomBytes(300_000);
    const out = join(folder(), 'layer');
    const ran = await run(['blob', await pushed(await registry(), bytes), '--out', out]);
    expect(ran).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(readFileSync(out).equals(bytes)).toBe(true);
    expect(readdirSync(join(out, '..'))).toEqual(['layer']);
  });

  test('in place of another, whose mode it keeps, behind a link', async () => {
    const at = folder();
    writeFileSync(join(at, 'old'), 'old');
    chmodSync(join(at, 'old'), 0o640);
    symlinkSync('old', join(at, 'link'));
    const reference = await pushed(await registry(), Buffer.from('new'));
    expect(await run(['blob', reference, '--out', join(at, 'link')])).toMatchObject({ code: 0 });
    expect(readFileSync(join(at, 'old'), 'utf8')).toBe('new');
    expect(statSync(join(at, 'old')).mode & 0o777).toBe(0o640);
    expect(lstatSync(join(at, 'link')).isSymbolicLink()).toBe(true);
  });

  test('not there, or as it was, when the bytes are others', async () => {
    const { host, faults } = await registry();
    const digest = digestOf('1');
    faults.add({ ...sending(digest, 'evil'), times: 2 });
    const at = folder();
    writeFileSync(join(at, 'old'), 'old');
    for (const name of ['old', 'new'])
      expect(await run(['blob', `${host}/team/app@${digest}`, '--out', join(at, name)])).toMatchObject({
        code: 9,
      });
    expect(readdirSync(at)).toEqual(['old']);
    expect(readFileSync(join(at, 'old'), 'utf8')).toBe('old');
  });

  test('not there when the command is stopped', async () => {
    const { host, faults } = await registry();
    const digest = digestOf('1');
    faults.add({ kind: 'stall', at: 'mid-body', path: `/v2/team/app/blobs/${digest}` });
    const at = folder();
    const stop = new AbortController();
    const running = run(['blob', `${host}/team/app@${digest}`, '--out', join(at, 'out')], {
      signal: stop.signal,
    });
    await expect.poll(() => readdirSync(at).length).toBe(1);
    stop.abort(new Stop(130));
    expect(await running).toEqual({ code: 130, stdout: '', stderr: '' });
    expect(readdirSync(at)).toEqual([]);
  });

  test('a pipe stays one', async () => {
    const reference = await pushed(await registry(), Buffer.from('x'));
    const pipe = join(folder(), 'pipe');
    execFileSync('mkfifo', [pipe]);
    const read = promisify(execFile)('cat', [pipe]);
    expect(await run(['blob', reference, '--out', pipe])).toMatchObject({ code: 0 });
    expect((await read).stdout).toBe('x');
    expect(statSync(pipe).isFIFO()).toBe(true);
  });

  test('a full disk is said to be one', async () => {
    const reference = await pushed(await registry(), Buffer.from('x'));
    const ran = await run(['blob', reference, '--out', '/dev/full']);
    expect(ran).toMatchObject({ code: 1, stderr: expect.stringContaining('ENOSPC') });
    expect(hintIn(ran)).toBe('df -h');
  });

  test.each(['', '/', '/nonexistent/file', '/proc/file'])('%j cannot be written', async (out) => {
    const reference = await pushed(await registry(), Buffer.from('x'));
    expect(await run(['blob', reference, `--out=${out}`])).toMatchObject({ code: 2, stdout: '' });
  });
});

test.each([
  'ghcr.io/o/app',
  'ghcr.io/o/app:1',
  'ghcr.io/o/app@sha256:1',
  `ghcr.io/o/app@blake3:${'0'.repeat(64)}`,
])('%s names no blob that can be verified', async (reference) => {
  expect(await run(['blob', reference])).toMatchObject({ code: 2, stdout: '' });
});

describe.skipIf(isMissing('tmux'))('in a real terminal', () => {
  /** The end of a command line, with an exit code. */
  const ended = (screen: string) => /^ended with \d+$/m.test(screen) && screen.endsWith('\n$');

  test('progress is seen, and Ctrl-C leaves no file and no line of it', async () => {
    const { host, faults } = await registry();
    const digest = digestOf('1');
    faults.add({ kind: 'oversized-body', bytes: 1_000_000, path: `/v2/team/app/blobs/${digest}` });
    faults.add({ kind: 'stall', at: 'mid-body', path: `/v2/team/app/blobs/${digest}` });
    const terminal = await openTerminal();
    terminal.run(`reg blob ${host}/team/app@${digest} --out layer; echo "ended with $?"; ls -A`);
    await terminal.until((screen) => / of 1\.0 MB, \d+ %/.test(screen));
    terminal.press('C-c');
    const screen = await terminal.until(ended);
    expect(screen).toMatch(/^ended with 130\n\$$/m);
    expect(screen).not.toContain('MB');
  });

  test('bytes are not shown, but may be piped on, as far as anybody reads', async () => {
    const reference = await pushed(await registry(), randomBytes(3_000_000));
    const terminal = await openTerminal({ columns: 200 });
    terminal.run(`reg blob ${reference}; echo "ended with $?"`);
    expect(await terminal.until(ended)).toMatch(
      /stdout is a terminal\nhint: reg blob .* --out FILE\nended with 2/,
    );
    terminal.run('clear');
    terminal.run(`reg blob ${reference} | head -c 1 | wc -c; echo "ended with \${PIPESTATUS[0]}"`);
    expect(await terminal.until(ended)).toMatch(/^1\nended with 0$/m);
  });
});

test('a blob that is not there', async () => {
  const { host } = await registry();
  expect(await run(['blob', `${host}/team/app@${digestOf('2')}`])).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('BLOB_UNKNOWN'),
  });
});

describe.skipIf(isMissing('docker-registry', 'skopeo'))(
  'CNCF Distribution, with an image that skopeo pushed',
  () => {
    test('its configuration and its layer', async () => {
      const { host } = await startDistribution(null);
      const skopeo = await skopeoFor(host, null);
      await skopeo.push('team/app', '1.0', 'hello');
      const { stdout } = await run(['manifest', `${host}/team/app:1.0`]);
      const { config, layers } = JSON.parse(stdout);
      const configuration = await run(['blob', `${host}/team/app@${config.digest}`]);
      expect(JSON.parse(configuration.stdout).config.Labels.text).toBe('hello');
      const layer = await runForBytes(['blob', `${host}/team/app@${layers[0].digest}`]);
      expect(layer).toMatchObject({ code: 0, stderr: '' });
      expect(layer.bytes).toHaveLength(layers[0].size);
    });
  },
);
