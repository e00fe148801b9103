/** What is remembered of an origin, for how long, and that it is never more than a hint. */

import { describe, expect, it } from 'vitest';
import { ChallengeMemory } from '../../src/driver/memory.ts';
import type { Challenged } from '../../src/handshake.ts';

const own: Challenged = { scheme: 'bearer', realm: 'https://r.test/token', service: 's', elsewhere: null };
const other: Challenged = { ...own, realm: 'https://r.test/other' };
const basic: Challenged = { scheme: 'basic', realm: null, service: null, elsewhere: null };

function challenged(url: string, hint: Challenged) {
  return { type: 'challenged', url, hint } as const;
}

describe('ChallengeMemory', () => {
  it('keeps a challenge for its whole origin, for ten minutes', () => {
    const memory = new ChallengeMemory(10);
    memory.learn(challenged('https://r.test/v2/a/b/tags/list', own), 1_000);
    expect(memory.recall('https://r.test/v2/c/d/tags/list', 600_999)).toEqual(own);
    expect(memory.recall('https://r.test/v2/c/d/tags/list', 601_000)).toBeNull();
    expect(memory.recall('https://r.test:8443/v2/a/b/tags/list', 1_000)).toBeNull();
  });

  it('keeps per path prefix once an origin has shown two token servers', () => {
    const memory = new ChallengeMemory(10);
    memory.learn(challenged('https://r.test/v2/a/x/tags/list', own), 0);
    memory.learn(challenged('https://r.test/v2/b/x/tags/list', other), 0);
    expect(memory.recall('https://r.test/v2/b/y/tags/list', 1)).toEqual(other);
    expect(memory.recall('https://r.test/v2/a/x/tags/list', 1)).toBeNull();
    memory.learn(challenged('https://r.test/v2/a/x/tags/list', own), 1);
    expect(memory.recall('https://r.test/v2/a/y/tags/list', 2)).toEqual(own);
    expect(memory.recall('https://r.test/elsewhere', 2)).toBeNull();
    memory.learn({ type: 'misled', url: 'https://r.test/v2/a/x/tags/list' }, 3);
    expect(memory.recall('https://r.test/v2/a/y/tags/list', 4)).toBeNull();
    expect(memory.recall('https://r.test/v2/b/y/tags/list', 4)).toEqual(other);
  });

  it('another scheme replaces the one before', () => {
    const memory = new ChallengeMemory(10);
    memory.learn(challenged('https://r.test/v2/a/x/tags/list', own), 0);
    memory.learn(challenged('https://r.test/v2/a/x/tags/list', basic), 0);
    expect(memory.recall('https://r.test/v2/b/x/tags/list', 1)).toEqual(basic);
  });

  it('an open repository does not make a registry forget its challenge (Q55)', () => {
    const memory = new ChallengeMemory(10);
    const open = { type: 'open', url: 'https://r.test/v2/public/x/tags/list' } as const;
    memory.learn(open, 0);
    expect(memory.recall('https://r.test/v2/a/b/tags/list', 1)).toEqual({ scheme: 'none', elsewhere: null });
    memory.learn(challenged('https://r.test/v2/a/b/tags/list', own), 2);
    memory.learn(open, 3);
    expect(memory.recall('https://r.test/v2/a/b/tags/list', 4)).toEqual(own);
  });

  it('forgets what misled, one origin, or all', () => {
    const memory = new ChallengeMemory(10);
    memory.learn({ type: 'misled', url: 'https://r.test/v2/a/b' }, 0);
    for (const host of ['a', 'b', 'c']) memory.learn(challenged(`https://${host}.test/v2/`, own), 0);
    memory.learn({ type: 'misled', url: 'https://a.test/v2/x/y' }, 0);
    memory.forget('https://b.test');
    const left = () =>
      ['a', 'b', 'c'].filter((host) => memory.recall(`https://${host}.test/v2/`, 1) !== null);
    expect(left()).toEqual(['c']);
    memory.forget();
    expect(left()).toEqual([]);
  });

  it('holds as many origins as it may, the most recently used', () => {
    const memory = new ChallengeMemory(2);
    for (const host of ['a', 'b']) memory.learn(challenged(`https://${host}.test/v2/`, own), 0);
    memory.recall('https://a.test/v2/', 1);
    memory.learn(challenged('https://c.test/v2/', own), 2);
    const left = ['a', 'b', 'c'].filter((host) => memory.recall(`https://${host}.test/v2/`, 3) !== null);
    expect(left).toEqual(['a', 'c']);
  });
});
