/** Replacing a file, and its lock. */

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import crypto from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { LockedError, LockLostError, withLock } from '../src/files/lock.ts';
import { removeLeftovers, replaceFile } from '../src/files/replace.ts';
import { UnsafeFileError } from '../src/files/target.ts';
import { asNobody, folder, isRoot, modeOf, namesIn, nobody } from './folder.ts';

const posix = process.platform !== 'win32';
if (!posix) console.log('skipped: modes, links and owners of files (Windows has others)');

/** A new file in a folder of its own. */
function file(content: string | null = 'old', mode = 0o600): string {
  const path = join(folder(), 'config.json');
  if (content !== null) {
    writeFileSync(path, content);
    chmodSync(path, mode);
  }
  return path;
}

/** What other processes run. */
const program = fileURLToPath(new URL('./files-process.ts', import.meta.url));

const text = (path: string): string => readFileSync(path, 'utf8');

/** Awaits `work` under a umask, which every new file of this process gets meanwhile. */
async function withUmask(mask: number, work: () => Promise<void>): Promise<void> {
  const before = process.umask(mask);
  try {
    await work();
  } finally {
    process.umask(before);
  }
}

describe('replaceFile', () => {
  test('replaces, and leaves nothing beside it', async () => {
    const path = file();
    await replaceFile(path, 'new');
    expect(text(path)).toBe('new');
    await replaceFile(path, new Uint8Array([0xff, 0x00]));
    expect([...readFileSync(path)]).toEqual([0xff, 0x00]);
    expect(namesIn(join(path, '..'))).toEqual(['config.json']);
  });

  test.runIf(posix).each([0o000, 0o022, 0o277])(
    'a new file is 0600 from the first byte on, umask %o',
    async (mask) => {
      const path = file(null);
      const modes: string[] = [];
      await withUmask(mask, () =>
        replaceFile(path, 'new', {
          confirm: async () => {
            for (const name of namesIn(join(path, '..'))) modes.push(modeOf(join(path, '..', name)));
          },
        }),
      );
      // What the umask takes away is taken away: nobody but the owner is ever let in.
      const mode = `0${(0o600 & ~mask).toString(8)}`;
      expect(modes).toEqual([mode]);
      expect(modeOf(path)).toBe(mode);
    },
  );

  test.runIf(posix).each([0o600, 0o640, 0o644, 0o400])(
    'an old file keeps its mode %o (114)',
    async (mode) => {
      const path = file('old', mode);
      await replaceFile(path, 'new');
      expect([text(path), statSync(path).mode & 0o777]).toEqual(['new', mode]);
    },
  );

  test.runIf(isRoot)('an old file keeps its owner, where we may give it away', async () => {
    const path = file();
    chownSync(path, nobody, 12_345);
    await replaceFile(path, 'new');
    expect(statSync(path)).toMatchObject({ uid: nobody, gid: 12_345 });
  });

  test.runIf(isRoot)('another user’s file is not replaced by one of ours', async () => {
    const path = file();
    chmodSync(join(path, '..'), 0o777);
    chmodSync(path, 0o666);
    await expect(asNobody(() => replaceFile(path, 'new'))).rejects.toThrow(
      new UnsafeFileError(path, 'belongs to another user'),
    );
    expect([text(path), namesIn(join(path, '..'))]).toEqual(['old', ['config.json']]);
  });

  test('what rejects just before the end leaves the old file and nothing else', async () => {
    const path = file();
    const reason = new Error('no');
    await expect(replaceFile(path, 'new', { confirm: () => Promise.reject(reason) })).rejects.toBe(reason);
    expect([text(path), namesIn(join(path, '..'))]).toEqual(['old', ['config.json']]);
  });

  test.runIf(posix)(
    'a name that somebody put there, had it been guessed, is not opened and stays',
    async () => {
      const path = file();
      const [here, random] = [join(path, '..'), crypto.randomBytes];
      onTestFinished(() => {
        crypto.randomBytes = random;
        syncBuiltinESMExports();
      });
      Object.assign(crypto, { randomBytes: (size: number) => Buffer.alloc(size) });
      syncBuiltinESMExports();
      const planted = `.config.json.reg-${'0'.repeat(24)}`;
      symlinkSync('stolen', join(here, planted));
      await expect(replaceFile(path, 'new')).rejects.toMatchObject({ code: 'EEXIST' });
      expect([text(path), namesIn(here)]).toEqual(['old', [planted, 'config.json']]);
    },
  );

  test('without a folder there is no file', async () => {
    const path = join(folder(), 'missing', 'config.json');
    await expect(replaceFile(path, 'new')).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test.runIf(isRoot)('in a folder that we may not write to', async () => {
    const path = file();
    chmodSync(join(path, '..'), 0o555);
    await expect(asNobody(() => replaceFile(path, 'new'))).rejects.toMatchObject({ code: 'EACCES' });
    expect(text(path)).toBe('old');
  });

  test.runIf(posix)('a disk that is full half way leaves the old file and nothing else', () => {
    const path = file('old');
    // The limit on the size of a file stands for the disk: both cut a write short.
    const limited = `trap '' XFSZ; ulimit -f 8; exec "$0" --conditions=@reg/source "$1" replace "$2"`;
    const { stdout } = spawnSync('sh', ['-c', limited, process.execPath, program, path], {
      encoding: 'utf8',
    });
    expect(stdout).toBe('EFBIG\n');
    expect([text(path), namesIn(join(path, '..'))]).toEqual(['old', ['config.json']]);
  });
});

describe.runIf(posix)('links', () => {
  test('what a link leads to is replaced, and the link stays (114)', async () => {
    const target = file('old', 0o640);
    const here = folder();
    symlinkSync(target, join(here, 'config.json'));
    await replaceFile(join(here, 'config.json'), 'new');
    expect([text(target), modeOf(target)]).toEqual(['new', '0640']);
    expect(namesIn(here)).toEqual(['config.json']);
  });

  test('a chain of links, relative to where each is, through a folder that is a link', async () => {
    const root = folder();
    mkdirSync(join(root, 'a/b'), { recursive: true });
    mkdirSync(join(root, 'c'));
    writeFileSync(join(root, 'c/file'), 'old');
    symlinkSync('a/b', join(root, 'folder'));
    // From `a/b`, not from `folder`, which is what the kernel goes by.
    symlinkSync('../../c/second', join(root, 'a/b/first'));
    symlinkSync('file', join(root, 'c/second'));
    await replaceFile(join(root, 'folder/first'), 'new');
    expect(text(join(root, 'c/file'))).toBe('new');
    expect(namesIn(join(root, 'c'))).toEqual(['file', 'second']);
  });

  test('a link that leads nowhere yet says where the file is made', async () => {
    const [here, there] = [folder(), folder()];
    symlinkSync(join(there, 'config.json'), join(here, 'config.json'));
    await replaceFile(join(here, 'config.json'), 'new');
    expect([text(join(there, 'config.json')), modeOf(join(there, 'config.json'))]).toEqual(['new', '0600']);
  });

  test('forty links are followed and no more; a loop has no end', async () => {
    const here = folder();
    writeFileSync(join(here, '0'), 'old');
    for (let i = 1; i <= 41; i++) symlinkSync(`${i - 1}`, join(here, `${i}`));
    await replaceFile(join(here, '40'), 'new');
    expect(text(join(here, '0'))).toBe('new');
    await expect(replaceFile(join(here, '41'), 'newer')).rejects.toThrow('is a loop of links');
    symlinkSync('there', join(here, 'here'));
    symlinkSync('here', join(here, 'there'));
    const path = join(here, 'here');
    await expect(replaceFile(path, 'new')).rejects.toThrow(new UnsafeFileError(path, 'is a loop of links'));
  });

  test('a folder, a pipe and a socket are no file', async () => {
    const here = folder();
    const [path, pipe, socket] = ['folder', 'pipe', 'socket'].map((name) => join(here, name));
    mkdirSync(path ?? '');
    execFileSync('mkfifo', [pipe ?? '']);
    const server = createServer().listen(socket);
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    for (const other of [path, pipe, socket]) {
      await expect(replaceFile(other ?? '', 'new')).rejects.toThrow('is not a plain file');
    }
    expect(namesIn(here)).toEqual(['folder', 'pipe', 'socket']);
  });

  /** Who owns the link and who the file, who writes, and whether that is right. */
  test.runIf(isRoot).each([
    [0, 0, true],
    [nobody, nobody, true],
    [nobody, 0, false],
    [0, nobody, false],
    [nobody, 12_345, false],
    [0, null, true],
    [nobody, null, false],
  ])('root, a link of %s to a file of %s: %s', async (linkOwner, fileOwner, isRight) => {
    const [here, there] = [folder(), folder()];
    const [path, target] = [join(here, 'config.json'), join(there, 'config.json')];
    symlinkSync(target, path);
    execFileSync('chown', ['-h', String(linkOwner), path]);
    if (fileOwner !== null) {
      writeFileSync(target, 'old');
      chownSync(target, fileOwner, 0);
    }
    const outcome = replaceFile(path, 'new');
    if (isRight) {
      await outcome;
      expect([text(target), statSync(target).uid]).toEqual(['new', fileOwner ?? 0]);
    } else {
      await expect(outcome).rejects.toThrow(
        new UnsafeFileError(path, 'is a link to a file of another owner'),
      );
      expect(existsSync(target) ? text(target) : null).toBe(fileOwner === null ? null : 'old');
    }
  });
});

describe('removeLeftovers', () => {
  test('removes what killed writers of that file left, however young, and nothing else', async () => {
    const path = file();
    const here = join(path, '..');
    const [one, another] = ['0123456789abcdef01234567', 'f'.repeat(24)];
    const others = [
      '.config.json',
      '.config.json.other-1',
      '.config.json.reg-my-backup',
      '.config.json.reg-',
      `.config.json.reg-${one}0`,
      `.config.json.reg-${one.slice(1)}`,
      `.config.json.reg-${one.toUpperCase()}`,
      `.config.json.reg-${one}\n`,
      `.reg-${one}`,
      `.xconfig.json.reg-${one}`,
      `xconfig.json.reg-${one}`,
      `config.json.reg-${one}`,
    ];
    const left = [`.config.json.reg-${one}`, `.config.json.reg-${another}`];
    for (const name of [...left, ...others]) writeFileSync(join(here, name), 'x');
    await removeLeftovers(path);
    expect(namesIn(here)).toEqual([...others, 'config.json'].sort());
  });

  test('leaves what is no plain file', async () => {
    const path = file();
    const here = join(path, '..');
    const [inside, link] = ['a'.repeat(24), 'b'.repeat(24)].map((id) => `.config.json.reg-${id}`);
    mkdirSync(join(here, inside ?? ''));
    symlinkSync(path, join(here, link ?? ''));
    await removeLeftovers(path);
    expect(namesIn(here)).toEqual([inside, link, 'config.json']);
  });

  test('a writer that goes on after that changes nothing', async () => {
    const path = file();
    const late = replaceFile(path, 'new', { confirm: () => removeLeftovers(path) });
    await expect(late).rejects.toMatchObject({ code: 'ENOENT' });
    expect(text(path)).toBe('old');
  });
});

/** Makes the lock of `path` as old as one that its holder, killed, does not renew any more. */
function age(path: string): void {
  const old = new Date(Date.now() - 60_000);
  utimesSync(`${path}.lock`, old, old);
}

describe('withLock', () => {
  test('one at a time, in one process', async () => {
    const path = file('0');
    const add = () =>
      withLock(path, async (held) => {
        const before = Number(text(path));
        await replaceFile(path, String(before + 1), { confirm: held });
      });
    await Promise.all(Array.from({ length: 20 }, add));
    expect(text(path)).toBe('20');
    expect(namesIn(join(path, '..'))).toEqual(['config.json']);
  });

  test('what the work resolves to and rejects with is handed on, and the lock is free again', async () => {
    const path = file();
    expect(await withLock(path, async () => 7)).toBe(7);
    const reason = new Error('no');
    await expect(withLock(path, () => Promise.reject(reason))).rejects.toBe(reason);
    expect(await withLock(path, async () => 8, { waitMs: 0 })).toBe(8);
  });

  test('a lock that is held is waited for within bounds', async () => {
    const path = file();
    await withLock(path, async () => {
      const waiting = withLock(path, async () => 'never', { waitMs: 50 });
      await expect(waiting).rejects.toThrow(LockedError);
      await expect(waiting).rejects.toMatchObject({ code: 'ERR_REG_LOCKED', path });
    });
  });

  test('who waited in vain is told what to remove', async () => {
    const path = file();
    const lock = `${path}.lock`;
    await withLock(path, async () => {
      const waiting = withLock(path, async () => 'never', { waitMs: 0 });
      await expect(waiting).rejects.toMatchObject({
        lock,
        message: `${path}: still locked by another process after 0 ms; if none is running, remove ${lock}`,
      });
    });
  });

  test('a lock from the future, as from before a clock was set back, is taken over, and one from the next few seconds is not', async () => {
    const path = file();
    const lock = `${path}.lock`;
    const dated = (ms: number) => {
      writeFileSync(lock, '');
      utimesSync(lock, new Date(), new Date(Date.now() + ms));
    };
    dated(3_600_000);
    expect(await withLock(path, async () => 'mine', { waitMs: 1_000 })).toBe('mine');
    dated(4_000);
    await expect(withLock(path, async () => 'never', { waitMs: 0 })).rejects.toThrow(LockedError);
  });

  test.runIf(posix)(
    'a holder whose clock is set back keeps its lock, and finds out if another took it',
    async () => {
      const path = file();
      const lock = `${path}.lock`;
      await withLock(path, async (held) => {
        const before = statSync(lock).ino;
        utimesSync(lock, new Date(), new Date(Date.now() + 3_600_000));
        await held();
        expect(statSync(lock).ino).toBe(before);
        await withLock(path, async (isHeld) => {
          await isHeld();
          await expect(held()).rejects.toThrow(LockLostError);
        });
      });
    },
  );

  test.each([
    ['a folder', (lock: string) => mkdirSync(lock)],
    ['a folder with something in it', (lock: string) => mkdirSync(join(lock, 'a'), { recursive: true })],
    ['a file with something in it', (lock: string) => writeFileSync(lock, 'dear diary')],
    ['a link', (lock: string) => symlinkSync('config.json', lock)],
  ])('%s of the lock’s name stays, and whoever wants the lock is told to move it away', async (_, make) => {
    const path = file();
    const lock = `${path}.lock`;
    make(lock);
    age(path);
    const before = namesIn(join(path, '..'));
    await expect(withLock(path, async () => 'never', { waitMs: 1_000 })).rejects.toThrow(
      new UnsafeFileError(lock, 'is something else than a lock: move it away'),
    );
    expect([namesIn(join(path, '..')), text(path)]).toEqual([before, 'old']);
  });

  test.runIf(posix)('a link and what it leads to have one lock', async () => {
    const target = file();
    const link = join(folder(), 'config.json');
    symlinkSync(target, link);
    await withLock(link, async () => {
      expect(namesIn(join(target, '..'))).toEqual(['config.json', 'config.json.lock']);
      await expect(withLock(target, async () => 'never', { waitMs: 0 })).rejects.toThrow(LockedError);
    });
  });

  test('a file that is not there yet has a lock', async () => {
    const path = file(null);
    await withLock(path, async () => expect(namesIn(join(path, '..'))).toEqual(['config.json.lock']));
  });

  test('where none can be made nobody waits', async () => {
    const path = join(folder(), 'missing', 'config.json');
    await expect(withLock(path, async () => 'never')).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test.runIf(isRoot)('in a folder that we may not write to nobody waits', async () => {
    const path = file();
    chmodSync(join(path, '..'), 0o555);
    await expect(asNobody(() => withLock(path, async () => 'never'))).rejects.toMatchObject({
      code: 'EACCES',
    });
  });

  test('the lock of a process that was killed is taken over', async () => {
    const path = file();
    const child = spawn(process.execPath, ['--conditions=@reg/source', program, 'lock', path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    await expect(withLock(path, async () => 'never', { waitMs: 0 })).rejects.toThrow(LockedError);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await expect(withLock(path, async () => 'never', { waitMs: 0 })).rejects.toThrow(LockedError);
    age(path);
    expect(await withLock(path, async () => 'mine', { waitMs: 1_000 })).toBe('mine');
  });

  test('a holder whose lock was taken over finds out before it writes, and leaves the other its lock', async () => {
    const path = file();
    let other: Promise<void> = Promise.resolve();
    let leave = () => {};
    const left = new Promise<void>((resolve) => {
      leave = resolve;
    });
    const late = withLock(path, async (held) => {
      age(path);
      await new Promise<void>((taken) => {
        other = withLock(path, async (isHeld) => {
          taken();
          await left;
          await isHeld();
        });
      });
      await replaceFile(path, 'late', { confirm: held });
    });
    await expect(late).rejects.toThrow(LockLostError);
    await expect(late).rejects.toMatchObject({ code: 'ERR_REG_LOCK_LOST' });
    expect(text(path)).toBe('old');
    expect(existsSync(`${path}.lock`)).toBe(true);
    leave();
    await other;
    expect(namesIn(join(path, '..'))).toEqual(['config.json']);
  });

  test('a holder whose lock was removed finds out, too', async () => {
    const path = file();
    const work = withLock(path, async (held) => {
      rmSync(`${path}.lock`);
      await held();
    });
    await expect(work).rejects.toThrow(LockLostError);
  });

  test('work that takes long renews its lock, and finds out when another did', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const path = file();
    const renewal = () => statSync(`${path}.lock`).mtimeMs;
    const work = withLock(path, async (held) => {
      const first = renewal();
      await vi.advanceTimersByTimeAsync(2_500);
      await vi.waitFor(() => expect(renewal()).not.toBe(first), { timeout: 20_000 });
      await held();
      utimesSync(`${path}.lock`, new Date(), new Date(Date.now() + 5_000));
      // In steps, since a renewal reads the disk before it sets its next timer.
      await vi.waitFor(() => expect(held()).rejects.toThrow(LockLostError), { timeout: 20_000 });
      await held();
    });
    await expect(work).rejects.toThrow(LockLostError);
  });

  test('what it is built on changes nothing for those who never take one', () => {
    const said = execFileSync(process.execPath, ['--conditions=@reg/source', program, 'patched', file()], {
      encoding: 'utf8',
    });
    expect(said).toBe('before: false\nafter: true\n');
  });
});
