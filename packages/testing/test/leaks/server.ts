import { test } from 'vitest';
import { canary, startRegistry } from '../../src/index.ts';

test('passes', async () => {
  const password = canary('password');
  const registry = await startRegistry({ auth: 'bearer', users: { alice: password } });
  await fetch(`${registry.url}/v2/`, { headers: { 'X-Anything': password } });
  await registry.close();
});
