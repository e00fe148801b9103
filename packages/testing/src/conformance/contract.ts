/**
 * What an adapter and a test runner have to offer the conformance suite, and nothing more.
 *
 * Rules of this file: structural types only, so that any runtime's `fetch` and any runner's `test` fit without a cast.
 */

/** As `@reg/core` spells them. */
export type Credential =
  | { readonly type: 'password'; readonly username: string; readonly password: string }
  | { readonly type: 'identity'; readonly token: string }
  | { readonly type: 'registry'; readonly token: string };

/** The part of a policy that cases set. */
export interface CasePolicy {
  readonly realms: { readonly pairs: readonly { readonly registry: string; readonly realm: string }[] };
  readonly oauth2?: 'identity-only' | 'prefer';
  readonly rejectedCredential?: 'fail' | 'anonymous-pull';
  readonly deadlineMs?: number;
}

/** How a case wants its fetch. */
export interface FetchOptions {
  /** By `host:port`. A registry that is not in it has no credential. */
  readonly credentials: Readonly<Record<string, Credential>>;
  readonly policy: CasePolicy;
}

export interface FetchInit {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | ReadableStream<Uint8Array>;
  /** With a stream as body, as fetch wants it. */
  readonly duplex?: 'half';
  readonly redirect?: 'follow' | 'manual';
  readonly signal?: AbortSignal;
}

export interface FetchedResponse {
  readonly status: number;
  readonly url: string;
  readonly redirected: boolean;
  readonly headers: { get(name: string): string | null };
  readonly body: {
    getReader(): { read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }> };
  } | null;
  text(): Promise<string>;
}

export type Fetch = (url: string, init?: FetchInit) => Promise<FetchedResponse>;

/** Makes a fetch with a memory of its own. */
export type CreateFetch = (options: FetchOptions) => Fetch | Promise<Fetch>;

export interface Case {
  /** Unique; names the requirement or rule it holds an adapter to. */
  readonly name: string;
  readonly run: (createFetch: CreateFetch) => Promise<void>;
}
