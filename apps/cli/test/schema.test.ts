import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { matchesSchema } from './schema.ts';

test('a value, or the text of one, is held against the schema of its command', () => {
  const value = { repository: 'docker.io/library/busybox', tags: ['1'] };
  expect(matchesSchema('tags', value)).toBe(value);
  expect(matchesSchema('tags', JSON.stringify(value))).toEqual(value);
});

test('what is missing, wrong or more than the schema knows is listed', () => {
  expect(() => matchesSchema('tags', { tags: [1], more: true })).toThrow(
    /required property 'repository'.*additional properties.*"more".*\/tags\/0 must be string/s,
  );
});

test('a part of a schema is one too, as a line of ndjson is', () => {
  expect(matchesSchema('tags#/$defs/line', '{"tag":"1"}')).toEqual({ tag: '1' });
  expect(() => matchesSchema('tags#/$defs/line', { tags: '1' })).toThrow("required property 'tag'");
});

describe('every schema that is shipped', () => {
  const names = readdirSync(new URL('../schemas/', import.meta.url)).map((file) => file.replace('.json', ''));
  test.each(names)('%s compiles in strict mode', (name) => {
    // Nothing that a command prints is `undefined`, so every schema refuses it, if it compiles at all.
    expect(() => matchesSchema(name, undefined)).toThrow('does not match');
  });
});
