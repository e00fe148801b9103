/**
 * One operator's machine, for one test: a home with its files and programs, and names that nobody else resolves.
 *
 * Rules of this file: a set-up is written in names that stand in the documentation, `registry.example:5000`; `real` puts the
 * ports in that were free, and `documented` takes them out again, with all else that differs from run to run. `reg` is told
 * where the names are by `--resolve`, everything else by a proxy.
 */

import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { commandLine } from '../process.ts';
import { type Ran, run } from '../run.ts';
import { startTunnel } from './tunnel.ts';

export interface Stage {
  readonly home: string;
  /** What `reg`, `skopeo` and the shell run with. Set-ups add to it. */
  readonly env: Record<string, string>;
  /** Says at which port of loopback a name of the documentation, `host:port`, is. */
  name(documented: string, port: number): void;
  /** The port of a name. */
  portOf(documented: string): number;
  /** `text` with the ports that are, and the home in the place of `{home}`. */
  real(text: string): string;
  /** `text` as it can be read anywhere, the same in every run. */
  documented(text: string): string;
  /** Writes a file below the home, an object as JSON, in documented names. Returns its path. */
  write(path: string, content: string | object): string;
  /** Removes a file or folder below the home. */
  remove(path: string): void;
  /** Has `reg` go through a proxy as well: the one that resolves names, or another, since a host by `--resolve` needs none. */
  goThroughProxy(url?: string): void;
  /** Ends that: `reg` is told where names are. */
  goStraight(): void;
  /** What the proxy was asked for, in documented names. */
  readonly proxied: () => readonly string[];
  /** Writes a shell script, which is on the PATH. */
  program(name: string, script: string): void;
  /** Runs `reg`, whose arguments are in documented names. */
  reg(args: readonly string[]): Promise<Ran>;
  /** Runs one line as the operator would type it, with `input` on stdin; `reg` is on the PATH. */
  shell(line: string, input?: string): Promise<Ran>;
  /** Runs `skopeo`, whose arguments are in documented names. One that does not end is ended. */
  skopeo(args: readonly string[]): Promise<Ran>;
}

/** `skopeo` has no time limit of its own for a helper. */
const SKOPEO_PATIENCE_S = 12;

export async function stage(): Promise<Stage> {
  const home = mkdtempSync(join(tmpdir(), 'operator-'));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  const programs = join(home, 'bin');
  const names = new Map<string, string>();
  const env: Record<string, string> & { readonly XDG_RUNTIME_DIR: string } = {
    HOME: home,
    DOCKER_CONFIG: join(home, '.docker'),
    XDG_CONFIG_HOME: join(home, '.config'),
    XDG_RUNTIME_DIR: join(home, 'run'),
    XDG_CACHE_HOME: join(home, '.cache'),
    PATH: [programs, ...systemPath()].join(':'),
  };
  mkdirSync(env.XDG_RUNTIME_DIR, { mode: 0o700 });
  const tunnel = await startTunnel((host) => [...names.values()].includes(host));

  const real = (text: string): string => {
    let replaced = text.replaceAll('{home}', home);
    for (const [documented, actual] of names) replaced = replaced.replaceAll(documented, actual);
    return replaced;
  };
  let isProxied = false;
  /** Only names are resolved: an address needs none, and a proxy resolves by itself. */
  const resolved = (): readonly string[] =>
    (isProxied ? [] : [...names.values()])
      .filter((actual) => !actual.startsWith('127.0.0.1:'))
      .flatMap((actual) => ['--resolve', `${actual}:127.0.0.1`]);

  const self: Stage = {
    home,
    env,
    name(documented, port) {
      names.set(documented, `${documented.slice(0, documented.lastIndexOf(':'))}:${port}`);
    },
    portOf: (documented) => Number(portIn(real(documented)).slice(1)),
    real,
    documented(text) {
      let replaced = text.replaceAll(/ --resolve [^ \n"'`]+/g, '').replaceAll(home, '~');
      // A port is told from all others, and may stand behind another name.
      for (const [documented, actual] of names)
        replaced = replaced.replaceAll(portIn(actual), portIn(documented));
      return stable(replaced.replaceAll(tunnel.url, 'http://proxy.example:3128'));
    },
    write(path, content) {
      const file = join(home, path);
      mkdirSync(dirname(file), { recursive: true });
      const text = typeof content === 'string' ? content : JSON.stringify(content, null, 2);
      writeFileSync(file, real(text), { mode: 0o600 });
      return file;
    },
    remove: (path) => rmSync(join(home, path), { recursive: true }),
    goThroughProxy(url = tunnel.url) {
      isProxied = true;
      env['HTTPS_PROXY'] = url;
    },
    goStraight() {
      isProxied = false;
    },
    proxied: () => tunnel.asked.map((host) => self.documented(host)),
    program(name, script) {
      chmodSync(self.write(join('bin', name), `#!/bin/sh\n${script}\n`), 0o755);
    },
    reg: (args) => run([...args.map(real), ...resolved()], { env }),
    shell(line, input = '') {
      const [program, ...rest] = commandLine('main.ts', []);
      const start = [program, ...rest].map((word) => `'${word}'`).join(' ');
      // As if DNS knew the names: commands that connect are told where they are.
      self.program(
        'reg',
        `case "$1" in\nlogin|status|doctor|tags|trace|token|ping) exec ${start} "$@" ${resolved().join(' ')} ;;\n*) exec ${start} "$@" ;;\nesac`,
      );
      return outcome('sh', ['-c', line], env, input);
    },
    skopeo: (args) =>
      outcome(
        'timeout',
        [`${SKOPEO_PATIENCE_S}`, 'skopeo', '--insecure-policy', ...args.map(real)],
        { HTTPS_PROXY: tunnel.url, HTTP_PROXY: tunnel.url, ...env },
        '',
      ),
  };
  return self;
}

/** Where programs are that no package manager's script put before them; a relative folder is looked into by nobody. */
function systemPath(): readonly string[] {
  const folders = (process.env['PATH'] ?? '').split(':');
  return folders.filter((folder) => folder.startsWith('/') && !folder.includes('node_modules'));
}

function outcome(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  input: string,
): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(program, args, { env }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, stdout, stderr });
    });
    child.stdin?.on('error', () => {}).end(input);
  });
}

/** `:5000` */
const portIn = (host: string): string => host.slice(host.lastIndexOf(':'));

/** `text` without what is another in every run: times, durations, identifiers, ports that the system chose. */
function stable(text: string): string {
  return (
    text
      .replaceAll(/time="[^"]*" /g, '')
      .replaceAll(/\b\d+(?:\.\d+)? ?ms\b/g, 'N ms')
      .replaceAll(/-?\b\d+ days\b/g, 'N days')
      // Clocks are compared across a second or two of work.
      .replaceAll(/\b1 min (?:28|29|31|32) s\b/g, '1 min 30 s')
      .replaceAll(/\b[0-3] s (?:ahead|behind)/g, '0 s behind')
      .replaceAll(/within [0-3] s of/g, 'within 1 s of')
      .replaceAll(/\b_state=[\w%=-]+/g, '_state=STATE')
      .replaceAll(/127\.0\.0\.1:\d{5}\b/g, '127.0.0.1:PORT')
      .replaceAll(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, 'UUID')
      .replaceAll(/\b\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})/g, 'TIME')
      .replaceAll(/\b\d{4}-\d{2}-\d{2}\b/g, 'DATE')
  );
}
