import { expect, test } from 'vitest';
import { duration } from '../src/report/duration.ts';

test.each([
  [0, '0 s'],
  [1, '1 s'],
  [1_499, '1 s'],
  [59_499, '59 s'],
  [59_500, '1 min'],
  [119_000, '1 min 59 s'],
  [298_000, '4 min 58 s'],
  [3_600_000, '1 h'],
  [3_601_000, '1 h'],
  [4_800_000, '1 h 20 min'],
  [21_600_000, '6 h'],
  [86_399_000, '23 h 59 min'],
  [86_400_000 + 60_000, '1 d'],
  [86_400_000 * 400 + 3_600_000, '400 d 1 h'],
])('%i ms are %s', (ms, text) => {
  expect(duration(ms)).toBe(text);
});
