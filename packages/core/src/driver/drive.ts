/**
 * The loop that runs a machine.
 *
 * Rules of this file: the machine decides, `perform` does. An answer that is there at once is stepped at once, so that a
 * request with everything in memory is sent in the tick it was asked for.
 */

type Waiting<S> = Extract<S, { readonly awaiting: unknown }>;
type Ended<S> = Exclude<S, { readonly awaiting: unknown }>;

/**
 * Steps `state` with the answers of `perform` until it waits for nothing more.
 *
 * @param step the machine: `step` or `stepExchange`
 * @param perform does what `state.awaiting` asks and answers; it rejects only to end the run
 */
export async function drive<S extends object, A>(
  state: S,
  step: (state: S, answer: A) => S,
  perform: (state: Waiting<S>) => A | Promise<A>,
): Promise<Ended<S>> {
  let current: S = state;
  while (isWaiting(current)) {
    const answer = perform(current);
    current = step(current, answer instanceof Promise ? await answer : answer);
  }
  return current as Ended<S>;
}

/** Whether a state still waits for an answer. */
export function isWaiting<S extends object>(state: S): state is Waiting<S> {
  return 'awaiting' in state;
}
