/**
 * Progress of what takes long.
 *
 * Rules of this file: drawn on stderr, on a terminal that can erase a line, and nowhere else; only of what is not done after
 * 300 ms; gone without a trace when it is, or when the command is stopped. With `-v` there are lines to see in its place,
 * with `-q` nothing.
 */

import { toVisible } from '@reg/core';
import type { CommonOptions } from '../registry/options.ts';
import type { Surroundings } from '../surroundings.ts';

/** Something that is under way. */
export interface Running {
  /** So many bytes more are done. */
  advance(bytes: number): void;
  end(): void;
}

export interface Progress {
  /**
   * @param label what is under way, in a few words; what a peer wrote in it is made visible here
   * @param total bytes, where they are known
   */
  start(label: string, total?: number): Running;
}

/** What is faster is not worth a flicker. */
const DELAY_MS = 300;

const FRAME_MS = 100;

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'] as const;

const unseen: Running = { advance() {}, end() {} };

/** How progress is shown with these options. */
export function progressFor(surroundings: Surroundings, options: CommonOptions): Progress {
  const { stderr, env } = surroundings;
  const seen =
    stderr.isTTY === true && env['TERM'] !== 'dumb' && options.quiet !== true && (options.verbose ?? 0) === 0;
  return { start: seen ? (label, total) => drawn(toVisible(label), total, surroundings) : () => unseen };
}

function drawn(label: string, total: number | undefined, { stderr, signal }: Surroundings): Running {
  let done = 0;
  let frame = 0;
  let timer: NodeJS.Timeout | undefined;
  const draw = (): void => {
    const line = renderProgress({ label, done, total, frame: frame++ }, stderr.columns ?? 80);
    // To the first column, the line, and nothing behind it.
    stderr.write(`\r${line}\u001b[K`);
    timer = setTimeout(draw, FRAME_MS).unref();
  };
  const end = (): void => {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
    if (frame > 0) stderr.write('\r\u001b[K');
    frame = 0;
  };
  timer = setTimeout(draw, DELAY_MS).unref();
  signal.addEventListener('abort', end, { once: true });
  return {
    advance(bytes) {
      done += bytes;
    },
    end,
  };
}

interface Drawn {
  readonly label: string;
  readonly done: number;
  readonly total: number | undefined;
  readonly frame: number;
}

/** One line, narrower than the terminal: one that is as wide goes on in the next, which nobody erases. */
function renderProgress({ label, done, total, frame }: Drawn, columns: number): string {
  const spinner = frames[frame % frames.length] ?? '';
  const room = Math.max(columns - 1, 0);
  const amount = amountOf(done, total);
  const name = label.slice(0, Math.max(room - amount.length - 2, 0));
  return `${spinner} ${name}${amount}`.slice(0, room);
}

function amountOf(done: number, total: number | undefined): string {
  if (total !== undefined && total > 0) {
    const percent = Math.floor((Math.min(done, total) / total) * 100);
    return `  ${bytesText(done)} of ${bytesText(total)}, ${percent} %`;
  }
  return done > 0 ? `  ${bytesText(done)}` : '';
}

const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** In powers of a thousand, as registries show sizes. */
function bytesText(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1);
  const amount = bytes / 1000 ** power;
  return `${power === 0 ? amount : amount.toFixed(1)} ${units[power]}`;
}
