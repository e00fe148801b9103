/**
 * The credentials that a CI service puts into the environment of a job.
 *
 * Rules of this file: a token from the environment is for the one host it is known to be for, and goes to no other
 * (CVE-2024-53858); a pair of variables with one half missing is none; no message shows a value.
 */

import { isIP } from 'node:net';
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
 * - GitHub Actions: `GITHUB_TOKEN`, as the user `GITHUB_ACTOR`, for `https://ghcr.io`, where `GITHUB_ACTIONS` is `true` and
 *   `GITHUB_SERVER_URL` names no other server. A workflow has to hand the token in:
 *   `env: { GITHUB_TOKEN: ${{ github.token }} }`.
 * - GitLab: `CI_REGISTRY_USER` and `CI_REGISTRY_PASSWORD`, or with neither the user `gitlab-ci-token` and `CI_JOB_TOKEN`, for
 *   the host in `CI_REGISTRY`, by https. The job's token, under whichever name, is for GitLab's own registry: on the host in
 *   `CI_SERVER_HOST`, below it, or beside it where `CI_REGISTRY_IMAGE` is the project's there.
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

const gitHubServer = 'https://github.com';

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
      // A server of a company's own, or one that runs the same workflows, gives a token of its own that is nothing to GitHub.
      if ((env['GITHUB_SERVER_URL'] || gitHubServer) !== gitHubServer) {
        return nothing(trail, name, 'ignored', `is not of ${gitHubServer}`);
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
        return nothing(trail, name, 'no-entry', 'names another registry');
      }
      const login = gitLabLogin(env);
      if (typeof login === 'string') return nothing(trail, name, 'none', login);
      const { variable, username, password, isOfJob } = login;
      if (isOfJob && !isOwnRegistry(value, host, env)) {
        return nothing(
          trail,
          variable,
          'ignored',
          "is the job's token, and this is not known to be GitLab's own registry",
        );
      }
      return answer(variable, username, password, query, trail);
    },
  };
}

interface GitLabLogin {
  /** Where the password is. */
  readonly variable: string;
  readonly username: string;
  readonly password: string;
  /** Whether it is the job's token, under whichever name. */
  readonly isOfJob: boolean;
}

/**
 * The login that a job is given, or why there is none. A project may set both variables for a registry elsewhere, and protect
 * them: a job that is not to have them sees GitLab's own values, or one of the two.
 */
function gitLabLogin(env: Environment): GitLabLogin | string {
  const [username, password] = [env['CI_REGISTRY_USER'], env['CI_REGISTRY_PASSWORD']];
  const token = env['CI_JOB_TOKEN'];
  if (username && password) {
    const isOfJob = username === jobUser || password === token;
    return { variable: 'CI_REGISTRY_PASSWORD', username, password, isOfJob };
  }
  if (username || password) return 'is set, and only one of CI_REGISTRY_USER and CI_REGISTRY_PASSWORD is';
  if (token) return { variable: 'CI_JOB_TOKEN', username: jobUser, password: token, isOfJob: true };
  return 'is set, and no user and password or job token with it';
}

const jobUser = 'gitlab-ci-token';

/**
 * Whether the registry at `host` is that of the GitLab that runs the job. Its host and the domain below it are the instance's
 * own. A name beside it, `registry.corp.example` beside `gitlab.corp.example`, may be anybody's in that domain: there the image
 * has to be the project's, which it is not once `CI_REGISTRY` alone was set to something else.
 */
function isOwnRegistry(value: string, host: string, env: Environment): boolean {
  const server = (env['CI_SERVER_HOST'] ?? '').toLowerCase();
  const { hostname } = new URL(`https://${host}`);
  if (hostname === server) return true;
  if (isIP(server) !== 0 || !isDomain(server)) return false;
  if (hostname.endsWith(`.${server}`)) return true;
  const [domain, project] = [above(server), env['CI_PROJECT_PATH']];
  return (
    isDomain(domain) &&
    above(hostname) === domain &&
    Boolean(project) &&
    env['CI_REGISTRY_IMAGE'] === `${value}/${project?.toLowerCase()}`
  );
}

/** Two labels or more: below one of them is everybody. */
function isDomain(name: string): boolean {
  return /[^.]\.[^.]/.test(name);
}

function above(name: string): string {
  return name.slice(name.indexOf('.') + 1);
}

/** The host in a variable: as it stands, or in an address as pipelines give it for Docker Hub, `https://index.docker.io/v1/`. */
function hostIn(name: string, value: string): string {
  const { host, path } = partsOf(value);
  const url = URL.canParse(`https://${host}`) ? new URL(`https://${host}`) : null;
  // What a URL leaves out of its host, a user and a password too, was none.
  const isHost = url !== null && (url.host === host || `${url.hostname}:443` === host);
  if (!isHost || path.length > 0) throw new CredentialsError(name, 'is not a host with an optional port');
  return host;
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
