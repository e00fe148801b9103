/** Credential helpers, as shell scripts that do what helpers do and what they must not. Requirements 121 to 129. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { type AttackCase, attacks, listOf, membersOf } from '../../core/test/attack-cases.ts';
import { CredentialsError } from '../src/credentials/error.ts';
import { helperErase, helperGet, helperList, helperStore } from '../src/credentials/helper.ts';
import { endWithProcess } from '../src/credentials/running.ts';
import { isRunning, type Programs, programs } from './programs.ts';

if (process.platform === 'win32') console.log('skipped: credential helpers (the tests write shell scripts)');
const scripts = describe.skipIf(process.platform === 'win32');

/** `docker-credential-test` is `script`. */
function helper(script: string): Programs & { readonly path: string } {
  const all = programs();
  return { ...all, path: all.write('docker-credential-test', script) };
}

/** What `promise` rejects with: always ours, always naming the program. */
async function refusal(promise: Promise<unknown>): Promise<CredentialsError> {
  const error: unknown = await promise.then(
    (value) => {
      throw new Error(`resolved to ${JSON.stringify(value)}`);
    },
    (reason: unknown) => reason,
  );
  if (!(error instanceof CredentialsError)) throw error;
  expect(error.code).toBe('ERR_REG_CREDENTIALS');
  expect(error.message).toContain('docker-credential-');
  return error;
}

const alice = `printf '%s' '{"ServerURL":"https://r.example","Username":"alice","Secret":"s3cr3t-PW"}'`;

/** On a machine that is busy with other things as well. */
const eventually = (check: () => void) => vi.waitFor(check, { timeout: 20_000 });

scripts('get', () => {
  test('one argument, the URL as it is on standard input, the answer from standard output (121, 122)', async () => {
    const { env, path, note } = helper(`printf '%s|' "$@" >$NOTES/arguments; cat >$NOTES/input; ${alice}`);
    expect(await helperGet('test', 'https://index.docker.io/v1/', { env })).toEqual({
      username: 'alice',
      secret: 's3cr3t-PW',
      program: path,
    });
    expect(note('arguments')).toBe('get|');
    expect(note('input')).toBe('https://index.docker.io/v1/');
  });

  test('the user <token> is handed on as it is (126)', async () => {
    const { env } = helper(`echo '{"Username":"<token>","Secret":"refresh"}'`);
    expect(await helperGet('test', 'r.example', { env })).toMatchObject({
      username: '<token>',
      secret: 'refresh',
    });
  });

  test('what a helper says beside a good answer is nobody’s business', async () => {
    const { env } = helper(`echo 'warning: keyring is old' >&2; ${alice}`);
    expect(await helperGet('test', 'r.example', { env })).toMatchObject({ username: 'alice' });
  });

  test.each([
    ['the fixed message (124)', `echo 'credentials not found in native keychain'; exit 1`],
    [
      'the fixed message among blanks (Q67)',
      `printf '\\n credentials not found in native keychain\\r\\n\\n'; exit 1`,
    ],
    ['macOS’s own', `echo 'The specified item could not be found in the keychain.'; exit 1`],
    ['older macOS’s own (Q67)', `echo 'No stored credential for r.example'; exit 1`],
    ['an empty user and secret (127, Q69)', `echo '{"ServerURL":"r.example","Username":"","Secret":""}'`],
    ['an object with nothing in it', `echo '{}'`],
    ['null for both', `echo '{"Username":null,"Secret":null}'`],
    ['nothing at all', `exit 0`],
  ])('no credential: %s', async (_, script) => {
    const { env } = helper(script);
    expect(await helperGet('test', 'r.example', { env })).toBeNull();
  });

  test.each([
    ['a secret and no user', `echo '{"Secret":"s3cr3t-PW"}'`, 'answered without a user name'],
    ['a user and no secret', `echo '{"Username":"alice"}'`, 'answered without a secret'],
    ['no JSON', `echo 's3cr3t-PW'`, '"get" did not answer with JSON'],
    ['half of it', `printf '{"Username":"alice","Secret":"s3cr3t-PW'`, '"get" did not answer with JSON'],
    ['two of it', `${alice}; ${alice}`, '"get" did not answer with JSON'],
    ['a list', `echo '["s3cr3t-PW"]'`, '"get" did not answer with a JSON object'],
    ['a text', `echo '"s3cr3t-PW"'`, '"get" did not answer with a JSON object'],
    ['null', `echo null`, '"get" did not answer with a JSON object'],
    [
      'a number for a secret',
      `echo '{"Username":"alice","Secret":7}'`,
      'answered with something else than text',
    ],
    [
      'an object for a user',
      `echo '{"Username":{},"Secret":"s3cr3t-PW"}'`,
      'answered with something else than text',
    ],
    [
      'not UTF-8',
      `printf '{"Username":"alice","Secret":"s3cr3t-PW\\377"}'`,
      '"get" did not answer with JSON',
    ],
    [
      'the fixed message as a success',
      `echo 'credentials not found in native keychain'`,
      'did not answer with JSON',
    ],
  ])('refused, and nothing of it shown (129): %s', async (_, script, words) => {
    const { env, path } = helper(script);
    const error = await refusal(helperGet('test', 'r.example', { env }));
    expect(error.path).toBe(path);
    expect(error.message).toContain(words);
    expect(error.message).not.toContain('s3cr3t');
  });

  test('members of a prototype are no answer', async () => {
    const { env } = helper(`echo '{"__proto__":{"Username":"alice","Secret":"x"}}'`);
    expect(await helperGet('test', 'r.example', { env })).toBeNull();
  });
});

scripts('failure', () => {
  /** Standard output that is not among the known words. */
  const hidden = '; what it wrote to standard output may be a secret and is not shown';

  test('an exit code, with what was said on both outputs (124, 129)', async () => {
    const { env, path } = helper(`echo 'no credentials username'; echo 'gpg: no key' >&2; exit 3`);
    const error = await refusal(helperGet('test', 'r.example', { env }));
    expect(error.message).toBe(`${path}: "get" failed (exit code 3): gpg: no key no credentials username`);
  });

  test.each([
    ['credentials not found in native keychain', 'credentials not found in native keychain'],
    ['no credentials server URL', 'no credentials server URL'],
    ['pass not initialized: exit status 1: hunter2', 'pass not initialized'],
    ['Cannot autolaunch D-Bus without X11 $DISPLAY', 'Cannot autolaunch D-Bus'],
    ['not implemented', 'not implemented'],
  ])('of standard output, %j is shown as far as it is known', async (words, known) => {
    const { env, path } = helper(`echo '${words}'; exit 1`);
    const entry = { serverUrl: 'r.example', username: 'alice', secret: 'x' };
    const error = await refusal(helperStore('test', entry, { env }));
    expect(error.message).toBe(`${path}: "store" failed (exit code 1): ${known}`);
  });

  test.each([
    ['git-credential’s answer', `printf 'protocol=https\nusername=alice\npassword=hunter2\n'`],
    ['a secret alone', `echo hunter2`],
    ['known words after it', `echo 'hunter2 not implemented'`],
  ])('anything else on standard output is an answer and not shown: %s', async (_, script) => {
    for (const [words, shown] of [
      ['', ''],
      [`; echo 'keyring is locked' >&2`, ': keyring is locked'],
    ]) {
      const { env, path } = helper(`${script}${words}; exit 1`);
      for (const call of [helperGet, helperErase]) {
        const error = await refusal(call('test', 'r.example', { env }));
        expect(error.message).toMatch(/"(get|erase)"/);
        expect(error.message.replace(/get|erase/, '*')).toBe(
          `${path}: "*" failed (exit code 1)${shown}${hidden}`,
        );
      }
    }
  });

  test('a crash by its signal, and no answer from before it', async () => {
    const { env, path } = helper(`${alice}; echo 'double free' >&2; kill -SEGV $$`);
    const error = await refusal(helperGet('test', 'r.example', { env }));
    expect(error.message).toBe(`${path}: "get" failed (ended by SIGSEGV): double free${hidden}`);
  });

  test('an answer is not shown, whatever its exit code', async () => {
    const { env, path } = helper(`${alice}; exit 1`);
    const error = await refusal(helperGet('test', 'r.example', { env }));
    expect(error.message).toBe(`${path}: "get" failed (exit code 1)${hidden}`);
  });

  test('control characters are spelled out, and 300 characters are enough', async () => {
    const { env } = helper(`printf '\\033[2Jgone\\007\\nnext %01000d' 0 >&2; exit 1`);
    const { message } = await refusal(helperGet('test', 'r.example', { env }));
    expect(message).toContain('(exit code 1): \\u{1b}[2Jgone\\u{7}\\nnext 000');
    expect(message).not.toMatch(/\p{Cc}/u);
    expect(message.length).toBeLessThan(500);
    expect(message.endsWith('0…')).toBe(true);
  });

  test('a crash is one, whatever was said before it', async () => {
    const { env } = helper(`echo 'credentials not found in native keychain'; kill -SEGV $$`);
    await refusal(helperGet('test', 'r.example', { env }));
  });

  test('a not-found that is not for a missing credential is a failure', async () => {
    const { env } = helper(`echo 'error: credentials not found in native keychain?'; exit 1`);
    await refusal(helperGet('test', 'r.example', { env }));
  });

  test('an interpreter that is not there', async () => {
    const { env, folder } = programs();
    writeFileSync(join(folder, 'docker-credential-test'), '#!/nowhere/python\n', { mode: 0o755 });
    const error = await refusal(helperGet('test', 'r.example', { env }));
    expect(error.message).toMatch(/cannot be run \(ENOENT\)$/);
  });
});

scripts('bounds', () => {
  test('a program that hangs is ended, with what it started', async () => {
    const { env, path, note } = helper(`sleep 600 & echo $! >$NOTES/started; echo $$ >$NOTES/pid; wait`);
    const error = await refusal(helperGet('test', 'r.example', { env, timeoutMs: 1_000 }));
    expect(error.message).toBe(`${path}: "get" did not end in 1000 ms`);
    expect(isRunning(Number(note('pid')))).toBe(false);
    await eventually(() => expect(isRunning(Number(note('started')))).toBe(false));
  });

  test('one that does not heed SIGTERM as well', async () => {
    const { env, note } = helper(`trap '' TERM; echo $$ >$NOTES/pid; while :; do sleep 1; done`);
    const error = await refusal(helperGet('test', 'r.example', { env, timeoutMs: 1_000 }));
    expect(error.message).toContain('did not end in 1000 ms');
    await eventually(() => expect(isRunning(Number(note('pid')))).toBe(false));
  });

  test('one that heeds it and leaves another behind', async () => {
    const { env, note } = helper(
      `(trap '' TERM; echo started >$NOTES/ready; exec sleep 600) & echo $! >$NOTES/left; wait`,
    );
    await refusal(helperGet('test', 'r.example', { env, timeoutMs: 1_000 }));
    await eventually(() => expect(isRunning(Number(note('left')))).toBe(false));
  });

  test.each(['', ' >&2'])('100 MB of output%s', async (to) => {
    const { env, path, note } = helper(`echo $$ >$NOTES/pid; exec head -c 100000000 /dev/zero${to}`);
    const error = await refusal(helperGet('test', 'r.example', { env }));
    expect(error.message).toBe(`${path}: "get" wrote more than 1 MiB`);
    await eventually(() => expect(isRunning(Number(note('pid')))).toBe(false));
  });

  test('a megabyte of output is read in full', async () => {
    const { env } = helper(`printf '{"Username":"alice","Secret":"%01000000d"}' 7`);
    const answer = await helperGet('test', 'r.example', { env });
    expect(answer?.secret).toHaveLength(1_000_000);
    expect(answer?.secret.endsWith('07')).toBe(true);
  });

  test('one that leaves another behind with its output open is not waited for', async () => {
    const { env, note } = helper(`sleep 600 & echo $! >$NOTES/left; ${alice}`);
    expect(await helperGet('test', 'r.example', { env })).toMatchObject({ username: 'alice' });
    const left = Number(note('left'));
    // A keyring's daemon, say, which is not ours to end.
    expect(isRunning(left)).toBe(true);
    process.kill(left);
  });

  test('one that reads nothing of what it is sent', async () => {
    const { env } = helper(`exec 0<&-; echo closed >$NOTES/closed`);
    const secret = 'x'.repeat(4_000_000);
    await helperStore('test', { serverUrl: 'r.example', username: 'alice', secret }, { env });
  });

  test('one that closes its outputs and then hangs', async () => {
    const { env } = helper(`exec 1>&- 2>&-; exec sleep 600`);
    const error = await refusal(helperGet('test', 'r.example', { env, timeoutMs: 1_000 }));
    expect(error.message).toContain('did not end in 1000 ms');
  });
});

scripts('abort', () => {
  const reason = new Error('enough');

  test('before: no program is started', async () => {
    const { env, note } = helper(`echo ran >$NOTES/ran; ${alice}`);
    await expect(helperGet('test', 'r.example', { env, signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason,
    );
    await helperList('test', { env }).catch(() => undefined);
    expect(note('ran')).toBe('ran\n');
  });

  test('while it runs: it is ended', async () => {
    const { env, note } = helper(`echo $$ >$NOTES/pid; exec sleep 600`);
    const controller = new AbortController();
    const call = helperGet('test', 'r.example', { env, signal: controller.signal });
    await eventually(() => expect(note('pid')).toMatch(/\n$/));
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
    await eventually(() => expect(isRunning(Number(note('pid')))).toBe(false));
  });

  test('while it waits for another call: the other goes on', async () => {
    const { env, note, folder } = helper(
      `echo call >>$NOTES/calls; while [ ! -e $NOTES/go ]; do sleep 0.01; done; ${alice}`,
    );
    const first = helperGet('test', 'r.example', { env });
    await eventually(() => expect(note('calls')).toBe('call\n'));
    const controller = new AbortController();
    const second = helperGet('test', 'r.example', { env, signal: controller.signal });
    controller.abort(reason);
    await expect(second).rejects.toBe(reason);
    writeFileSync(join(folder, 'go'), '');
    expect(await first).toMatchObject({ username: 'alice' });
    expect(note('calls')).toBe('call\n');
  });
});

scripts('the end of this process', () => {
  const program = fileURLToPath(new URL('./helper-process.ts', import.meta.url));

  /** A process whose helper runs, and heeds SIGTERM when it is to keep something. */
  async function start(what: string) {
    const { env, folder, note } = helper(`[ "$1" = store ] || trap 'echo TERM >>$NOTES/heard' TERM
      [ "$1" = store ] || cat >/dev/null; echo $$ >$NOTES/pid; while :; do sleep 0.05; done`);
    const path = join(folder, 'config.json');
    writeFileSync(path, '{"credsStore":"test"}');
    const child = spawn(process.execPath, ['--conditions=@reg/source', program, what, path], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const said: string[] = [];
    child.stdout.on('data', (text) => said.push(String(text)));
    const end = once(child, 'exit');
    await eventually(() => expect(note('pid')).toMatch(/\n$/));
    const pid = Number(note('pid'));
    onTestFinished(() => {
      if (isRunning(pid)) process.kill(pid, 'SIGKILL');
    });
    return { child, said: () => said.join(''), end, pid, note };
  }

  test.each([
    ['get', 'SIGINT'],
    ['get', 'SIGTERM'],
    ['get', 'SIGHUP'],
    ['save', 'SIGINT'],
    ['save', 'SIGHUP'],
  ] as const)(
    '%s, ended by %s: the helper ends as well, and the signal does what it does',
    async (what, signal) => {
      const { child, end, pid } = await start(what);
      child.kill(signal);
      expect(await end).toEqual([null, signal]);
      await eventually(() => expect(isRunning(pid)).toBe(false));
    },
  );

  test('with somebody who handles signals: SIGTERM is theirs, SIGINT is the helper’s as well, and each is told once', async () => {
    const { child, end, pid, said, note } = await start('listen');
    child.kill('SIGTERM');
    await eventually(() => expect(said()).toBe('SIGTERM\n'));
    expect([isRunning(pid), note('heard')]).toEqual([true, null]);
    child.kill('SIGINT');
    await eventually(() => expect(note('heard')).toBe('TERM\n'));
    expect([isRunning(pid), said()]).toEqual([true, 'SIGTERM\nSIGINT\n']);
    child.kill('SIGUSR2');
    expect(await end).toEqual([3, null]);
    await eventually(() => expect(isRunning(pid)).toBe(false));
  });

  test('by each of its ways, seen from within', () => {
    const ends: string[] = [];
    const kill = vi.spyOn(process, 'kill').mockReturnValue(true);
    onTestFinished(() => kill.mockRestore());
    const end = (signal: NodeJS.Signals, isHeard: boolean) => {
      const listener = () => ends.push('heard');
      if (isHeard) process.on(signal, listener);
      const outlive = endWithProcess((how) => ends.push(how));
      process.emit(signal, signal);
      outlive();
      process.removeListener(signal, listener);
      return ends.splice(0);
    };
    expect(process.listenerCount('SIGHUP')).toBe(0);
    expect(end('SIGHUP', false)).toEqual(['SIGKILL']);
    expect(kill.mock.calls).toEqual([[process.pid, 'SIGHUP']]);
    expect(end('SIGHUP', true)).toEqual(['SIGTERM', 'heard']);
    expect(end('SIGTERM', true)).toEqual(['heard']);
    expect(kill.mock.calls).toHaveLength(1);
    const before = process.listeners('exit');
    const outlive = endWithProcess((how) => ends.push(how));
    for (const listener of process.listeners('exit')) if (!before.includes(listener)) listener(0);
    expect(ends).toEqual(['SIGKILL']);
    outlive();
  });

  test('nobody listens to anything once no helper runs', async () => {
    const counts = () =>
      ['exit', 'SIGINT', 'SIGTERM', 'SIGHUP'].map((name) => process.listenerCount(name as NodeJS.Signals));
    const before = counts();
    const { env, folder } = helper(`while [ ! -e $NOTES/go ]; do sleep 0.01; done; ${alice}`);
    const { env: other } = helper(`exit 1`);
    const call = helperGet('test', 'r.example', { env });
    await refusal(helperGet('test', 'r.example', { env: other }));
    expect(counts()).toEqual(before.map((count) => count + 1));
    writeFileSync(join(folder, 'go'), '');
    await call;
    expect(counts()).toEqual(before);
  });
});

scripts('calls to one helper', () => {
  test('run one after another (Q73), also after one that failed', async () => {
    const { env, note } = helper(
      `mkdir $NOTES/busy || echo overlap >>$NOTES/overlaps; sleep 0.02; rmdir $NOTES/busy; read -r url; [ "$url" != bad ] || exit 1; ${alice}`,
    );
    const urls = ['a', 'bad', 'b', 'c', 'bad', 'd'];
    const outcomes = await Promise.allSettled(urls.map((url) => helperGet('test', url, { env })));
    expect(outcomes.map(({ status }) => status)).toEqual(
      urls.map((url) => (url === 'bad' ? 'rejected' : 'fulfilled')),
    );
    expect(note('overlaps')).toBeNull();
  });

  test('and do not wait for those to another', async () => {
    const { env, write } = programs();
    // Each waits for the other to have started.
    const meet = (me: string, other: string) =>
      `echo >$NOTES/${me}; while [ ! -e $NOTES/${other} ]; do sleep 0.01; done; ${alice}`;
    write('docker-credential-one', meet('one', 'two'));
    write('docker-credential-two', meet('two', 'one'));
    const answers = await Promise.all([
      helperGet('one', 'r.example', { env, timeoutMs: 10_000 }),
      helperGet('two', 'r.example', { env, timeoutMs: 10_000 }),
    ]);
    expect(answers.map((answer) => answer?.username)).toEqual(['alice', 'alice']);
  });
});

scripts('look-up', () => {
  test('the first folder of PATH that has it as a program', async () => {
    const [first, second] = [programs(), programs()];
    // Neither a folder nor a file that nobody may run.
    mkdirSync(join(first.folder, 'docker-credential-test'));
    const third = programs();
    chmodSync(third.write('docker-credential-test', alice), 0o644);
    const path = second.write('docker-credential-test', alice);
    const env = { PATH: `${first.folder}:${third.folder}:/nowhere::${second.folder}:/usr/bin:/bin` };
    expect(await helperGet('test', 'r.example', { env })).toMatchObject({ program: path });
  });

  test('not installed: named, with what to do (129, Q68)', async () => {
    const error = await refusal(helperGet('test', 'r.example', { env: { PATH: '/nowhere' } }));
    expect(error.path).toBe('docker-credential-test');
    expect(error.message).toBe(
      'docker-credential-test: is not in any folder of PATH: install it, or take it out of "credsStore" or "credHelpers"',
    );
    await refusal(helperGet('test', 'r.example', { env: {} }));
  });

  test('there, and not executable', async () => {
    const { env, folder, write } = programs();
    chmodSync(write('docker-credential-test', alice), 0o644);
    const error = await refusal(helperGet('test', 'r.example', { env }));
    expect(error.message).toBe(`${join(folder, 'docker-credential-test')}: is not executable`);
  });

  test('a folder of that name is none', async () => {
    const { env, folder } = programs();
    mkdirSync(join(folder, 'docker-credential-test'));
    expect((await refusal(helperGet('test', 'r.example', { env }))).message).toContain(
      'is not in any folder of PATH',
    );
  });
});

scripts('store, erase and list', () => {
  test('store: one JSON object on standard input (123)', async () => {
    const { env, note } = helper(`printf '%s|' "$@" >$NOTES/arguments; cat >$NOTES/input`);
    const entry = { serverUrl: 'https://r.example', username: 'alice', secret: 'a"b\\c\nd…é' };
    await helperStore('test', entry, { env });
    expect(note('arguments')).toBe('store|');
    expect(JSON.parse(note('input') ?? '')).toEqual({
      ServerURL: entry.serverUrl,
      Username: entry.username,
      Secret: entry.secret,
    });
  });

  test('store: a failure does not repeat the secret, as it is or as JSON has it', async () => {
    const { env, path } = helper(`printf 'cannot keep '; cat; exit 1`);
    const entry = { serverUrl: 'r.example', username: 'alice', secret: 's3cr3t"PW' };
    const error = await refusal(helperStore('test', entry, { env }));
    expect(error.message).toBe(
      `${path}: "store" failed (exit code 1); what it wrote to standard output may be a secret and is not shown`,
    );
    const { env: other } = helper(`read -r line; echo 'cannot keep s3cr3t"PW or s3cr3t\\"PW' >&2; exit 1`);
    const { message } = await refusal(helperStore('test', entry, { env: other }));
    expect(message).toContain('cannot keep ••• or •••');
  });

  test('store: no user name, no program (123)', async () => {
    const { env, note } = helper(`echo ran >$NOTES/ran`);
    await refusal(helperStore('test', { serverUrl: 'r.example', username: '', secret: 'x' }, { env }));
    expect(note('ran')).toBeNull();
  });

  test('erase: the URL on standard input; nothing to erase is no failure', async () => {
    const { env, note } = helper(`printf '%s|' "$@" >$NOTES/arguments; cat >$NOTES/input`);
    expect(await helperErase('test', 'r.example', { env })).toBe(true);
    expect([note('arguments'), note('input')]).toEqual(['erase|', 'r.example']);
    const none = helper(`echo 'credentials not found in native keychain'; exit 1`);
    expect(await helperErase('test', 'r.example', { env: none.env })).toBe(false);
    const broken = helper(`echo 'not implemented'; exit 1`);
    await refusal(helperErase('test', 'r.example', { env: broken.env }));
  });

  test('list: user names by URL', async () => {
    const { env, note } = helper(
      `printf '%s|' "$@" >$NOTES/arguments; echo '{"https://r.example":"alice","__proto__":"bob"}'`,
    );
    const list = await helperList('test', { env });
    expect(Object.entries(list)).toEqual([
      ['https://r.example', 'alice'],
      ['__proto__', 'bob'],
    ]);
    expect(note('arguments')).toBe('list|');
    expect(await helperList('test', { env: helper('exit 0').env })).toEqual({});
    await refusal(helperList('test', { env: helper(`echo '{"https://r.example":1}'`).env }));
  });
});

describe('attack cases', () => {
  const mine = attacks.cases.filter(({ category }) => category === 'credential-helper');

  /** Names that must start no process. A `docker-credential-*` of any name would leave a note. */
  async function refusesNames(names: readonly unknown[]): Promise<void> {
    const { env, write, note } = programs();
    mkdirSync(join(env['NOTES'] ?? '', 'docker-credential-..'));
    write('evil', `echo ran >$NOTES/ran`);
    for (const name of names) {
      const error = await refusal(helperGet(String(name), 'r.example', { env }));
      expect(error.message).toBe('docker-credential-*: what is configured is not the name of a helper');
    }
    expect(note('ran')).toBeNull();
  }

  async function refusesServer({ input }: AttackCase): Promise<void> {
    const { env, note } = helper(`echo ran >$NOTES/ran; ${alice}`);
    const server = String(input['server']);
    await refusal(helperGet('test', server, { env }));
    await refusal(helperStore('test', { serverUrl: server, username: 'alice', secret: 'x' }, { env }));
    await refusal(helperErase('test', server, { env }));
    expect(note('ran')).toBeNull();
  }

  /** The module as it is where the system says that it is Windows. */
  async function onWindows(): Promise<typeof import('../src/credentials/helper.ts')> {
    const platform = Object.getOwnPropertyDescriptor(process, 'platform');
    Object.defineProperty(process, 'platform', { value: 'win32', configurable: true });
    onTestFinished(() => {
      if (platform !== undefined) Object.defineProperty(process, 'platform', platform);
      vi.resetModules();
    });
    vi.resetModules();
    return import('../src/credentials/helper.ts');
  }

  const checks: Readonly<Record<string, (attack: AttackCase) => Promise<void>>> = {
    'credential-helper-01': ({ input }) =>
      refusesNames([
        input['credsStore'],
        '',
        '.',
        '..',
        '../evil',
        '-x',
        '.x',
        '_x',
        'a/b',
        'a\\b',
        'x'.repeat(65),
      ]),
    'credential-helper-02': ({ input }) =>
      refusesNames([...listOf(input['credsStores']), 'x y', 'x\n', 'x\0']),
    'credential-helper-03': async ({ input }) => {
      const { env, write } = programs();
      write(String(input['helper']), 'exit 0');
      for (const name of ['docker-credential-x', 'docker-credential-x.bat', 'docker-credential-x.com'])
        write(name, '');
      const { helperGet } = await onWindows();
      await expect(helperGet('x', 'r.example', { env })).rejects.toThrow('is not in any folder of PATH');
    },
    'credential-helper-04': async ({ input }) => {
      const { folder, write, note } = programs();
      write(String(input['cwd_has']), `echo ran >${folder}/ran; ${alice}`);
      write('docker-credential-x', `echo ran >${folder}/ran; ${alice}`);
      const here = relative(process.cwd(), folder);
      for (const PATH of [here, `.:${here}:`, `:${here}/.`, '']) {
        const error = await refusal(helperGet('x', 'r.example', { env: { PATH } }));
        expect(error.message).toContain('is not in any folder of PATH');
      }
      const { helperGet: get } = await onWindows();
      await expect(get('x', 'r.example', { env: { Path: here } })).rejects.toThrow(
        'is not in any folder of PATH',
      );
      // By its absolute folder it is found: what was refused is the way, not the program.
      expect(await get('x', 'r.example', { env: { Path: `${folder}` } })).toMatchObject({
        program: join(folder, 'docker-credential-x.exe'),
      });
      expect(note('ran')).toBe('ran\n');
    },
    'credential-helper-05': async ({ input }) => {
      const [name] = Object.values(membersOf(input['credHelpers']));
      const { env } = programs();
      await refusal(helperGet(String(name), 'r.example', { env }));
    },
    'credential-helper-06': refusesServer,
    'credential-helper-07': refusesServer,
    'credential-helper-12': async ({ input, assert }) => {
      const { username, password } = membersOf(input['credential']);
      const { env, note } = helper(
        `printf '%s|' "$0" "$@" >$NOTES/arguments; env >$NOTES/environment; cat >$NOTES/input`,
      );
      const entry = { serverUrl: 'r.example', username: String(username), secret: String(password) };
      await helperStore('test', entry, { env });
      for (const secret of listOf(assert['argv_must_not_contain'])) {
        expect(note('arguments')).not.toContain(secret);
        expect(note('environment')).not.toContain(secret);
        expect(note('input')).toContain(secret);
      }
    },
  };

  /** Cases that we decide otherwise, each with its opposite held. */
  const setAside: Readonly<
    Record<string, { readonly reason: string; check(attack: AttackCase): Promise<void> }>
  > = {
    'credential-helper-08': {
      // Docker takes such an answer, helpers answer with the URL as they keep it, and what the attack wants, another
      // destination, cannot come of it: the URL in an answer is read by nobody.
      reason: 'the ServerURL of an answer counts for nothing',
      check: async ({ input }) => {
        const { env, path } = helper(`printf '%s' '${String(input['stdout'])}'`);
        expect(await helperGet('test', String(input['server']), { env })).toEqual({
          username: 'u',
          secret: 's',
          program: path,
        });
      },
    },
  };

  test('each is accounted for', () => {
    expect([...Object.keys(checks), ...Object.keys(setAside)].sort()).toEqual(
      mine.map(({ id }) => id).sort(),
    );
  });

  for (const attack of mine) {
    const aside = setAside[attack.id];
    const check = aside?.check ?? checks[attack.id];
    const note = aside === undefined ? '' : ` (set aside: ${aside.reason})`;
    test.skipIf(process.platform === 'win32')(`${attack.id}: ${attack.title}${note}`, () => check?.(attack));
  }
});
