/**
 * What a case of config resolution takes for granted, made real: files in a folder of their own, helpers as programs, variables.
 *
 * Rules of this file: nothing of this machine's user is read; a helper answers what the case says and writes down what it was
 * asked for.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseReference } from '@reg/core';
import { membersOf } from '../../../core/test/vectors/harness.ts';
import { programs } from '../programs.ts';

/** Where a credential is looked for. */
export interface Place {
  readonly origin: string;
  readonly repository: string | null;
}

/** A key, as commands take it: a registry, or one with a repository, or a name of Docker Hub's. */
export function placeOf(key: string): Place {
  const [first = '', ...rest] = key.split('/');
  const isHost = first.includes('.') || first.includes(':') || first === 'localhost';
  if (!isHost) {
    const { repository } = parseReference(key);
    return { origin: originOf('docker.io'), repository };
  }
  return { origin: originOf(first), repository: rest.length === 0 ? null : rest.join('/') };
}

export function originOf(host: string): string {
  const isHub = host === 'docker.io' || host === 'index.docker.io';
  return new URL(`https://${isHub ? 'registry-1.docker.io' : host}`).origin;
}

export interface Stage {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  /** Writes a file, at a path that may begin with a variable: `$HOME/.dockercfg`. Returns where it is. */
  write(path: string, content: unknown): string;
  /** Makes `docker-credential-<name>` answer: an object to print, a text to fail with. `*` is for every other server. */
  helper(name: string, answers: Readonly<Record<string, unknown>>): void;
  /** What the helpers were asked for. */
  asked(): readonly string[];
}

/** @param set variables, with their own folders as values or with values of their own */
export function stageFor(set: Readonly<Record<string, string | null>> = {}): Stage {
  const { folder, env, note, write: program } = programs();
  const home = join(folder, 'HOME');
  // A session's own folder, since without one Podman's file is where this machine's user has it.
  const variables: Record<string, string> = { XDG_RUNTIME_DIR: join(folder, 'XDG_RUNTIME_DIR') };
  for (const [name, value] of Object.entries(set)) variables[name] = value ?? join(folder, name);
  const foreign = ['DOCKER_CONFIG', 'DOCKER_AUTH_CONFIG', 'REGISTRY_AUTH_FILE', 'XDG_CONFIG_HOME'];
  const clean = Object.fromEntries(Object.entries(env).filter(([name]) => !foreign.includes(name)));
  return {
    env: { ...clean, ...variables },
    home,
    write(path, content) {
      const at = path.startsWith('$') ? join(folder, path.slice(1)) : join(folder, path);
      mkdirSync(dirname(at), { recursive: true });
      writeFileSync(at, typeof content === 'string' ? content : JSON.stringify(content), { mode: 0o600 });
      return at;
    },
    helper(name, answers) {
      const branch = ([server, answer]: [string, unknown]) =>
        `  ${server === '*' ? server : quoted(server)}) ${sayWith(answer)};;`;
      const others = '*' in answers ? [] : [branch(['*', notFound])];
      const lines = [...Object.entries(answers).map(branch), ...others];
      program(
        `docker-credential-${name}`,
        [
          'server=$(cat)',
          `printf '%s\\n' "$server" >>"$NOTES/asked"`,
          'case "$server" in',
          ...lines,
          'esac',
        ].join('\n'),
      );
    },
    asked: () => (note('asked') ?? '').split('\n').filter((line) => line !== ''),
  };
}

/** What a vector says for a helper that knows nothing. */
const notFound = '<not found>';

function sayWith(answer: unknown): string {
  if (answer === notFound) return "echo 'credentials not found in native keychain'; exit 1";
  if (typeof answer === 'string') return `echo ${quoted(answer)} >&2; exit 1`;
  const { username, password, ...rest } = membersOf(answer);
  const said = username === undefined ? rest : { Username: username, Secret: password };
  return `printf '%s' ${quoted(JSON.stringify(said))}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
