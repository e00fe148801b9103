/**
 * Who may do what: users, repositories, and the scopes between them.
 *
 * Rules of this file: declarations in, answers out. Nothing is granted that was not declared, and asking for more than one
 * has is no error: the answer is the part one has (token spec, "How to authenticate").
 */

/** A user: a password, or a password and an identity token that may be exchanged in its place. */
export type UserDeclaration = string | { readonly password: string; readonly identityToken?: string };

export interface RepositoryDeclaration {
  /** Who may pull without a credential: everyone or nobody. Default `private`. */
  readonly visibility?: 'public' | 'private';
  /** Tags and the text in the one layer of each image; a plain list makes the tag's name the text. */
  readonly tags?: readonly string[] | Readonly<Record<string, string>>;
  /** Actions by user. Without it every declared user has `pull`, `push` and `delete`. `*` covers all. */
  readonly access?: Readonly<Record<string, readonly string[]>>;
}

export type Users = Readonly<Record<string, UserDeclaration>>;
export type Repositories = Readonly<Record<string, RepositoryDeclaration>>;

/** `type:name:action,action` (requirement 41), taken apart at the first and the last colon (requirement 42). */
export interface Scope {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** A user's name, or `null` for anonymous. */
export type Subject = string | null;

export interface Access {
  /** Whether this is the user's password. */
  authenticate(username: string, password: string): boolean;
  /** Who may exchange this declared identity token, or `null`. */
  owner(identityToken: string): Subject;
  /** The part of `asked` that `subject` has; entries of which nothing is left are dropped. */
  grant(subject: Subject, asked: readonly Scope[]): readonly Scope[];
  /** Every secret that was declared. */
  readonly secrets: { readonly passwords: readonly string[]; readonly identityTokens: readonly string[] };
}

const DEFAULT_ACTIONS: readonly string[] = ['pull', 'push', 'delete'];

export function createAccess(users: Users, repositories: Repositories): Access {
  const declared = new Map(
    Object.entries(users).map(([name, user]) => [name, typeof user === 'string' ? { password: user } : user]),
  );
  const tables = new Map(Object.entries(repositories));
  const identityTokens = new Map<string, string>();
  for (const [name, { identityToken }] of declared) {
    if (identityToken !== undefined) identityTokens.set(identityToken, name);
  }

  function actions(subject: Subject, { type, name }: Scope): readonly string[] {
    // Who may list all repositories is the operator's decision; here it is every user (requirement 47).
    if (type === 'registry' && name === 'catalog') return subject === null ? [] : ['*'];
    const repository = type === 'repository' ? tables.get(name) : undefined;
    if (repository === undefined) return [];
    const open = repository.visibility === 'public' ? ['pull'] : [];
    if (subject === null) return open;
    return [
      ...open,
      ...(repository.access === undefined ? DEFAULT_ACTIONS : (repository.access[subject] ?? [])),
    ];
  }

  return {
    authenticate: (username, password) => declared.get(username)?.password === password,
    owner: (identityToken) => identityTokens.get(identityToken) ?? null,
    grant: (subject, asked) =>
      asked
        .map((scope) => {
          const held = actions(subject, scope);
          const wanted = scope.actions.includes('*') ? [...new Set(held)] : scope.actions;
          return {
            ...scope,
            actions: wanted.filter((action) => held.includes(action) || held.includes('*')),
          };
        })
        .filter((scope) => scope.actions.length > 0),
    secrets: {
      passwords: [...declared.values()].map((user) => user.password),
      identityTokens: [...identityTokens.keys()],
    },
  };
}

/** Whether `held` covers every action of `needed`. */
export function covers(held: readonly Scope[], needed: Scope): boolean {
  const actions = held
    .filter((scope) => scope.type === needed.type && scope.name === needed.name)
    .flatMap((scope) => scope.actions);
  return actions.includes('*') || needed.actions.every((action) => actions.includes(action));
}

/** Scopes in a space-separated list. What is not of the form `type:name:actions` is left out, as token servers do. */
export function parseScopes(text: string): readonly Scope[] {
  return text.split(' ').flatMap((entry) => {
    const first = entry.indexOf(':');
    const last = entry.lastIndexOf(':');
    if (first < 1 || last === first) return [];
    const [type = ''] = entry.slice(0, first).split('(', 1);
    const actions = entry.slice(last + 1).split(',');
    return [{ type, name: entry.slice(first + 1, last), actions: actions.filter((action) => action !== '') }];
  });
}

export function formatScopes(scopes: readonly Scope[]): string {
  return scopes.map(({ type, name, actions }) => `${type}:${name}:${actions.join(',')}`).join(' ');
}

/** User and password of a `Basic` header (RFC 7617 §2), or `null`. */
export function readBasic(authorization: string | undefined): { username: string; password: string } | null {
  const [scheme = '', value = ''] = (authorization ?? '').split(' ', 2);
  if (scheme.toLowerCase() !== 'basic') return null;
  const text = Buffer.from(value, 'base64').toString();
  const colon = text.indexOf(':');
  return colon < 0 ? null : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}
