/**
 * What was asked for against what was granted, one row a resource.
 *
 * Rules of this file: pure. A server that does not say what it granted is not taken to have granted anything.
 */

import { coversScopes, formatScopes, type Scope } from '@reg/core';
import { mostShown, shownText, shownWord, shownWords } from './bounds.ts';

export interface ScopeRow {
  readonly what: string;
  readonly asked: readonly { readonly action: string; readonly granted: 'yes' | 'no' | 'untold' }[];
  /** What came without being asked for. */
  readonly more: readonly string[];
}

/** Of a resource's name, which a registry may choose. */
const longestName = 300;

/** `granted` is `null` where the token server does not say. */
export function compareScopes(
  asked: readonly Scope[],
  granted: readonly Scope[] | null,
): readonly ScopeRow[] {
  const rows = asked.map((scope): ScopeRow => {
    const held = granted?.find((one) => nameOf(one) === nameOf(scope));
    return {
      what: shownText(nameOf(scope), longestName),
      asked: actionsOf(scope)
        .slice(0, mostShown)
        .map((action) => ({
          action: shownWord(action),
          granted:
            granted === null ? 'untold' : coversScopes(granted, [withAction(scope, action)]) ? 'yes' : 'no',
        })),
      more:
        held === undefined
          ? []
          : shownWords(actionsOf(held).filter((action) => !actionsOf(scope).includes(action))),
    };
  });
  const unasked = (granted ?? []).filter((scope) => !asked.some((one) => nameOf(one) === nameOf(scope)));
  return [
    ...rows,
    ...unasked.map((scope) => ({
      what: shownText(nameOf(scope), longestName),
      asked: [],
      more: shownWords(actionsOf(scope)),
    })),
  ].slice(0, mostShown);
}

function nameOf(scope: Scope): string {
  return 'opaque' in scope ? scope.opaque : formatScopes([{ ...scope, actions: [] }]).replace(/:$/, '');
}

/** An opaque entry is granted as a whole. */
function actionsOf(scope: Scope): readonly string[] {
  return 'opaque' in scope ? ['all of it'] : scope.actions;
}

function withAction(scope: Scope, action: string): Scope {
  return 'opaque' in scope ? scope : { ...scope, actions: [action] };
}
