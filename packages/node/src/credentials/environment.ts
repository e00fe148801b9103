/**
 * The credentials that a CI service puts into the environment of a job.
 *
 * Rules of this file: a token from the environment is for the one host it is known to be for, and goes to no other
 * (CVE-2024-53858); a pair of variables with one half missing is none.
 */

import { shown } from './config.ts';
import { sendable } from './entry.ts';
import { CredentialsError } from './error.ts';
import { partsOf } from './registry.ts';
import { keychainOver, type Match, type Query, type Source } from './source.ts';
import type { ExplainingKeychain, Trail, TrailOutcome } from './trail.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface EnvironmentKeychainOptions {
  /** Default: the process's. */
  readonly env?: Environment;
}

/**
 * Knows two services:
 *
 * - GitHub Actions: `GITHUB_TOKEN`, as the user `GITHUB_ACTOR`, for `https://ghcr.io`, where `GITHUB_ACTIONS` is `true`. A
 *   workflow has to hand the token in: `env: { GITHUB_TOKEN: ${{ github.token }} }`.
 * - GitLab: `CI_REGISTRY_USER` and `CI_REGISTRY_PASSWORD`, else the user `gitlab-ci-token` and `CI_JOB_TOKEN`, for the host in
 *   `CI_REGISTRY`, by https.
 *
 * `find` rejects with `CredentialsError` when `CI_REGISTRY` is no host or a variable holds what cannot be sent, and with a
 * `TypeError` when it is not asked by origin.
 */
export function environmentKeychain(options: EnvironmentKeychainOptions = {}): ExplainingKeychain {
  return keychainOver(() => {
    const env = options.env ?? process.env;
    return [gitHub(env), gitLab(env)];
  });
}

function gitHub(env: Environment): Source {
  const name = 'GITHUB_TOKEN';
  return {
    name,
    async look(query, trail) {
      const token = env[name];
      if (!token) return nothing(trail, name, 'absent', 'is not set');
      // Outside of a job it is a developer's own, for the API: nobody said that a registry may see it.
      if (env['GITHUB_ACTIONS'] !== 'true') {
        return nothing(trail, name, 'ignored', 'counts in GitHub Actions only');
      }
      if (query.registry.origin !== 'https://ghcr.io') {
        return nothing(trail, name, 'no-entry', 'is for https://ghcr.io');
      }
      // The registry takes any name beside a token, but not none.
      return answer(name, env['GITHUB_ACTOR'] || 'unset', token, query, trail);
    },
  };
}

function gitLab(env: Environment): Source {
  const name = 'CI_REGISTRY';
  return {
    name,
    async look(query, trail) {
      const value = env[name];
      if (!value) return nothing(trail, name, 'absent', 'is not set');
      const host = hostIn(name, value);
      const { origin, hosts } = query.registry;
      if (!origin.startsWith('https:') || !hosts.includes(host)) {
        return nothing(trail, name, 'no-entry', `is ${shown(host)}`);
      }
      const [user, password] = [env['CI_REGISTRY_USER'], env['CI_REGISTRY_PASSWORD']];
      if (user && password) return answer('CI_REGISTRY_PASSWORD', user, password, query, trail);
      const token = env['CI_JOB_TOKEN'];
      if (token) return answer('CI_JOB_TOKEN', 'gitlab-ci-token', token, query, trail);
      return nothing(trail, name, 'none', 'is set, and no user and password or job token with it');
    },
  };
}

/** The host in a variable: as it stands, or in an address as pipelines give it for Docker Hub, `https://index.docker.io/v1/`. */
function hostIn(name: string, value: string): string {
  const parts = partsOf(value);
  if (!URL.canParse(`https://${parts.host}`) || parts.path.length > 0) {
    throw new CredentialsError(name, 'is not a host with an optional port');
  }
  return parts.host;
}

function answer(
  name: string,
  username: string,
  password: string,
  { registry }: Query,
  trail: Trail,
): Match | null {
  if (trail.winner !== null) {
    trail.note(name, 'shadowed', `${trail.winner} comes first`);
    return null;
  }
  const credential = sendable(name, 'it', { type: 'password', username, password });
  trail.note(name, 'matched', `is for ${registry.host}`);
  return { credential, source: name };
}

function nothing(trail: Trail, name: string, outcome: TrailOutcome, why: string): null {
  trail.note(name, outcome, why);
  return null;
}
