import { describe, expect, test } from 'vitest';
import type { Problem } from '../src/message.ts';
import { readProblems } from '../src/problem.ts';

const nothing: readonly Problem[] = [];

/** Bodies as servers send them (requirement 131, Q40). */
const bodies: readonly (readonly [string, readonly Problem[]])[] = [
  [
    '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}',
    [{ code: 'UNAUTHORIZED', message: 'authentication required' }],
  ],
  [
    '{"errors":[{"code":"DENIED"},{"message":"no"}]}',
    [
      { code: 'DENIED', message: '' },
      { code: '', message: 'no' },
    ],
  ],
  ['{"errors":[]}', nothing],
  [
    '{"errors":[null,1,"text",{"code":1,"message":{}}]}',
    [
      { code: '', message: '' },
      { code: '', message: '' },
      { code: '', message: '' },
      { code: '', message: '' },
    ],
  ],
  ['{"errors":{"code":"X"},"message":"not a list"}', [{ code: '', message: 'not a list' }]],
  ['{"details":"incorrect username or password"}', [{ code: '', message: 'incorrect username or password' }]],
  ['{"detail":"Not authenticated"}', [{ code: '', message: 'Not authenticated' }]],
  ['{"message":"no such thing"}', [{ code: '', message: 'no such thing' }]],
  ['{"error":"invalid_grant"}', [{ code: 'invalid_grant', message: '' }]],
  [
    '{"error":"invalid_grant","error_description":"expired"}',
    [{ code: 'invalid_grant', message: 'expired' }],
  ],
  ['{"error":{"code":"X"}}', nothing],
  ['{"details":1,"message":"m"}', [{ code: '', message: 'm' }]],
  ['{}', nothing],
  ['[]', nothing],
  ['null', nothing],
  ['"a string"', nothing],
  ['12', nothing],
  ['Auth failed.', [{ code: '', message: 'Auth failed.' }]],
  [' \n', nothing],
  ['', nothing],
  ['<html>nginx</html>', nothing],
  ['\n<!doctype html>', nothing],
  ['{"errors":[{"code":', [{ code: '', message: '{"errors":[{"code":' }]],
];

describe('readProblems', () => {
  test.each(bodies)('%s', (text, problems) => {
    expect(readProblems(text)).toEqual(problems);
  });

  test('reads eight entries, and 512 units of each text', () => {
    const errors = Array.from({ length: 9 }, (_, i) => ({ code: `E${i}`, message: 'x'.repeat(513) }));
    const problems = readProblems(JSON.stringify({ errors }));
    expect(problems.map(({ code }) => code)).toEqual(['E0', 'E1', 'E2', 'E3', 'E4', 'E5', 'E6', 'E7']);
    expect(problems.map(({ message }) => message.length)).toEqual(Array(8).fill(512));
    expect(readProblems('y'.repeat(1_000))).toEqual([{ code: '', message: 'y'.repeat(512) }]);
  });

  test('reads own members only (CVE-2026-67319)', () => {
    expect(readProblems('{"__proto__":{"errors":[{"code":"X","message":"m"}],"message":"m"}}')).toEqual([]);
    expect(readProblems('{"errors":[{"__proto__":{"code":"X"}}]}')).toEqual([{ code: '', message: '' }]);
  });

  test('survives 50,000 levels', () => {
    expect(readProblems('['.repeat(50_000) + ']'.repeat(50_000))).toEqual([]);
  });
});
