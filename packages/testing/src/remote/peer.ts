/**
 * Two ends of a channel that ask each other to perform operations.
 *
 * Rules of this file: no Node imports, since both ends are made of it and one runs anywhere. Every message is one JSON text.
 * What cannot be read, names no operation or answers nothing that was asked breaks the connection, and a broken or ended one
 * rejects whatever waits for an answer and whatever is asked later: nothing hangs, and nothing is passed over in silence.
 *
 *     {"ask":7,"operation":"read","argument":{"call":3}}
 *     {"answer":7,"value":"aGVsbG8="}      or      {"answer":7,"error":{…}}
 *     {"broken":"unknown operation 'reed'"}
 */

import { decodeError, encodeError, type RemoteError } from './error.ts';

/** What carries texts both ways, each whole and in order: a WebSocket, a message port, a pipe with lines. */
export interface Channel {
  send(text: string): void;
  /** Says who hears the texts of the other end, and that no more will come. Called once, before anything is sent. */
  listen(hear: (text: string) => void, ended: (why: string) => void): void;
}

/** Operations by name, each with one argument and an answer that JSON can carry. */
export type Operations<T> = { readonly [K in keyof T]: (argument: never) => Promise<unknown> };

type Argument<T, K extends keyof T> = T[K] extends (argument: infer A) => unknown ? A : never;
type Answer<T, K extends keyof T> = T[K] extends (argument: never) => Promise<infer A> ? A : never;

/** Asks the other end. Rejects with what the operation rejected with there, or when the connection broke or ended. */
export type Ask<Theirs> = <K extends keyof Theirs & string>(
  operation: K,
  argument: Argument<Theirs, K>,
) => Promise<Answer<Theirs, K>>;

type Message =
  | { readonly ask: number; readonly operation: string; readonly argument: unknown }
  | { readonly answer: number; readonly value: unknown }
  | { readonly answer: number; readonly error: RemoteError }
  | { readonly broken: string };

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** Performs `mine` for the other end of `channel`. `print` shows an error as this runtime's console would. */
export function connectPeer<Theirs>(
  channel: Channel,
  mine: Operations<object>,
  print?: (value: unknown) => string,
): Ask<Theirs> {
  const operations = new Map<string, (argument: never) => Promise<unknown>>(Object.entries(mine));
  const waiting = new Map<number, Waiting>();
  let asked = 0;
  let over: Error | null = null;

  const send = (message: Message) => channel.send(JSON.stringify(message));

  const end = (why: string) => {
    over ??= new Error(`the bridge to the other runtime is over: ${why}`);
    for (const { reject } of waiting.values()) reject(over);
    waiting.clear();
  };

  const breakOff = (why: string) => {
    if (over !== null) return;
    end(why);
    send({ broken: why });
  };

  const perform = async (id: number, operation: string, argument: unknown) => {
    const act = operations.get(operation);
    if (act === undefined) return breakOff(`unknown operation '${operation}'`);
    const message: Message = await act(argument as never).then(
      (value) => ({ answer: id, value: value ?? null }),
      (error: unknown) => ({ answer: id, error: encodeError(error, print) }),
    );
    if (over === null) send(message);
  };

  channel.listen((text) => {
    if (over !== null) return;
    const message = messageOf(text);
    if (message === null) return breakOff(`not a message: ${text.slice(0, 200)}`);
    if ('broken' in message) return end(`the other end says: ${message.broken}`);
    if ('ask' in message) {
      perform(message.ask, message.operation, message.argument).catch((error) => breakOff(String(error)));
      return;
    }
    const waiter = waiting.get(message.answer);
    if (waiter === undefined) return breakOff(`an answer to ${message.answer}, which was not asked`);
    waiting.delete(message.answer);
    if ('error' in message) waiter.reject(decodeError(message.error));
    else waiter.resolve(message.value);
  }, end);

  return (operation, argument) =>
    new Promise((resolve, reject) => {
      if (over !== null) return reject(over);
      asked += 1;
      // Both ends are built from the same declarations: what an operation answers there is what it is declared to answer.
      waiting.set(asked, { resolve: (value) => resolve(value as Answer<Theirs, typeof operation>), reject });
      send({ ask: asked, operation, argument });
    });
}

function messageOf(text: string): Message | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  if ('broken' in value && typeof value.broken === 'string') return { broken: value.broken };
  if ('ask' in value && typeof value.ask === 'number') {
    if (!('operation' in value && typeof value.operation === 'string' && 'argument' in value)) return null;
    return { ask: value.ask, operation: value.operation, argument: value.argument };
  }
  if (!('answer' in value && typeof value.answer === 'number')) return null;
  if ('error' in value) return { answer: value.answer, error: value.error as RemoteError };
  return 'value' in value ? { answer: value.answer, value: value.value } : null;
}
