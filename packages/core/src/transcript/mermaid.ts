/**
 * A transcript as a Mermaid sequence diagram.
 *
 * Rules of this file: one statement a line; whatever comes from outside goes through `label`, which leaves nothing in it that
 * the grammar, or the HTML a page makes of it, could take for its own but the line breaks that `label` puts in.
 */

import { toVisible } from '../visible.ts';
import { explain, explainClaims } from './explain.ts';
import { authorizationText, isLeg, type Leg, originOf, parametersOf, statusWords } from './legs.ts';
import { maskNames } from './secrets.ts';
import type { RecordedSend, Transcript } from './transcript.ts';

/** A longer label makes a diagram that nobody can see whole. */
const longestLabel = 240;

/** Characters of a line of a label, where it has spaces to be broken at: wider ones push the servers apart. */
const widestLine = 48;

/** `transcript` as a Mermaid `sequenceDiagram` of the client, the registry, its token server and where it redirected. */
export function toMermaid(transcript: Transcript): string {
  const { steps } = transcript;
  const servers = serversOf(steps.filter(isLeg));
  const lines = ['sequenceDiagram', '    autonumber', '    participant C as client'];
  for (const { id, name } of servers.values()) lines.push(`    participant ${id} as ${label(name)}`);
  for (const [index, step] of steps.entries()) {
    if (isLeg(step)) {
      const id = servers.get(originOf(step.effect.url))?.id;
      const { answer } = step;
      const silent = answer.type === 'no-response';
      lines.push(`    C->>${id}: ${label(requestWords(step.effect))}`);
      const reply = silent ? `no response (${answer.code})` : statusWords(answer.head.status);
      lines.push(`    ${id}${silent ? '--x' : '-->>'}C: ${label(reply)}`);
    }
    for (const meaning of [explain(step, index, transcript), explainClaims(step)]) {
      if (meaning !== '') lines.push(`    Note over C: ${label(meaning)}`);
    }
  }
  return lines.join('\n');
}

interface Server {
  readonly id: string;
  readonly name: string;
}

/** The servers that were asked, by origin, in the order of their first request. */
function serversOf(legs: readonly Leg[]): ReadonlyMap<string, Server> {
  const roles = new Map<string, Set<string>>();
  const registry = legs.find(({ effect }) => effect.to === 'registry');
  const home = registry === undefined ? '' : originOf(registry.effect.url);
  for (const { effect } of legs) {
    const origin = originOf(effect.url);
    const role =
      effect.to === 'authority' ? 'token server' : origin === home ? 'registry' : 'redirect target';
    roles.set(origin, (roles.get(origin) ?? new Set()).add(role));
  }
  return new Map(
    [...roles].map(([origin, is], index) => [
      origin,
      { id: `S${index + 1}`, name: `${hostOf(origin)} (${[...is].join(', ')})` },
    ]),
  );
}

function requestWords(effect: RecordedSend): string {
  const { method, url, to, authorization } = effect;
  const { pathname, search } = URL.canParse(url) ? new URL(url) : { pathname: url, search: '' };
  const asked = parametersOf(effect).map(([name, value]) => `${name}=${value}`);
  const path = to === 'authority' ? [pathname, ...asked].join(' ') : pathname + search;
  return `${method} ${path}${authorization === null ? '' : `, ${authorizationText(authorization)}`}`;
}

function hostOf(origin: string): string {
  return URL.canParse(origin) ? new URL(origin).host : origin;
}

/** Characters that mean nothing to Mermaid. All others but letters outside ASCII are written as entities of its own. */
const plain = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 ./:=_-,()?*+•';

function label(text: string): string {
  const shown = maskNames(toVisible(text));
  const cut = shown.length > longestLabel ? `${shown.slice(0, longestLabel - 1)}…` : shown;
  return linesOf(cut).map(escaped).join('<br/>');
}

function linesOf(text: string): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > widestLine) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

function escaped(text: string): string {
  let safe = '';
  for (const char of text) {
    safe += char > '\x7f' || plain.includes(char) ? char : `#${char.charCodeAt(0)};`;
  }
  return safe;
}
