/** What keeps the page from a server, drawn: what to add there, for each server that people run, and what was asked to find out. */

import type { CorsDiagnosis, CorsFix, CorsFixes, CorsProbe } from '@reg/browser';
import { toVisible } from '@reg/core';
import { drawLine } from './copy.ts';
import { element } from './element.ts';

export function drawDiagnosis({ verdict, summary, header, fixes, probes }: CorsDiagnosis): HTMLElement {
  const offered = servers.flatMap(([server, name]) => {
    const fix = fixes?.[server] ?? null;
    return fix === null ? [] : [drawFix(name, fix)];
  });
  return element(
    'section',
    { class: 'cors', 'data-verdict': verdict },
    element('h4', {}, 'What the browser lets the page find out'),
    element('p', { class: 'told' }, toVisible(summary)),
    header === null ? null : drawLine({ label: 'The line that is missing', text: toVisible(header) }),
    ...(offered.length === 0
      ? []
      : [element('h5', {}, 'Where to add it: one of these is enough'), ...offered]),
    drawProbes(probes),
  );
}

const servers = [
  ['distribution', 'CNCF Distribution'],
  ['nginx', 'nginx before it'],
  ['caddy', 'Caddy before it'],
  ['traefik', 'Traefik before it'],
  ['zot', 'zot'],
] as const satisfies readonly (readonly [keyof CorsFixes, string])[];

function drawFix(name: string, { lines, note }: CorsFix): HTMLElement {
  return element(
    'details',
    { class: 'fix', name: 'fix' },
    element('summary', {}, name),
    drawLine({ label: note, text: lines.trimEnd() }),
  );
}

const saws = {
  answer: 'answered',
  opaque: 'answered, and the page may not read it',
  redirect: 'redirects',
  failure: 'the browser tells nothing',
  nothing: 'no answer in time',
} as const satisfies Record<CorsProbe['saw'], string>;

function drawProbes(probes: readonly CorsProbe[]): HTMLElement {
  return element(
    'details',
    { class: 'fix' },
    element('summary', {}, `What was asked to find out: ${probes.length} requests without a credential`),
    element(
      'ul',
      { class: 'probes' },
      ...probes.map(({ request, sent, saw, status }) =>
        element(
          'li',
          {},
          element('code', {}, toVisible(sent === null ? request : `${request} with ${sent}`)),
          ` ${status === null ? saws[saw] : status}`,
        ),
      ),
    ),
  );
}
