/**
 * What the command says when it could not do what it was asked.
 *
 * Rules of this file: one message, what the registry said beside it, and one line that can be run, which is the hint. What came
 * from a peer or the command line is made visible and cut here, so that no caller can forget it. Rendering is pure.
 */

import { type Problem, toVisible } from '@reg/core';
import type { Paint } from '../terminal/paint.ts';
import { wrapped } from '../terminal/wrap.ts';
import { type ExitCode, exitCode, wordOf } from './exit-code.ts';
import { masked } from './masked.ts';

/** A place in a text: UTF-16 units from its start. */
export interface Place {
  readonly text: string;
  readonly position: number;
}

export interface ComplaintDetails {
  /** What went wrong in one stable word, for scripts; without one it is that of the exit code. */
  readonly code?: string;
  /** A command that can be run, perhaps with a `# comment`. */
  readonly hint?: string;
  /** The registry's own words. */
  readonly problems?: readonly Problem[];
  /** Words of a registry or token server that the message has in it. */
  readonly quoted?: readonly Problem[];
  /** Where in the argument it is wrong. */
  readonly place?: Place;
}

export class Complaint extends Error {
  override readonly name = 'Complaint';
  readonly exitCode: ExitCode;
  readonly details: ComplaintDetails;

  constructor(exitCode: ExitCode, message: string, details: ComplaintDetails = {}) {
    super(message);
    this.exitCode = exitCode;
    this.details = details;
  }
}

/** A complaint about the command line. */
export function usage(message: string, hint?: string): Complaint {
  return new Complaint(exitCode.usage, message, hint === undefined ? {} : { hint });
}

/** More than any message of ours, and less than a screen of whatever was quoted in it. */
const LONGEST = 1_200;

/**
 * The lines for stderr.
 *
 * @param hint for a complaint that has none
 * @param width columns to wrap the message at; hints are never wrapped, since they are copied
 */
export function renderComplaint(
  { message, details }: Complaint,
  hint: string,
  paint: Paint,
  width: number,
): string {
  const { problems = [], place } = details;
  const lines = [paint('bad', 'reg: ') + indented(shown(message), width)];
  if (place !== undefined) lines.push(...pointedAt(place));
  for (const { code, message: said } of problems) {
    const words = [code, said].filter((text) => text !== '').join(': ');
    lines.push(INDENT + indented(shown(words), width));
  }
  lines.push(paint('faint', 'hint: ') + hintOf(details, hint));
  return `${lines.join('\n')}\n`;
}

/** What `-o json` prints on stderr in place of lines: see `schemas/error.json`. */
export function complaintJson(complaint: Complaint, hint: string): { readonly error: object } {
  const { exitCode: exit, message, details } = complaint;
  const { code = wordOf(exit), problems = [], quoted = [] } = details;
  const registryErrors = [...problems, ...quoted].map((problem) => ({
    code: shown(problem.code),
    message: shown(problem.message),
  }));
  return {
    error: { code, exit, message: shown(message), hint: hintOf(details, hint), registryErrors },
  };
}

/** A hint is a command: half of one is none. */
function hintOf({ hint = '' }: ComplaintDetails, other: string): string {
  return hint === '' || hint.length > LONGEST ? other : hint;
}

/** As wide as `reg: `. */
const INDENT = '     ';

/** What is shown of an argument on either side of the place that is wrong. */
const AROUND = 32;

function pointedAt({ text, position }: Place): string[] {
  const from = Math.max(0, position - AROUND);
  const before = (from > 0 ? '…' : '') + toVisible(text.slice(from, position));
  const after =
    toVisible(text.slice(position, position + AROUND)) + (position + AROUND < text.length ? '…' : '');
  return [`${INDENT}${before}${after}`, `${INDENT}${' '.repeat(before.length)}^`];
}

function shown(text: string): string {
  return cut(masked(toVisible(text)));
}

function cut(text: string): string {
  if (text.length <= LONGEST) return text;
  return `${text.slice(0, LONGEST)}… (${text.length.toLocaleString('en')} characters)`;
}

/** `text` in lines of at most `width` columns, an indent counted in. */
function indented(text: string, width: number): string {
  return wrapped(text, width - INDENT.length).join(`\n${INDENT}`);
}
