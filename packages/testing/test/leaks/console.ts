import { test } from 'vitest';
import { canary } from '../../src/index.ts';

test('passes', () => {
  console.warn({ credential: { password: canary('password') } });
});
