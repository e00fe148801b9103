/**
 * A registry and a token server behind the `Send` port, on a virtual clock. Both check what they are sent.
 */

import type { AbortSignalLike, Outgoing, Reply, Send } from '../../src/driver/port.ts';
import type { HeaderList } from '../../src/message.ts';
import { VirtualClock } from './clock.ts';

export interface Seen {
  readonly to: 'registry' | 'authority';
  readonly method: string;
  readonly url: string;
  readonly authorization: string | null;
  readonly form: string | null;
  readonly status: number;
  readonly at: number;
}

export interface Answer {
  readonly status: number;
  readonly headers?: HeaderList;
  readonly body?: string;
}

export interface WorldOptions {
  readonly registry?: string;
  readonly realm?: string;
  readonly scheme?: 'bearer' | 'basic' | 'none';
  /** The platform shows no header but what is exposed, and no challenge is. */
  readonly hides?: boolean;
  readonly latencyMs?: number;
  readonly expiresIn?: number;
  /** `user:password` that are known. Without any everybody may have everything. */
  readonly users?: readonly string[];
  /** Identity tokens that are known; each use replaces it by the next in line. */
  readonly identities?: string[];
  /** Answers in place of the token server; `n` counts its requests from 1. */
  readonly onToken?: (n: number, out: Outgoing, world: World) => Answer | null | Promise<Answer | null>;
  /** Answers in place of the registry. */
  readonly onRegistry?: (n: number, out: Outgoing, world: World) => Answer | null | Promise<Answer | null>;
}

export class World {
  readonly clock = new VirtualClock();
  readonly seen: Seen[] = [];
  readonly tokens = new Map<string, { readonly scopes: readonly string[]; readonly until: number }>();
  readonly registry: string;
  readonly realm: string;
  discarded = 0;
  #options: WorldOptions;
  #counts = { registry: 0, authority: 0 };

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    this.registry = options.registry ?? 'https://registry.test';
    this.realm = options.realm ?? `${this.registry}/token`;
  }

  count(to?: 'registry' | 'authority', status?: number): number {
    return this.seen.filter(
      (s) => (to === undefined || s.to === to) && (status === undefined || s.status === status),
    ).length;
  }

  url(repository: string, tail = 'tags/list'): string {
    return `${this.registry}/v2/${repository}/${tail}`;
  }

  readonly send: Send<string> = async (out, signal): Promise<Reply<string>> => {
    this.#counts[out.to] += 1;
    const n = this.#counts[out.to];
    const entry = { ...out, authorization: header(out, 'authorization'), status: 0, at: this.clock.now() };
    this.seen.push(entry);
    await this.#pause(this.#options.latencyMs ?? 0, signal);
    const special =
      out.to === 'registry'
        ? this.#options.onRegistry?.(n, out, this)
        : this.#options.onToken?.(n, out, this);
    const answer =
      (await special) ?? (out.to === 'registry' ? this.#asRegistry(out) : this.#asAuthority(out));
    if (signal.aborted) throw new Error('the connection was closed');
    entry.status = answer.status;
    const body = answer.body ?? '';
    const { status, headers = [] } = answer;
    const shown = headers.filter(([name]) => name !== 'www-authenticate');
    return {
      head: this.#options.hides === true ? { status, headers: shown, filtered: true } : { status, headers },
      raw: body,
      text: async (limit) => (body.length > limit ? null : body),
      peek: async (limit) => body.slice(0, limit),
      discard: async () => {
        this.discarded += 1;
      },
    };
  };

  async #pause(ms: number, signal: AbortSignalLike): Promise<void> {
    if (ms > 0) await this.clock.sleep(ms, signal);
  }

  challenge(out: Outgoing): HeaderList {
    if (this.#options.scheme === 'basic') return [['www-authenticate', 'Basic realm="world"']];
    const scopes = scopesOf(out).map((s) => `,scope="${s}"`);
    return [['www-authenticate', `Bearer realm="${this.realm}",service="world"${scopes.join('')}`]];
  }

  #asRegistry(out: Outgoing): Answer {
    const authorization = header(out, 'authorization') ?? '';
    if (this.#options.scheme === 'none') return { status: 200 };
    if (this.#options.scheme === 'basic') {
      const known = this.#options.users?.includes(decodeBasic(authorization));
      return known ? { status: 200 } : { status: 401, headers: this.challenge(out) };
    }
    const token = this.tokens.get(authorization.slice('Bearer '.length));
    const enough = scopesOf(out).every((s) => token?.scopes.some((held) => covers(held, s)));
    if (token !== undefined && this.clock.now() < token.until && enough)
      return { status: 200, body: '{"tags":[]}' };
    const body = '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}';
    return { status: 401, headers: this.challenge(out), body };
  }

  #asAuthority(out: Outgoing): Answer {
    const { users, identities, expiresIn = 300 } = this.#options;
    const form = new URLSearchParams(out.form ?? '');
    let refresh: { refresh_token?: string } = {};
    if (form.get('grant_type') === 'refresh_token') {
      if (identities?.[0] === undefined || form.get('refresh_token') !== identities[0]) {
        return { status: 401, body: '{"error":"invalid_grant"}' };
      }
      if (identities.length > 1) {
        identities.shift();
        refresh = { refresh_token: identities[0] ?? '' };
      }
    } else if (users !== undefined && !users.includes(decodeBasic(header(out, 'authorization') ?? ''))) {
      return { status: 401, body: '{"details":"incorrect username or password"}' };
    }
    const scopes =
      out.form === null
        ? new URL(out.url).searchParams.getAll('scope')
        : (form.get('scope') ?? '').split(' ');
    const token = `token-${this.tokens.size + 1}`;
    this.tokens.set(token, { scopes, until: this.clock.now() + expiresIn * 1000 });
    return { status: 200, body: JSON.stringify({ token, expires_in: expiresIn, ...refresh }) };
  }
}

function header(out: Outgoing, name: string): string | null {
  return out.headers.find(([n]) => n === name)?.[1] ?? null;
}

function decodeBasic(value: string): string {
  return Buffer.from(value.replace('Basic ', ''), 'base64').toString('utf8');
}

function scopesOf({ method, url }: Outgoing): string[] {
  const { pathname } = new URL(url);
  const [, repository] = /^\/v2\/(.+)\/(?:tags|manifests|blobs)\//.exec(pathname) ?? [];
  if (repository === undefined) return [];
  return [`repository:${repository}:${method === 'GET' || method === 'HEAD' ? 'pull' : 'pull,push'}`];
}

function covers(held: string, wanted: string): boolean {
  const [h, w] = [held.split(':'), wanted.split(':')];
  const actions = (h.at(-1) ?? '').split(',');
  return (
    h.slice(0, -1).join(':') === w.slice(0, -1).join(':') &&
    (w.at(-1) ?? '').split(',').every((a) => actions.includes(a))
  );
}
