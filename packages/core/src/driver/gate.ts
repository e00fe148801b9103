/**
 * One request learns an unknown origin's challenge, the others wait for its head.
 *
 * Rules of this file: only a GET or HEAD leads, since its head comes soon; nobody waits for a leader longer than two seconds
 * before the next one leads; a leader whose head has come, or that failed to get one, ends the wait of all; one that was
 * aborted hands over. So a hundred cold calls cost one 401, and one stuck connection costs two.
 */

import type { AbortSignalLike, Sleep } from './port.ts';

const patienceMs = 2_000;

interface Leader {
  readonly ended: Promise<'head' | 'aborted'>;
  readonly end: (how: 'head' | 'aborted') => void;
}

export class Gate {
  readonly #leaders = new Map<string, Leader>();
  readonly #sleep: Sleep;

  constructor(sleep: Sleep) {
    this.#sleep = sleep;
  }

  /** Whether somebody is finding out about `origin`. */
  isBusy(origin: string): boolean {
    return this.#leaders.has(origin);
  }

  /** Leads for `origin`; the returned function ends it. */
  lead(origin: string): (how: 'head' | 'aborted') => void {
    let settle: (how: 'head' | 'aborted') => void = () => {};
    const ended = new Promise<'head' | 'aborted'>((resolve) => {
      settle = resolve;
    });
    const leader: Leader = {
      ended,
      end: (how) => {
        if (this.#leaders.get(origin) === leader) this.#leaders.delete(origin);
        settle(how);
      },
    };
    this.#leaders.set(origin, leader);
    return leader.end;
  }

  /**
   * Waits for the leader of `origin`.
   *
   * @returns `go` when its head has come, `again` when it was aborted or took too long: somebody else must lead.
   */
  async wait(origin: string, signal: AbortSignalLike | undefined): Promise<'go' | 'again'> {
    const leader = this.#leaders.get(origin);
    if (leader === undefined) return 'again';
    const controller = new AbortController();
    const stop = (): void => controller.abort();
    signal?.addEventListener('abort', stop);
    if (signal?.aborted) stop();
    const waited = await Promise.race([leader.ended, this.#sleep(patienceMs, controller.signal)]);
    signal?.removeEventListener('abort', stop);
    stop();
    if (waited === 'head') return 'go';
    // Too slow: it keeps its own request, and no longer leads.
    if (waited === undefined && !signal?.aborted && this.#leaders.get(origin) === leader)
      this.#leaders.delete(origin);
    return 'again';
  }
}
