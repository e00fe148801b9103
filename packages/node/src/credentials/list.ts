/**
 * Every credential that is stored, in every place, and who would use it.
 *
 * Rules of this file: no secret is in what it gives; of helpers their own list is asked for and never a secret, so that nobody
 * is asked to unlock anything; which of several entries answers is found by the look-up itself, with lists in place of helpers,
 * so that the two cannot disagree; a place that cannot be read is told beside what the others hold.
 */

import type { Credential } from '@reg/core';
import type { AbortSignalLike } from '@reg/core/driver';
import { isObject, member, objectIn, parseConfig, textIn } from './config.ts';
import { type FileFormat, type Flavor, helperIn, readConfig } from './config-file.ts';
import { credentialIn } from './entry.ts';
import { CredentialsError } from './error.ts';
import { expiryOf } from './expiry.ts';
import { readFileText } from './file.ts';
import { helperList, programOf, tokenUser } from './helper.ts';
import type { HelperAsker } from './helpers.ts';
import { type OrderOptions, type Place, placesFor, type Reader, sourceAt } from './order.ts';
import { dockerKeys, hubKey, namespacesOf, partsOf, type Registry, registryAt } from './registry.ts';
import { Trail } from './trail.ts';

export interface ListOptions extends OrderOptions {
  /** Helpers that count as not named, as for `dockerKeychain`. */
  readonly withoutHelpers?: readonly string[];
  readonly signal?: AbortSignalLike;
}

/** One stored credential. It has no secret. */
export interface StoredCredential {
  /** As it is named in references: `docker.io`, `host:port`, or a namespace, `quay.io/team`. */
  readonly registry: string;
  /** The file, or `DOCKER_AUTH_CONFIG`. */
  readonly source: string;
  /** Whose rules that file follows; `flat` for `~/.dockercfg`. */
  readonly format: FileFormat | 'variable';
  /** The registry's name there, or in the helper. */
  readonly key: string;
  /** The name of the helper that keeps it, `pass` for `docker-credential-pass`; `null` where the file does. */
  readonly helper: string | null;
  /** `null` where only its helper knows, which was not asked. */
  readonly type: Credential['type'] | null;
  /** Of a password. */
  readonly username: string | null;
  /** As `expiryOf` says. */
  readonly expiresAt: number | null;
  /** Who would use it, of those who look through all places by themselves. Nobody: others come first for each of them. */
  readonly usedBy: readonly Reader[];
  /** Where the one is that `defaultKeychain` would use in its place, for people; `null` for none. */
  readonly shadowedBy: string | null;
  /** Why it cannot be used, for people. */
  readonly fault: string | null;
}

/** What else was found, or was not. */
export interface ListProblem {
  /** The file, the variable or the program. */
  readonly source: string;
  readonly kind: 'unreadable' | 'exposed';
  /** For people, without the source. */
  readonly why: string;
}

export interface Listing {
  /** Registry by registry; for each, the one that is used first. */
  readonly credentials: readonly StoredCredential[];
  readonly problems: readonly ListProblem[];
}

/**
 * Lists what is stored in the places of `defaultKeychain`, Docker and Podman, or with `path` in that file alone: entries, and
 * what helpers list. Runs `list` of each helper that a config names, once. Rejects when `signal` aborts.
 */
export async function listCredentials(options: ListOptions = {}): Promise<Listing> {
  return new Lister(options).list();
}

/** An entry, before it is known who uses it. */
type Entry = Omit<StoredCredential, 'usedBy' | 'shadowedBy'> & { readonly about: About };

/** A registry, or a namespace in it. */
interface About {
  readonly name: string;
  readonly origin: string;
  /** Empty for all of a registry. */
  readonly namespace: string;
}

/** What a look-up came to. */
interface Winner {
  readonly source: string;
  readonly key: string | null;
  readonly helper: string | null;
  /** Why the look-up ends there with an error. */
  readonly fault: string | null;
  /** For people. */
  readonly shown: string;
}

/** A keychain is asked for names; one that wants its owner's consent even for that is not waited for. */
const listTimeoutMs = 10_000;

const readers = ['default', 'docker', 'podman'] as const satisfies readonly Reader[];

class Lister {
  readonly #options: ListOptions;
  readonly #without: readonly string[];
  /** Each file is read once, whoever asks. */
  readonly #configs = new Map<string, Promise<object | null>>();
  /** The user names of each helper by key; `null` where it cannot list. */
  readonly #lists = new Map<string, Promise<Readonly<Record<string, string>> | null>>();
  readonly #faults = new Map<string, string>();
  readonly #problems = new Map<string, ListProblem>();

  constructor(options: ListOptions) {
    this.#options = options;
    this.#without = options.withoutHelpers ?? [];
  }

  async list(): Promise<Listing> {
    const entries: Entry[] = [];
    for (const place of this.#places()) entries.push(...(await this.#entriesIn(place)));
    const credentials: StoredCredential[] = [];
    const names = new Map(entries.map(({ about }) => [about.name, about]));
    for (const about of [...names.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const winners = new Map<Reader, Winner | null>();
      for (const reader of this.#readers()) winners.set(reader, await this.#winner(reader, about));
      const used = entries
        .filter((entry) => entry.about.name === about.name)
        .map((entry) => stored(entry, winners));
      credentials.push(...used.toSorted((a, b) => rank(a) - rank(b)));
    }
    return { credentials, problems: [...this.#problems.values()] };
  }

  #readers(): readonly Reader[] {
    // An explicit file is for whoever names it, and Docker and Podman were not told.
    return this.#options.path === undefined ? readers : ['default'];
  }

  /** Each place once: Docker's file is a place of Podman's too. */
  #places(): readonly Place[] {
    const places = new Map<string, Place>();
    for (const place of this.#readers().flatMap((reader) => placesFor(reader, this.#options))) {
      const name =
        place.kind === 'file' ? place.path : place.kind === 'fault' ? place.error.path : variableName;
      if (!places.has(name)) places.set(name, place);
    }
    return [...places.values()];
  }

  #read = (path: string, trail: Trail): Promise<object | null> => {
    let config = this.#configs.get(path);
    if (config === undefined) {
      config = readConfig(path, trail);
      this.#configs.set(path, config);
    }
    return config;
  };

  async #entriesIn(place: Place): Promise<readonly Entry[]> {
    const { signal } = this.#options;
    if (signal?.aborted === true) throw signal.reason;
    try {
      switch (place.kind) {
        case 'fault':
          throw place.error;
        case 'variable': {
          const config = parseConfig(variableName, place.value);
          return config === null
            ? []
            : entriesOf(variableName, 'variable', objectIn(variableName, config, 'auths'));
        }
        case 'file':
          return await this.#entriesInFile(place.path, place.format);
      }
    } catch (error) {
      if (!(error instanceof CredentialsError)) throw error;
      this.#problem({ source: error.path, kind: 'unreadable', why: error.fault });
      return [];
    }
  }

  async #entriesInFile(path: string, format: FileFormat): Promise<readonly Entry[]> {
    const trail = new Trail();
    const config = await this.#read(path, trail);
    for (const { source, outcome, why } of trail.steps) {
      if (outcome === 'exposed') this.#problem({ source, kind: 'exposed', why });
    }
    if (config === null) {
      // A look-up passes it, and whoever asks what is stored should know.
      if ((await readFileText(path)).kind === 'folder') throw new CredentialsError(path, 'is a folder');
      return [];
    }
    if (format === 'flat') return entriesOf(path, format, config);
    const entries = entriesOf(path, format, objectIn(path, config, 'auths'));
    return [...(await this.#keptByHelpers(path, config, format)), ...entries];
  }

  /** What the helpers that a config names keep, as far as it is them who would be asked. */
  async #keptByHelpers(path: string, config: object, flavor: Flavor): Promise<readonly Entry[]> {
    const named = Object.keys(objectIn(path, config, 'credHelpers'));
    const store = flavor === 'docker' ? textIn(path, config, 'credsStore') : '';
    const names = [...named, ...Object.keys(objectIn(path, config, 'auths'))];
    if (store !== '' && !this.#without.includes(store)) {
      names.push(...Object.keys((await this.#listOf(store)) ?? {}));
    }
    const entries: Entry[] = [];
    const seen = new Set<string>();
    for (const name of names) {
      const about = aboutOf(name, flavor);
      if (about === null || about.namespace !== '' || seen.has(about.name)) continue;
      seen.add(about.name);
      const registry = registryAt(about.origin);
      const asked = helperIn(path, config, registry, flavor, { without: this.#without });
      if (asked === null) continue;
      const { helper, server } = asked;
      const list = await this.#listOf(helper);
      // One that cannot say what it has may have it, if it is named for this registry, or an entry says so.
      const username = list === null ? null : userIn(list, server, registry);
      if (username === undefined) continue;
      entries.push({
        registry: about.name,
        about,
        source: path,
        format: flavor,
        key: server,
        helper,
        type: username === null ? null : username === tokenUser ? 'identity' : 'password',
        username: username === tokenUser ? null : username,
        expiresAt: null,
        fault: this.#faults.get(helper) ?? null,
      });
    }
    return entries;
  }

  #listOf(helper: string): Promise<Readonly<Record<string, string>> | null> {
    let list = this.#lists.get(helper);
    if (list === undefined) {
      const { env, signal } = this.#options;
      const options = { ...(env && { env }), ...(signal && { signal }), timeoutMs: listTimeoutMs };
      list = helperList(helper, options).catch((error: unknown) => {
        if (!(error instanceof CredentialsError)) throw error;
        // Some keep no list, and say so.
        if (!error.fault.includes('not implemented')) {
          this.#faults.set(helper, error.message);
          this.#problem({ source: programOf(helper), kind: 'unreadable', why: error.fault });
        }
        return null;
      });
      this.#lists.set(helper, list);
    }
    return list;
  }

  #problem(problem: ListProblem): void {
    this.#problems.set(`${problem.kind} ${problem.source}`, problem);
  }

  /** The entry that a look-up of `reader` for all of `about` would come to. */
  async #winner(reader: Reader, { origin, namespace }: About): Promise<Winner | null> {
    const registry = registryAt(origin);
    let server: string | null = null;
    const asker: HelperAsker = {
      without: this.#without,
      ask: async (helper, asked) => {
        const list = await this.#listOf(helper);
        if (list !== null && userIn(list, asked, registry) === undefined) return { kind: 'none' };
        server = asked;
        return { kind: 'credential', credential: nobody, program: programOf(helper), expiresAt: 0 };
      },
    };
    const [repository = null] = namespacesOf(namespace === '' ? null : namespace);
    for (const place of placesFor(reader, this.#options)) {
      const trail = new Trail();
      try {
        const query = { registry, repository, signal: this.#options.signal, rejected: undefined };
        const match = await sourceAt(place, asker, this.#read).look(query, trail);
        if (match === null) continue;
        const step = trail.steps.find(({ outcome }) => outcome === 'matched');
        if (step === undefined) return null;
        const { source, helper } = step;
        const key = helper === null ? step.key : server;
        return { source, helper, key, fault: null, shown: match.source };
      } catch (error) {
        if (!(error instanceof CredentialsError)) throw error;
        const { path, fault } = error;
        return { source: path, helper: null, key: null, fault, shown: `the fault of ${path}` };
      }
    }
    return null;
  }
}

const variableName = 'DOCKER_AUTH_CONFIG';

/** Stands for what a helper keeps. */
const nobody: Credential = { type: 'password', username: 'x', password: '' };

function entriesOf(path: string, format: FileFormat | 'variable', auths: object): readonly Entry[] {
  return Object.keys(auths).flatMap((key): readonly Entry[] => {
    const about = aboutOf(key, format);
    const entry = member(auths, key);
    if (about === null || isMark(entry)) return [];
    const common = { registry: about.name, about, source: path, format, key, helper: null };
    try {
      const credential = credentialIn(path, key, entry);
      if (credential === null) return [];
      const { type } = credential;
      const username = type === 'password' ? credential.username : null;
      return [{ ...common, type, username, expiresAt: expiryOf(credential), fault: null }];
    } catch (error) {
      if (!(error instanceof CredentialsError)) throw error;
      return [{ ...common, type: null, username: null, expiresAt: null, fault: error.fault }];
    }
  });
}

/** The user that a helper lists for a registry. Google's and Amazon's list addresses, whatever they are asked for. */
function userIn(
  list: Readonly<Record<string, string>>,
  server: string,
  registry: Registry,
): string | undefined {
  const [key] = Object.hasOwn(list, server) ? [server] : dockerKeys(Object.keys(list), registry);
  return key === undefined ? undefined : list[key];
}

/** An entry that only says that a helper keeps something. */
function isMark(entry: unknown): boolean {
  return isObject(entry) && Object.keys(entry).length === 0;
}

/** What a key is for; `null` for a key that is no login of a registry's. */
function aboutOf(key: string, format: FileFormat | 'variable'): About | null {
  const { isUrl, host, path } = partsOf(key);
  // Docker's own tokens for its own login: `https://index.docker.io/v1/access-token`.
  if (key.startsWith(hubKey) && key !== hubKey) return null;
  if (!URL.canParse(`https://${host}`)) return null;
  const { host: bare } = new URL(`https://${host}`);
  // What a URL takes apart, or leaves out, is no host: such a key is for nobody.
  if (bare !== host && `${bare}:443` !== host) return null;
  const isHub = registryAt(hubOrigin).hosts.includes(bare);
  const namespace = format === 'containers' && !isUrl ? path.join('/') : '';
  const name = [isHub ? 'docker.io' : bare, ...(namespace === '' ? [] : [namespace])].join('/');
  return { name, origin: isHub ? hubOrigin : `https://${bare}`, namespace };
}

const hubOrigin = 'https://registry-1.docker.io';

function stored(
  { about: _, ...entry }: Entry,
  winners: ReadonlyMap<Reader, Winner | null>,
): StoredCredential {
  const isIt = (winner: Winner | null): boolean => {
    if (winner === null || winner.source !== entry.source) return false;
    // The fault of an entry names it.
    if (winner.fault !== null) return winner.fault === entry.fault;
    const helper = entry.helper === null ? null : programOf(entry.helper);
    return winner.key === entry.key && winner.helper === helper;
  };
  const usedBy = [...winners].filter(([, winner]) => isIt(winner)).map(([reader]) => reader);
  const first = winners.get('default') ?? null;
  return { ...entry, usedBy, shadowedBy: isIt(first) ? null : (first?.shown ?? null) };
}

function rank({ usedBy }: StoredCredential): number {
  return usedBy.includes('default') ? 0 : usedBy.length > 0 ? 1 : 2;
}
