import { test } from 'vitest';
import { allow, canary } from '../../src/index.ts';

test('a canary where it was allowed', () => {
  const secret = canary('password');
  allow(secret, 'stdout');
  process.stdout.write('');
  console.log('nothing secret');
});
