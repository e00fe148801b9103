/**
 * What `reg trace` writes for every kind of handshake and failure, held against those who read it: the schema that is shipped,
 * `--replay`, the schema of HAR 1.2, Mermaid's own parser, and a shell.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Ajv from 'ajv';
import mermaid from 'mermaid';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Handshake, handshakes } from './handshakes.ts';
import { run } from './run.ts';
import { matchesSchema } from './schema.ts';

const require = createRequire(import.meta.url);

/** HAR 1.2 as JSON Schemas of draft 6. */
const isHar = (() => {
  const formats = {
    'date-time': (text: string) => !Number.isNaN(Date.parse(text)),
    uri: true,
    ipv4: true,
    ipv6: true,
  } as const;
  // They have words of other drafts in them, and `min` for `minimum`, which is checked by hand.
  const ajv = new Ajv.default({ strict: false, allErrors: true, formats });
  ajv.addMetaSchema(require('ajv/dist/refs/json-schema-draft-06.json'));
  const schemas: Readonly<Record<string, object>> = require('har-schema');
  for (const schema of Object.values(schemas)) ajv.addSchema(schema);
  const validate = ajv.getSchema('har.json#');
  if (validate === undefined) throw new Error('har-schema has no har.json');
  return validate;
})();

interface HarEntry {
  readonly time: number;
  readonly startedDateTime: string;
  readonly request: { readonly url: string };
  readonly timings: Readonly<Record<'dns' | 'connect' | 'ssl' | 'send' | 'wait' | 'receive', number>>;
}

/** Fails unless `text` is a HAR, with times that add up. Gives its entries. */
function harIn(text: string): readonly HarEntry[] {
  const har: { readonly log: { readonly entries: readonly HarEntry[] } } = JSON.parse(text);
  if (!isHar(har)) throw new Error(JSON.stringify(isHar.errors, null, 2));
  for (const { time, timings } of har.log.entries) {
    const { dns, connect, ssl, send, wait, receive } = timings;
    for (const part of [dns, connect, ssl]) expect(part >= 0 || part === -1).toBe(true);
    for (const part of [send, wait, receive]) expect(part).toBeGreaterThanOrEqual(0);
    const sum = [dns, connect, send, wait, receive].reduce((all, part) => all + Math.max(0, part), 0);
    expect(time).toBeCloseTo(sum, 2);
    expect(ssl).toBeLessThanOrEqual(Math.max(connect, -1));
  }
  return har.log.entries;
}

function fileWith(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'reg-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'trace.json');
  writeFileSync(file, text);
  return file;
}

const replayed = (file: string, format: string) => run(['trace', '--replay', file, '-o', format]);

test('the set-ups come to every kind of failure but two, which a trace cannot have', () => {
  const schema: {
    $defs: { failure: { oneOf: { properties: { kind: { const: string } } }[] } };
  } = require('../schemas/trace.json');
  const kinds = schema.$defs.failure.oneOf.map(({ properties }) => properties.kind.const);
  const seen = new Set(handshakes.map(({ failure }) => failure));
  expect(kinds.filter((kind) => !seen.has(kind))).toEqual(['body-spent', 'deadline']);
});

describe.each(handshakes)('$name', ({ code, failure, start }: Handshake) => {
  test('is as the schema says, and the same when it is replayed, in every form', async () => {
    const { args, env } = await start();
    const { code: ended, stdout: json, stderr } = await run(['trace', ...args, '-o', 'json'], { env });
    expect({ ended, stderr: stderr === '' }).toEqual({ ended: code, stderr: code === 0 });
    const trace = matchesSchema('trace', json);
    expect(trace).toMatchObject({ failure: failure === null ? null : { kind: failure } });

    const file = fileWith(json);
    expect(await replayed(file, 'json')).toEqual({ code: 0, stdout: json, stderr: '' });

    const har = await replayed(file, 'har');
    expect(har).toMatchObject({ code: 0, stderr: '' });
    const requests = harIn(har.stdout);

    const diagram = await replayed(file, 'mermaid');
    expect(await mermaid.parse(diagram.stdout)).toMatchObject({ diagramType: 'sequence' });
    expect(diagram.stdout.split('\n').filter((line) => line.includes('->>S'))).toHaveLength(requests.length);

    const script = await replayed(file, 'curl');
    for (const shell of ['sh', 'bash']) {
      const { status, stderr } = spawnSync(shell, ['-n'], { input: script.stdout, encoding: 'utf8' });
      expect({ shell, status, stderr }).toEqual({ shell, status: 0, stderr: '' });
    }

    const text = await replayed(file, 'text');
    expect(text.stdout.split('\n').filter((line) => /^#\d+ → /.test(line))).toHaveLength(requests.length);
    expect(text.stdout).toContain(failure === null ? '   result: ' : `result: ${failure}`);
    for (const { stdout } of [har, diagram, script, text]) {
      expect([...stdout].filter((char) => char !== '\n' && /[\p{Cc}\u202e]/u.test(char))).toEqual([]);
    }
  });
});

test('a diagram is numbered, and names who is who', async () => {
  const bearer = handshakes.find(({ name }) => name === 'Bearer, with a password');
  const { args, env } = (await bearer?.start()) ?? { args: [], env: {} };
  const { stdout } = await run(['trace', ...args, '-o', 'mermaid'], { env });
  expect(stdout).toMatch(
    /^sequenceDiagram\n {4}autonumber\n {4}participant C as client\n {4}participant S1 as \S+ \(registry\)\n {4}participant S2 as \S+ \(token server\)\n/,
  );
  expect(stdout.match(/^ {4}(C->>S\d|S\d-->>C): /gm)).toEqual([
    '    C->>S1: ',
    '    S1-->>C: ',
    '    C->>S2: ',
    '    S2-->>C: ',
    '    C->>S1: ',
    '    S1-->>C: ',
  ]);
});

test('a HAR has the time split of each request, as it was measured', async () => {
  const bearer = handshakes.find(({ name }) => name === 'Bearer, with a password');
  const { args, env } = (await bearer?.start()) ?? { args: [], env: {} };
  const before = Date.now();
  const entries = harIn((await run(['trace', ...args, '-o', 'har'], { env })).stdout);
  expect(entries).toHaveLength(3);
  // Addresses need no look-up; the third request is on the connection of the first.
  expect(entries.map(({ timings }) => [timings.dns, timings.connect >= 0, timings.ssl])).toEqual([
    [-1, true, -1],
    [-1, true, -1],
    [-1, false, -1],
  ]);
  for (const { startedDateTime, time } of entries) {
    expect(Date.parse(startedDateTime)).toBeGreaterThan(before - 1_000);
    expect(time).toBeGreaterThan(0);
  }
});
