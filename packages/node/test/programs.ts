/** Programs that a test writes and the code under test runs: shell scripts in a folder of their own, which ends with the test. */

import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

export interface Programs {
  /** Where they are. */
  readonly folder: string;
  /** The process's environment, whose `PATH` has the folder first. In a script, `$NOTES` is the folder as well. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Writes the script `name`, which anyone may run. Returns its path. */
  write(name: string, script: string): string;
  /** What a script left in the file `name`; `null` for no such file. */
  note(name: string): string | null;
}

export function programs(): Programs {
  const folder = mkdtempSync(join(tmpdir(), 'programs-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return {
    folder,
    env: { ...process.env, PATH: `${folder}:${process.env['PATH'] ?? ''}`, NOTES: folder },
    write(name, script) {
      const path = join(folder, name);
      writeFileSync(path, `#!/bin/sh\n${script}\n`);
      chmodSync(path, 0o755);
      return path;
    },
    note(name) {
      const path = join(folder, name);
      return existsSync(path) ? readFileSync(path, 'utf8') : null;
    },
  };
}

/** Whether the process has not ended. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // One that nobody waited for is only a line in a table (Linux alone says so).
  const status = `/proc/${pid}/status`;
  return !existsSync(status) || !/^State:\s+Z/m.test(readFileSync(status, 'utf8'));
}
