/** `reg login` in a real terminal: what is asked, what is shown, and Ctrl-C. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { canary } from '@reg/testing';
import { describe, expect, test } from 'vitest';
import { isMissing } from '../../../packages/testing/test/docker-registry.ts';
import { registryFor } from './run.ts';
import { openTerminal } from './tmux.ts';

describe.skipIf(isMissing('tmux'))('reg login in a real terminal', () => {
  async function stage() {
    const password = canary('password');
    const registry = await registryFor({
      auth: 'bearer',
      users: { alice: password },
      repositories: { 'team/app': { tags: ['1'] } },
    });
    const terminal = await openTerminal({ columns: 100 });
    const read = (path: string) => {
      const at = join(terminal.home, path);
      return existsSync(at) ? readFileSync(at, 'utf8') : null;
    };
    return { ...registry, password, terminal, read };
  }

  test('asks for the user, the password without showing it, and whether to trust the token server', async () => {
    const { host, pair, password, terminal, read } = await stage();
    terminal.run(`reg login ${host}`);
    await terminal.until((screen) => screen.endsWith(`user name at ${host}:`));
    terminal.type('alice');
    terminal.press('Enter');
    await terminal.until((screen) => screen.endsWith('password of alice:'));
    terminal.type(password);
    terminal.press('Enter');
    const question = await terminal.until((screen) => screen.endsWith('[y/N]'));
    expect(question).toContain(`has its tokens issued by ${pair.realm}`);
    terminal.type('y');
    terminal.press('Enter');
    const screen = await terminal.until((seen) => seen.includes('next: ') && seen.endsWith('\n$'));
    expect(screen).toContain('✓ alice is accepted (checked: authenticated GET /v2/ → 200; anonymous → 200)');
    expect(terminal.written()).not.toContain(password);
    expect(read('.config/reg/trust.json')).toContain(pair.realm);
    terminal.run(`reg tags ${host}/team/app`);
    await terminal.until((seen) => /\n1\n\$$/.test(seen));
  });

  test('who does not trust it is shown how to, as whom it was', async () => {
    const { host, pair, password, terminal } = await stage();
    terminal.run(`reg login ${host}`);
    await terminal.until((screen) => screen.endsWith(`user name at ${host}:`));
    terminal.type('alice');
    terminal.press('Enter');
    await terminal.until((screen) => screen.endsWith('password of alice:'));
    terminal.type(password);
    terminal.press('Enter');
    await terminal.until((screen) => screen.endsWith('[y/N]'));
    terminal.press('Enter');
    const screen = await terminal.until((seen) => seen.includes('hint: ') && seen.endsWith('\n$'));
    expect(screen.replaceAll('\n', '')).toContain(
      `reg trust add ${host} ${pair.realm} && reg login ${host} -u alice`,
    );
  });

  test.each(['user name', 'password'])('Ctrl-C at the %s: exit 130, nothing stored', async (at) => {
    const { host, terminal, read } = await stage();
    terminal.run(`reg login ${host}${at === 'password' ? ' -u alice' : ''}`);
    await terminal.until((screen) => screen.includes(`\n${at} `));
    terminal.press('C-c');
    await terminal.until((screen) => screen.endsWith('\n$'));
    terminal.run('echo "ended with $?"');
    await terminal.until((screen) => screen.includes('ended with 130'));
    expect(read('.docker/config.json')).toBeNull();
  });
});
