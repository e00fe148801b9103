/** What is no name of a registry is refused, and not shown where it may hold a password. */

import { expect, test } from 'vitest';
import { defaultKeychain, eraseCredential, saveCredential } from '../src/index.ts';

const login = { type: 'password', username: 'alice', password: 'wonderland' } as const;

test.each(['https://me:hunter2-of-many@reg.example', 'me:hunter2-of-many@reg.example/team', 'me@'])(
  '%s',
  async (text) => {
    const kept: unknown[] = [];
    for (const refused of [
      defaultKeychain().find(text),
      saveCredential(text, login, { path: '/nonexistent/config.json' }),
      eraseCredential(text, { path: '/nonexistent/config.json' }),
    ]) {
      kept.push(await refused.catch((error: unknown) => error));
    }
    for (const error of kept) {
      expect(error).toBeInstanceOf(TypeError);
      expect(String(error)).toMatch(/ not a text with an @$/);
    }
  },
);
