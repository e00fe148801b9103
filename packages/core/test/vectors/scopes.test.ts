import { endpoint, parseReference } from '../../src/reference.ts';
import {
  coversScopes,
  formatScopes,
  parseScopes,
  type Scope,
  scopesForRequest,
  unionScopes,
} from '../../src/scope.ts';
import { describeTopic, membersOf, textsOf, type Vector } from './harness.ts';

/**
 * Our lists keep the order of their makers (requirement 50), other clients sort them; some leave actions as they came. So
 * lists are compared as sets of entries whose actions are sorted.
 */
function sorted(entries: readonly string[]): readonly string[] {
  return entries
    .map((entry) => {
      const end = entry.lastIndexOf(':') + 1;
      return end === 0 ? entry : entry.slice(0, end) + entry.slice(end).split(',').sort().join(',');
    })
    .sort();
}

function entriesOf(scopes: readonly Scope[]): readonly string[] {
  return sorted(scopes.map((scope) => formatScopes([scope])));
}

function listed(entries: readonly string[]): Scope[] {
  return parseScopes(entries.join(' '));
}

function forReference(text: string, method: string): string {
  return formatScopes(scopesForRequest(method, endpoint(parseReference(text), 'manifest')));
}

function forResource({ input }: Vector): string {
  if (input.text('kind') !== 'registry') return forReference(input.text('ref'), 'GET');
  return formatScopes(scopesForRequest('GET', endpoint({ registry: input.text('ref') }, 'catalog')));
}

/** Scopes by host, or under `''` where the steps name none. */
type Held = ReadonlyMap<string, readonly Scope[]>;

/** `set` replaces, `append` adds; `append-repository` adds actions on one repository of a registry. */
function afterEachStep({ input }: Vector): unknown {
  let held: Held = new Map();
  return input.list('steps').map((step) => {
    const verb = step.text('do');
    const next = new Map(held);
    const changes = step.has('scopes_by_host')
      ? Object.entries(membersOf(step.value('scopes_by_host'))).map(
          ([host, list]) => [host, listed(textsOf(list))] as const,
        )
      : step.has('repository')
        ? [
            [
              endpoint({ registry: step.text('registry') }, 'ping').host,
              repositoryScope(step.text('repository'), step.texts('actions')),
            ] as const,
          ]
        : [['', listed(step.texts('scopes'))] as const];
    for (const [host, scopes] of changes)
      next.set(host, unionScopes(verb === 'set' ? [] : (held.get(host) ?? []), scopes));
    held = next;
    const bare = held.get('');
    return bare === undefined
      ? Object.fromEntries([...held].map(([host, scopes]) => [host, entriesOf(scopes)]))
      : entriesOf(bare);
  });
}

function repositoryScope(name: string, actions: readonly string[]): readonly Scope[] {
  return actions.length === 0 ? [] : [{ type: 'repository', name, actions }];
}

function resourceOf(entry: string): string {
  return entry.slice(0, entry.lastIndexOf(':'));
}

const withoutActions = /^[^:]+:.+:,*$/;

/** The entries of the vector's answer, where it has several for one resource. */
function unmerged({ expect }: Vector): readonly string[] {
  const entries = expect.has('scopes') && Array.isArray(expect.value('scopes')) ? expect.texts('scopes') : [];
  return new Set(entries.map(resourceOf)).size < entries.length ? entries : [];
}

describeTopic('scopes', {
  operations: {
    'repository-scope': {
      ours: ({ input }) => ({
        scope: formatScopes([
          { type: 'repository', name: input.text('repository'), actions: input.texts('actions') },
        ]),
      }),
    },
    'resource-scope': { ours: (vector) => ({ scope: forResource(vector) }) },
    'repository-scope-from-ref': {
      ours: ({ input }) => ({
        scope: forReference(input.text('locator'), input.value('push') === true ? 'PUT' : 'GET'),
      }),
    },
    'clean-scopes': { ours: ({ input }) => ({ scopes: entriesOf(listed(input.texts('scopes'))) }) },
    'clean-actions': {
      ours: ({ input }) => {
        const [scope] = unionScopes([{ type: 'repository', name: 'n', actions: input.texts('actions') }], []);
        return { actions: scope !== undefined && 'actions' in scope ? scope.actions : null };
      },
    },
    'all-scopes-for-host': {
      ours: ({ input }) => ({
        scopes: entriesOf(
          unionScopes(listed(input.texts('host_scopes')), listed(input.texts('global_scopes'))),
        ),
      }),
    },
    'scope-context-sequence': { ours: (vector) => ({ after_each_step: afterEachStep(vector) }) },
    'merge-hints-with-challenge': {
      ours: ({ input }) => {
        const scopes = unionScopes(listed(input.texts('hints')), parseScopes(input.text('challenge_scope')));
        return { scopes: entriesOf(scopes), form_scope: sorted(formatScopes(scopes).split(' ')) };
      },
      theirs: ({ expect }) => ({
        scopes: sorted(expect.texts('scopes')),
        form_scope: sorted(expect.text('form_scope').split(' ')),
      }),
    },
    'union-scopes-exact': {
      ours: ({ input }) => ({
        scopes: entriesOf(unionScopes(listed(input.texts('context')), listed(input.texts('common')))),
      }),
    },
    'parse-scopes': {
      ours: ({ input }) => ({
        scopes: Object.fromEntries(
          listed(input.texts('scopes')).map((scope) => [
            resourceOf(formatScopes([scope])),
            'actions' in scope ? scope.actions : null,
          ]),
        ),
      }),
    },
    'parse-scope': {
      ours: ({ input }) => {
        const [scope] = parseScopes(input.text('scope'));
        if (scope === undefined || 'opaque' in scope) return { valid: false };
        return { valid: true, type: scope.type, name: scope.name, actions: scope.actions.join(',') };
      },
    },
    'add-scope': {
      ours: ({ input }) => {
        const current = listed(input.texts('current'));
        const added = parseScopes(input.text('add'));
        const scopes = unionScopes(current, added);
        return {
          scopes: entriesOf(scopes),
          new_token_needed: !coversScopes(current, added),
          form_scope: sorted(formatScopes(scopes).split(' ')),
        };
      },
      theirs: ({ expect }) => ({
        scopes: sorted(expect.texts('scopes')),
        new_token_needed: expect.value('new_token_needed'),
        form_scope: sorted(expect.text('form_scope').split(' ')),
      }),
    },
  },
  rules: [
    {
      name: 'no-actions-is-a-scope',
      reason:
        'servers ask for `repository:name:` and mean it, so an entry without actions is kept (requirement 45, Q14)',
      kind: 'policy',
      applies: ({ op, input }) =>
        (op === 'repository-scope' &&
          input.text('repository') !== '' &&
          input.texts('actions').every((action) => action === '')) ||
        (op === 'clean-scopes' && input.texts('scopes').some((entry) => withoutActions.test(entry))),
      differs: (ours, { op, input, expect }) => {
        const { scope, scopes } = membersOf(ours);
        if (op === 'repository-scope') return scope === `repository:${input.text('repository')}:`;
        const others = textsOf(scopes).filter((entry) => !withoutActions.test(entry));
        return (
          others.length < textsOf(scopes).length && others.join(' ') === expect.texts('scopes').join(' ')
        );
      },
    },
    {
      name: 'one-entry-per-resource',
      reason:
        'actions of one resource are merged, or the list would grow with every refresh (requirement 46, Q27)',
      kind: 'policy',
      applies: (vector) => unmerged(vector).length > 0,
      differs: (ours, vector) => {
        const { scopes, new_token_needed } = membersOf(ours);
        const merged = new Map<string, Set<string>>();
        for (const entry of unmerged(vector)) {
          const actions = merged.get(resourceOf(entry)) ?? new Set();
          for (const action of entry.slice(resourceOf(entry).length + 1).split(',')) actions.add(action);
          merged.set(resourceOf(entry), actions);
        }
        const expected = sorted(
          [...merged].map(([resource, actions]) => `${resource}:${[...actions].join(',')}`),
        );
        return (
          textsOf(scopes).join(' ') === expected.join(' ') &&
          new_token_needed === vector.expect.value('new_token_needed')
        );
      },
    },
  ],
  pins: { cases: 51, rules: { 'no-actions-is-a-scope': 5, 'one-entry-per-resource': 4 } },
  decision: 'docs/decisions/0010-scopes-are-sets.md',
});
