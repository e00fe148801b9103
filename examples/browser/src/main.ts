/**
 * The page: what is asked becomes a run, what a run tells becomes the diagram.
 *
 * Rules of this file: one run at a time, and only the latest writes; it lasts until it is known why it failed, and can be stopped
 * until then. The page's URL holds what is asked for, `?image=…`, and never a credential; what stands behind its `#` is a place on
 * the page or is taken away unread, since other sites return tokens there. `data-state` on the body is where the page stands:
 * empty, running, done or failed; `data-settled` is there once nothing more comes.
 */

import { toVisible } from '@reg/core';
import { monotonicNow } from '@reg/core/driver';
import { type Ask, addressOf, linkIn, readForm } from './ask.ts';
import { counted, outcomeOf } from './outcome.ts';
import { type Ending, findOut, isUntold, policyOf, run } from './run.ts';
import { Secrets } from './secrets.ts';
import { lastOf, type RunEvent, tellStory } from './story.ts';
import { drawDiagnosis } from './view/cors.ts';
import { Diagram } from './view/diagram.ts';
import { byId } from './view/element.ts';
import { drawEmpty } from './view/empty.ts';
import { readInputs, showFault, startForm } from './view/form.ts';
import { drawOutcome } from './view/outcome.ts';
import { startReader } from './view/reader.ts';

const form = byId('ask', HTMLFormElement);
const runButton = byId('run', HTMLButtonElement);
const stopButton = byId('stop', HTMLButtonElement);
const progress = byId('progress', HTMLElement);
const outcome = byId('outcome', HTMLElement);
const empty = byId('empty', HTMLElement);
const diagram = new Diagram(byId('rows', HTMLOListElement));

const secrets = new Secrets();

let latest: AbortController | null = null;

function setState(state: 'empty' | 'running' | 'done' | 'failed'): void {
  document.body.dataset['state'] = state;
}

/** Whether anything is under way that can be stopped. */
function setBusy(busy: boolean): void {
  const [shown, gone] = busy ? [stopButton, runButton] : [runButton, stopButton];
  // The button that has the focus must not be the one that goes.
  const hadFocus = document.activeElement === gone;
  shown.hidden = false;
  gone.hidden = true;
  if (hadFocus) shown.focus();
}

async function start(ask: Ask): Promise<void> {
  const controller = new AbortController();
  const isLatest = (): boolean => latest === controller;
  latest?.abort();
  latest = controller;
  history.replaceState(null, '', addressOf(ask.link));
  byId('registry-host', HTMLElement).textContent = toVisible(new URL(ask.url).host);
  byId('authority-host', HTMLElement).textContent = '';
  diagram.clear();
  outcome.hidden = true;
  empty.hidden = true;
  delete document.body.dataset['settled'];
  setState('running');
  setBusy(true);

  secrets.ask(ask.url);
  const events: RunEvent[] = [];
  const policy = policyOf(ask);
  const ending = await run(ask, controller.signal, {
    secret: (secret, username) => secrets.add(secret, username),
    event: (event) => {
      if (!isLatest()) return;
      events.push(event);
      const story = tellStory(events, policy, secrets);
      diagram.draw(story.rows);
      byId('authority-host', HTMLElement).textContent = story.authority ?? '';
      progress.textContent = lastOf(story);
    },
    progress: (tags) => {
      if (isLatest()) progress.textContent = `${counted(tags)} read`;
    },
  });
  if (!isLatest()) return;
  events.push({ type: 'end', at: monotonicNow() });
  diagram.draw(tellStory(events, policy, secrets).rows);
  finish(ask, ending);
  if (navigator.onLine && isUntold(ending)) {
    progress.textContent = 'Finding out why';
    const diagnosis = await findOut(ask, controller.signal);
    if (!isLatest()) return;
    progress.textContent = diagnosis?.summary ?? 'Stopped';
    if (diagnosis !== null) outcome.append(drawDiagnosis(diagnosis));
  }
  setBusy(false);
  document.body.dataset['settled'] = '';
}

function finish(ask: Ask, ending: Ending): void {
  const { tone, title } = outcomeOf(ending);
  drawOutcome(outcome, ending, ask.title, secrets);
  outcome.style.setProperty('--wait', `${Math.round(diagram.left)}ms`);
  progress.textContent = title;
  setState(tone === 'bad' ? 'failed' : 'done');
}

function showConnection(): void {
  byId('offline', HTMLElement).hidden = navigator.onLine;
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  const asked = readForm(readInputs());
  showFault(asked.ok ? null : asked);
  if (asked.ok) void start(asked.ask);
});
stopButton.addEventListener('click', () => latest?.abort());
window.addEventListener('online', showConnection);
window.addEventListener('offline', showConnection);

/** Takes everything out of the page's URL but what may stand there. Returns what it asks for, or `''`. */
function tidyAddress(): string {
  const { search, hash, pathname } = window.location;
  const link = linkIn(search);
  const place = hash === '#handshake' || hash === '#challenge' ? hash : '';
  const tidy = addressOf(link) + place;
  if (search + hash !== tidy) history.replaceState(null, '', pathname + tidy);
  return link;
}

byId('image', HTMLInputElement).value = tidyAddress();
window.addEventListener('hashchange', tidyAddress);
window.addEventListener('popstate', tidyAddress);

startForm(form);
startReader();
drawEmpty(empty);
showConnection();
setState('empty');
