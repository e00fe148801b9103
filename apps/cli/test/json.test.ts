import { toVisible } from '@reg/core';
import { expect, test } from 'vitest';
import { jsonDocument, jsonLine } from '../src/report/json.ts';

const hostile = 'a\u009b31mb\u202ec\u007f\u2028\u{e0041}\u0000é"\\\n\ud800';

test('a terminal is shown no control, whatever is in a text, and a program reads what it was', () => {
  for (const json of [jsonDocument({ hostile }), jsonLine([hostile])]) {
    for (const line of json.trimEnd().split('\n')) expect(toVisible(line)).toBe(line);
    expect(Object.values(JSON.parse(json))).toEqual([hostile]);
  }
  expect(jsonLine({ name: 'é' })).toBe('{"name":"é"}\n');
  expect(jsonDocument({ a: [1] })).toBe('{\n  "a": [\n    1\n  ]\n}\n');
});
