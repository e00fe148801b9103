/**
 * Questions to the user.
 *
 * Rules of this file: asked on stderr and answered on stdin, and only where both are the terminal of somebody who may be
 * asked; else it is an error that names the flag to use, and nothing waits for an answer that cannot come. A hidden answer
 * is never shown, and the terminal is as it was however the question ends.
 */

import { StringDecoder } from 'node:string_decoder';
import { toVisible } from '@reg/core';
import { Complaint } from '../report/complaint.ts';
import { exitCode } from '../report/exit-code.ts';
import { type Input, Stop, type Surroundings, stopCode } from '../surroundings.ts';

export interface Asking {
  /** False with `--no-input`. */
  readonly input?: boolean | undefined;
  /** What gives the answer without a question, as it is written: `--password-stdin`. */
  readonly flag: string;
  /** A command that uses it. */
  readonly hint?: string;
}

export interface AskOptions extends Asking {
  /** Do not show what is typed. */
  readonly hidden?: boolean;
}

/**
 * Asks for one line.
 *
 * @param question one line that ends in a colon; what a peer wrote in it is made visible here
 * @returns what was typed, perhaps nothing. Rejects with a `Complaint` where nobody can be asked or the input ends before an
 *   answer, with `Stop(130)` on Ctrl-C, and with the signal's reason.
 */
export async function ask(
  question: string,
  surroundings: Surroundings,
  options: AskOptions,
): Promise<string> {
  const line = await lineFor(`${question} `, surroundings, options);
  if (line === null) throw complaint('the input ended before an answer', options);
  return line;
}

/**
 * Asks for a yes or a no; whatever is not clearly a yes is a no. Rejects as `ask` does, but the end of the input is a no.
 *
 * @param question without a question mark's options: those are added
 */
export async function confirm(
  question: string,
  surroundings: Surroundings,
  options: Asking,
): Promise<boolean> {
  const line = await lineFor(`${question} [y/N] `, surroundings, options);
  return /^(?:y|yes)$/i.test(line?.trim() ?? '');
}

async function lineFor(
  question: string,
  { stdin, stderr, signal }: Surroundings,
  options: AskOptions,
): Promise<string | null> {
  if (options.input === false) throw complaint('there is a question to ask, and --no-input', options);
  const { hidden = false } = options;
  const canHide = stdin.setRawMode !== undefined;
  if (stdin.isTTY !== true || stderr.isTTY !== true || (hidden && !canHide)) {
    throw complaint('there is a question to ask, and no terminal to ask it on', options);
  }
  signal.throwIfAborted();
  // Before the question: what is typed as soon as it shows is hidden too.
  if (hidden) stdin.setRawMode?.(true);
  let answer: Answer | null = null;
  try {
    stderr.write(toVisible(question));
    answer = await readLine(stdin, signal, hidden);
    return answer.text;
  } finally {
    if (hidden) stdin.setRawMode?.(false);
    // What comes next begins a line, as it does where the line end that was typed is shown.
    if (hidden || answer?.entered !== true) stderr.write('\n');
  }
}

function complaint(what: string, { flag, hint }: Asking): Complaint {
  return new Complaint(exitCode.usage, `${what}: use ${flag}`, {
    code: 'no-input',
    ...(hint === undefined ? {} : { hint }),
  });
}

interface Answer {
  /** Without its line end; `null` when the input ended before there was any of it. */
  readonly text: string | null;
  /** Whether it was ended by a line end. */
  readonly entered: boolean;
}

/**
 * One line from a terminal. What came with it, behind its end, is dropped: a pasted text shall not answer the next question.
 *
 * @param raw whether the terminal leaves the editing of the line and Ctrl-C to whoever reads it
 */
function readLine(stdin: Input, signal: AbortSignal, raw: boolean): Promise<Answer> {
  return new Promise((resolve, reject) => {
    // A character may come in two pieces.
    const decoder = new StringDecoder('utf8');
    const line = new Line(raw);
    const settle = (how: () => void): void => {
      stdin.off('data', onData).off('end', onEnd).off('error', onError);
      signal.removeEventListener('abort', onAbort);
      // What is read from keeps the process.
      stdin.pause();
      how();
    };
    const onData = (chunk: Uint8Array | string): void => {
      const end = line.add(typeof chunk === 'string' ? chunk : decoder.write(Buffer.from(chunk)));
      if (end === 'interrupted') settle(() => reject(new Stop(stopCode.interrupted)));
      else if (end === 'entered') settle(() => resolve({ text: line.text, entered: true }));
      else if (end === 'closed') onEnd();
    };
    const onEnd = (): void => settle(() => resolve({ text: line.text || null, entered: false }));
    const onError = (error: Error): void => settle(() => reject(error));
    const onAbort = (): void => settle(() => reject(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
    stdin.on('data', onData).on('end', onEnd).on('error', onError).resume();
    if (stdin.readableEnded) onEnd();
  });
}

type End = 'interrupted' | 'entered' | 'closed';

/** What a terminal does with a line while it is typed, for one that does not (termios(3): VINTR, VEOF, VERASE, VKILL, VWERASE). */
class Line {
  readonly #raw: boolean;
  #characters: string[] = [];
  /** What came of an escape sequence: arrow keys, and what a terminal puts around a pasted text. */
  #escape: string | null = null;

  constructor(raw: boolean) {
    this.#raw = raw;
  }

  get text(): string {
    return this.#characters.join('');
  }

  /** Adds what was typed, up to what ends the line, if there is such a thing in it. */
  add(typed: string): End | null {
    for (const character of typed) {
      const end = this.#take(character);
      if (end !== null) return end;
    }
    return null;
  }

  #take(character: string): End | null {
    if (this.#escape !== null) {
      this.#skip(character);
      return null;
    }
    switch (character) {
      case '\r':
      case '\n':
        return 'entered';
      case '\u001b':
        this.#escape = '';
        return null;
      default:
        return this.#raw ? this.#edit(character) : this.#push(character);
    }
  }

  #edit(character: string): End | null {
    switch (character) {
      case '\u0003':
        return 'interrupted';
      case '\u0004':
        return 'closed';
      case '\u0008':
      case '\u007f':
        this.#characters.pop();
        return null;
      case '\u0015':
        this.#characters = [];
        return null;
      default:
        return this.#push(character);
    }
  }

  #push(character: string): null {
    // No other control character is part of an answer, but a tab, which may be pasted.
    if (character >= ' ' || character === '\t') this.#characters.push(character);
    return null;
  }

  /** ECMA-48 §5.4: `ESC [`, parameters, and a letter or `~`; of others the one character behind the `ESC`. */
  #skip(character: string): void {
    const begun = this.#escape === '' && (character === '[' || character === 'O');
    const inside = this.#escape !== '' && (character < '@' || character > '~');
    this.#escape = begun || inside ? `${this.#escape}${character}` : null;
  }
}
