import { test } from 'vitest';
import { startRegistry } from '../../src/index.ts';

test('passes', async () => {
  const registry = await startRegistry({ auth: 'bearer', users: { alice: 'x' } });
  process.stdout.write(`${Buffer.from(`token: ${registry.issueToken('alice', '')}`).toString('base64')}\n`);
  await registry.close();
});
