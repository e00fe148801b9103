/**
 * All that the checks look at, gathered when the first of them wants it, and once.
 *
 * Rules of this file: it wires; what is asked for is what a pull (or a push, a page) would ask for, so that a fault shows where
 * it would hurt, and as few requests as that takes. Whoever opens a scene closes it.
 */

import type { Addresses } from '@reg/core';
import type { Keychain } from '@reg/core/driver';
import { loadTrust, TrustError } from '@reg/node/network';
import type { AnyTarget } from '../registry/argument.ts';
import { type Client, manifestTypes, openClient, tlsFor, transportAt } from '../registry/client.ts';
import { readConnection } from '../registry/connection.ts';
import type { GivenCredential } from '../registry/given.ts';
import type { NetworkOptions } from '../registry/options.ts';
import { ownerOf } from '../registry/owner.ts';
import type { Surroundings } from '../surroundings.ts';
import { SendError } from '../transport/send-error.ts';
import { type About, type AboutOptions, aboutOf } from './about.ts';
import { realmIn } from './checks/handshake.ts';
import { askAsPage, type CorsFacts, type CorsTarget } from './gather/cors.ts';
import { type CredentialFacts, compareEntries, lookUp, type Whose } from './gather/credentials.ts';
import {
  type Network,
  PATIENCE_MS,
  type RouteFacts,
  resolveHost,
  routeTo,
  tryConnection,
  tryTls,
} from './gather/network.ts';
import { type Answered, ask, tokenFor, tryUpload } from './gather/requests.ts';

export interface SceneSetting {
  readonly target: AnyTarget;
  readonly options: AboutOptions;
  readonly given: GivenCredential | null;
  readonly surroundings: Surroundings;
}

/** How long all requests of one client may take: what is slower is of no use to anyone who waits. */
const DEADLINE_MS = 60_000;

export class Scene {
  readonly about: About;
  /** Epoch milliseconds when it began. */
  readonly now = Date.now();
  /** The page of `--browser`. */
  readonly page: string | null;
  readonly #setting: SceneSetting;
  readonly #signal: AbortSignal;
  readonly #open: { close(): void }[] = [];

  constructor(setting: SceneSetting) {
    this.#setting = setting;
    this.about = aboutOf(setting.target, setting.options);
    this.page = setting.options.browser ?? null;
    this.#signal = setting.surroundings.signal;
  }

  close(): void {
    for (const one of this.#open) one.close();
  }

  async credential(): Promise<CredentialFacts> {
    return (await this.#login.get()).facts;
  }

  /** Whether requests are made as somebody. */
  async isSomebody(): Promise<boolean> {
    const { found } = await this.credential();
    return found !== null && found.type !== null;
  }

  /** What is wrong with the file of trusted token servers, without which nothing is asked of a registry. */
  readonly trustFault = new Once(async () => {
    try {
      await loadTrust(ownerOf(this.#setting.surroundings.env));
      return null;
    } catch (error) {
      if (error instanceof TrustError) return { source: error.path, message: error.message };
      throw error;
    }
  });

  async route(): Promise<RouteFacts> {
    return routeTo(this.about.registry, await this.#network.get());
  }

  /** Whom Docker and Podman would be. */
  readonly entries = new Once(async () => compareEntries(this.#whose(), (await this.credential()).trail));

  readonly lookup = new Once(async () =>
    resolveHost(this.about.registry, await this.route(), await this.#network.get()),
  );

  readonly connection = new Once(async () => tryConnection(this.about.registry, await this.#network.get()));

  readonly tls = new Once(async () => tryTls(this.about.registry, 'any', await this.#network.get()));

  /** Whether the port that is asked over plain http takes a TLS hello. */
  readonly speaksTls = new Once(async () => {
    const { hostname, port } = this.about.registry;
    const url = new URL(`https://${hostname}:${port || '80'}`);
    return (await tryTls(url, 'any', await this.#network.get())).certificate !== null;
  });

  /** The request that was asked for a login: one that shows its `/v2/` to everyone asks at the repository (Q55). */
  readonly challenged = new Once(async () => {
    const ping = await this.ping.get();
    const isOpen = ping.failure === null && !ping.responses.some(({ head }) => head.status === 401);
    return (isOpen ? await this.pull.get() : null) ?? ping;
  });

  /** The certificate of the token server, where its TLS is what failed. */
  readonly realmTls = new Once(async () => {
    const { failure } = await this.challenged.get();
    if (failure?.kind !== 'network' || failure.to !== 'authority' || failure.phase !== 'tls') return null;
    const url = new URL(new URL(failure.url).origin);
    return tryTls(url, await this.#addressesFor(url), await this.#network.get());
  });

  /** `GET /v2/`, as whoever the credential says. */
  readonly ping = new Once(async () => {
    const url = new URL('/v2/', this.about.registry);
    return ask(await this.#client.get(), { method: 'GET', url }, await this.#network.get());
  });

  /** The token that it came to, which is asked for again only where the registry refused it. */
  readonly pingToken = new Once(async () => {
    const { tokens, url } = await this.ping.get();
    if (tokens.at(-1)?.answer.head.status !== 200) return null;
    const about = { url: new URL(url), method: 'GET', scopes: '' };
    return tokenFor(await this.#client.get(), about, this.#signal);
  });

  /** What a pull would begin with; `null` for a whole registry. */
  readonly pull = new Once(async () => this.#pull(await this.#client.get()));

  /** The same as nobody. */
  readonly anonymousPull = new Once(async () => this.#pull(await this.#opened(nobodys)));

  /** The token for the repository; `null` where there is none to be had. */
  readonly token = new Once(async () => {
    const { repository, push } = this.about;
    if (repository === null) return null;
    // One that shows its /v2/ to everyone says at the repository whether it has a token server.
    const realm = realmIn(await this.ping.get()) ?? realmIn(await this.pull.get());
    if (realm === null) return null;
    const url = push ? this.#uploads(repository) : this.#setting.target.url;
    const scopes = `repository:${repository}:${push ? 'pull,push' : 'pull'}`;
    return tokenFor(await this.#client.get(), { url, method: push ? 'POST' : 'GET', scopes }, this.#signal);
  });

  readonly upload = new Once(async () => {
    const { repository } = this.about;
    if (repository === null) return null;
    return tryUpload(await this.#client.get(), this.#uploads(repository), await this.#network.get());
  });

  /** What a page at `page` is told. */
  async cors(page: string): Promise<CorsFacts> {
    const transport = await transportAt(this.about.registry, this.#patient(), this.#setting.surroundings);
    this.#open.push(transport);
    const ping = new URL('/v2/', this.about.registry).href;
    const targets: CorsTarget[] = [{ who: 'registry', url: ping, addresses: 'any' }];
    // Its realm was judged when it was asked: where it was not, no page gets a token either.
    const asked = (await this.ping.get()).tokens.at(-1);
    if (asked !== undefined) {
      const url = tokenUrl(asked.url);
      targets.push({ who: 'token server', url: url.href, addresses: await this.#addressesFor(url) });
    }
    return askAsPage(transport.send, page, targets, this.#signal);
  }

  /** Every answer that was asked for so far. */
  async answered(): Promise<readonly Answered[]> {
    const pulled = this.pull.hasBegun ? await this.pull.get() : null;
    return [await this.ping.get(), ...(pulled === null ? [] : [pulled])];
  }

  readonly #login = new Once(() => lookUp(this.#whose()));

  readonly #network = new Once(async (): Promise<Network> => {
    const { options, surroundings } = this.#setting;
    const { env } = surroundings;
    const connection = await readConnection(options);
    const tls = tlsFor(this.about.registry, options, connection, env);
    return {
      env,
      dialling: { tls, pinned: connection.pinned },
      caFile: options.caFile,
      patienceMs: Math.min(PATIENCE_MS, connection.timeoutMs ?? PATIENCE_MS),
      signal: this.#signal,
    };
  });

  /** With the credential that was found: a helper is not run again for it. One that ended is of no use, and each try may count. */
  readonly #client = new Once(async () => {
    const { facts, keychain } = await this.#login.get();
    const hasEnded = facts.end !== null && facts.end.at <= this.now;
    return this.#opened(hasEnded ? nobodys : keychain);
  });

  async #opened(keychain: Keychain): Promise<Client> {
    const { given, surroundings } = this.#setting;
    const { stderr, env } = surroundings;
    const deadline = new AbortController();
    const late = new SendError('body', 'ETIMEDOUT', `not done within ${DEADLINE_MS / 1_000} s`);
    const timer = setTimeout(() => deadline.abort(late), DEADLINE_MS);
    this.#open.push({ close: () => clearTimeout(timer) });
    const signal = AbortSignal.any([this.#signal, deadline.signal]);
    const client = await openClient({
      registry: this.about.registry,
      options: this.#patient(),
      given,
      surroundings: { stderr, env, signal },
      bodies: false,
      keychain,
      store: false,
    });
    this.#open.push(client);
    return client;
  }

  /** As the core has it: the user's own host, and what the user paired with it, may be anywhere. */
  async #addressesFor({ host, origin }: URL): Promise<Addresses> {
    const { registry } = this.about;
    const pairs = (await this.ping.get()).policy?.realms.pairs ?? [];
    const isPaired = pairs.some((pair) => pair.registry === registry.origin && pair.realm === origin);
    return host === registry.host || isPaired ? 'any' : 'unblocked';
  }

  async #pull(client: Client): Promise<Answered | null> {
    if (this.about.repository === null) return null;
    const url = new URL(this.#setting.target.url);
    if (url.pathname.endsWith('/tags/list')) url.searchParams.set('n', '1');
    return ask(
      client,
      { method: 'GET', url, headers: [['accept', manifestTypes]] },
      await this.#network.get(),
    );
  }

  #uploads(repository: string): URL {
    return new URL(`/v2/${repository}/blobs/uploads/`, this.about.registry);
  }

  #whose(): Whose {
    const { options, given, surroundings } = this.#setting;
    const { registry, repository } = this.about;
    return { origin: registry.origin, repository, options, given, surroundings };
  }

  /** A person waits: nothing is tried again, and nothing waited for longer than one look may take. */
  #patient(): NetworkOptions {
    return { timeout: `${PATIENCE_MS / 1_000}`, retries: '0', ...this.#setting.options };
  }
}

const nobodys: Keychain = { find: async () => null };

/** What a page would ask first, as nobody. Of a record nothing else is sent: it has stand-ins for what may be secret. */
function tokenUrl(recorded: string): URL {
  const url = new URL(recorded);
  for (const name of [...url.searchParams.keys()]) {
    if (name !== 'service' && name !== 'scope') url.searchParams.delete(name);
  }
  return url;
}

/** What is looked at once, when it is first wanted. */
class Once<T> {
  readonly #look: () => Promise<T>;
  #seen: Promise<T> | null = null;

  constructor(look: () => Promise<T>) {
    this.#look = look;
  }

  get hasBegun(): boolean {
    return this.#seen !== null;
  }

  get(): Promise<T> {
    this.#seen ??= this.#look();
    return this.#seen;
  }
}
