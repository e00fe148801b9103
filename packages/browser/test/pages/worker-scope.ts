/** What scripts of workers find that those of pages do not: the types are a page's, since one script cannot have both. */

export interface ExtendableEvent extends Event {
  waitUntil(work: Promise<unknown>): void;
}

export interface FetchEvent extends ExtendableEvent {
  readonly request: Request;
  respondWith(response: Response | Promise<Response>): void;
}

declare global {
  interface WindowEventMap {
    install: ExtendableEvent;
    activate: ExtendableEvent;
    fetch: FetchEvent;
    connect: MessageEvent;
  }
  function skipWaiting(): Promise<void>;
  var clients: { claim(): Promise<void> };
}

/** Makes this service worker the one of the page that registers it, without a reload. */
export function takeOver(): void {
  addEventListener('install', (event) => event.waitUntil(skipWaiting()));
  addEventListener('activate', (event) => event.waitUntil(clients.claim()));
}
