/** A user's home for commands that keep credentials: empty, and nothing of this machine's user in reach. */

import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type Ran, type RunOptions, run } from './run.ts';

export interface Home {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  /** Runs `reg` with this home. */
  reg(args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** Writes a file below the home, 0600; what is no text as JSON. Returns its path. */
  write(path: string, content: unknown, mode?: number): string;
  /** The JSON in a file below the home; `null` when there is none. */
  read(path: string): unknown;
  /** `0600` and the like. */
  modeOf(path: string): string;
  /** Writes the program `docker-credential-<name>`, a shell script for which `$HOME` is the home. */
  helper(name: string, script: string): void;
}

export function homeFor(): Home {
  const folder = mkdtempSync(join(tmpdir(), 'reg-home-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const bin = join(folder, 'bin');
  // Skopeo wants the folder of the session to be there.
  for (const made of [bin, join(folder, 'run')]) mkdirSync(made);
  const env = {
    HOME: folder,
    XDG_RUNTIME_DIR: join(folder, 'run'),
    PATH: `${bin}:${process.env['PATH'] ?? ''}`,
  };
  const write = (path: string, content: unknown, mode = 0o600): string => {
    const at = join(folder, path);
    mkdirSync(dirname(at), { recursive: true });
    writeFileSync(at, typeof content === 'string' ? content : JSON.stringify(content));
    chmodSync(at, mode);
    return at;
  };
  return {
    folder,
    env,
    reg: (args, { env: more = {}, ...options } = {}) => run(args, { ...options, env: { ...env, ...more } }),
    write,
    read: (path) => {
      const at = join(folder, path);
      return existsSync(at) ? (JSON.parse(readFileSync(at, 'utf8')) as unknown) : null;
    },
    modeOf: (path) => `0${(statSync(join(folder, path)).mode & 0o777).toString(8)}`,
    helper: (name, script) => void write(`bin/docker-credential-${name}`, `#!/bin/sh\n${script}\n`, 0o755),
  };
}

/** An entry of `auths`. */
export function entry(username: string, password: string): { readonly auth: string } {
  return { auth: Buffer.from(`${username}:${password}`).toString('base64') };
}

/** A helper that keeps what it is given in one file, lists it, and says when it has nothing. */
export const keeper = `kept="$HOME/kept-$(basename "$0")"
case "$1" in
  store) cat >"$kept";;
  get) cat "$kept" 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; };;
  erase) rm -f "$kept";;
  list) [ -f "$kept" ] && sed 's/.*"ServerURL":\\("[^"]*"\\),"Username":\\("[^"]*"\\).*/{\\1:\\2}/' "$kept" || echo '{}';;
esac`;
