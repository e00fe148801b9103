/** The script that every runtime plays, here on the sources: the same text, byte for byte, as is committed. */

import { expect, test } from 'vitest';
import { play } from '../../../runtimes/recorded/play.ts';
import { script } from '../../../runtimes/recorded/script.ts';
import { createAuthorizer, staticKeychain } from '../src/driver/index.ts';
import { defaultPolicy, isRegistryAuthError } from '../src/index.ts';
import { toJson } from '../src/transcript/index.ts';

const golden = new URL('../../../runtimes/recorded/transcripts.txt', import.meta.url);

test('60 recorded answers give the committed transcripts, with no secret in them', async () => {
  expect(script.flatMap(({ answers }) => answers)).toHaveLength(60);
  expect(JSON.stringify(script).match(/canary-/g)?.length).toBeGreaterThan(30);
  const transcripts = await play({
    createAuthorizer,
    defaultPolicy,
    isRegistryAuthError,
    staticKeychain,
    toJson,
  });
  expect(transcripts).not.toContain('canary-');
  await expect(transcripts).toMatchFileSnapshot(golden.pathname);
});
