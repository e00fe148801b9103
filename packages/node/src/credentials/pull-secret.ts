/**
 * Kubernetes pull secrets, as they are mounted into a pod.
 *
 * Rules of this file: those of the kubelet, so that what it can pull we can: a host may be a pattern, ports are equal, and of
 * all secrets together the most specific key wins, then the first secret. Unlike the kubelet's, a path matches by whole
 * segments: `team` is not for `teamevil`. Helpers are not read: a secret of the cluster names no program to run.
 */

import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { member, objectIn } from './config.ts';
import { readConfig } from './config-file.ts';
import { type Candidate, firstEntry } from './entries.ts';
import { isPattern, matchesHost } from './glob.ts';
import { partsOf } from './registry.ts';
import { keychainOver, type Query, type Source } from './source.ts';
import type { ExplainingKeychain } from './trail.ts';

export interface PullSecretKeychainOptions {
  /**
   * Mounted secrets, in order. Each is a folder with the key `.dockerconfigjson` or `.dockercfg` in it, or such a file: one named
   * `.dockercfg` holds entries without `auths` around them.
   */
  readonly paths: readonly string[];
}

/**
 * Reads pull secrets, anew at each look-up. A path where nothing is, is no secret, as for the kubelet.
 *
 * `find` rejects with `CredentialsError` when one of them cannot be read or the matching entry cannot be used, and with a
 * `TypeError` when it is not asked by origin.
 *
 * @throws TypeError for an empty path
 */
export function pullSecretKeychain({ paths }: PullSecretKeychainOptions): ExplainingKeychain {
  if (paths.includes(''))
    throw new TypeError('[@reg/node] paths are files or folders, and one of them is empty');
  return keychainOver(() => [pullSecrets(paths)]);
}

/** A cluster mounts a secret readable to all of the pod, 0644 unless told otherwise. */
const closed = 0o022;

/** One source, since which entry wins is decided over all of them. */
function pullSecrets(paths: readonly string[]): Source {
  return {
    name: 'pull secrets',
    async look(query, trail) {
      const files = (await Promise.all(paths.map(filesAt))).flat();
      const candidates: Ranked[] = [];
      for (const path of files) {
        const config = await readConfig(path, trail, closed);
        if (config === null) continue;
        const auths = basename(path) === '.dockercfg' ? config : objectIn(path, config, 'auths');
        const found = candidatesIn(path, auths, query);
        if (found.length === 0) trail.note(path, 'no-entry', `nothing in it for ${query.registry.host}`);
        candidates.push(...found);
      }
      return firstEntry(candidates.sort(bySpecificity), query.registry, trail);
    },
  };
}

async function filesAt(path: string): Promise<readonly string[]> {
  const isFolder = await stat(path).then(
    (status) => status.isDirectory(),
    // Whatever it is, reading it says so.
    () => false,
  );
  return isFolder ? [join(path, '.dockerconfigjson'), join(path, '.dockercfg')] : [path];
}

interface Ranked extends Candidate {
  readonly isPattern: boolean;
  /** Segments of the path. */
  readonly depth: number;
}

/** A host by name before a pattern, then the longer path, then the longer pattern. Of equals the first stays first. */
function bySpecificity(a: Ranked, b: Ranked): number {
  if (a.isPattern !== b.isPattern) return a.isPattern ? 1 : -1;
  return b.depth - a.depth || (a.isPattern ? b.key.length - a.key.length : 0);
}

function candidatesIn(path: string, auths: object, { registry, repository }: Query): readonly Ranked[] {
  const segments = repository?.split('/') ?? [];
  return Object.keys(auths).flatMap((key) => {
    const { host: pattern, path: namespace } = partsOf(key);
    if (!registry.hosts.some((host) => matchesHost(pattern, host))) return [];
    if (!namespace.every((segment, i) => segment === segments[i])) return [];
    return [{ path, key, entry: member(auths, key), isPattern: isPattern(pattern), depth: namespace.length }];
  });
}
