/**
 * A diagnosis for people, and for scripts.
 *
 * Rules of this file: pure; texts were made visible before. What is to be copied is never broken.
 */

import { jsonDocument } from '../report/json.ts';
import type { Paint } from '../terminal/paint.ts';
import { wrapped } from '../terminal/wrap.ts';
import { checkIds, type Diagnosis, type Finding } from './finding.ts';

export interface Page {
  readonly paint: Paint;
  /** Columns. */
  readonly width: number;
  /** Whether what was seen is shown of what is good too. */
  readonly evidence: 'all' | 'of faults';
  /** How this is looked at again: `--only` and a check is added to it. */
  readonly again: string;
}

const signs = {
  ok: ['good', '✓'],
  warning: ['meaning', '!'],
  problem: ['bad', '✗'],
  skipped: ['faint', '–'],
} as const;

/** The widest id and what stands around it. */
const INDENT = 2 + Math.max(...checkIds.map((id) => id.length)) + 2;

/** A paragraph is at least this wide, however narrow the terminal. */
const NARROWEST = 20;

/** What a fix is indented by. */
const FIX_INDENT = 7;

export function renderText(diagnosis: Diagnosis, page: Page): string {
  const { checks, problems, warnings, exitCode } = diagnosis;
  const lines = folded(checks).flatMap((finding) => findingLines(finding, page));
  const counts = [
    problems === 0 ? 'no problems' : counted(problems, 'problem'),
    ...(warnings === 0 ? [] : [counted(warnings, 'warning')]),
  ];
  lines.push('', `${counts.join(', ')}. exit ${exitCode}`);
  const faults = checks.filter(({ fix }) => fix !== null);
  faults.sort((a, b) => Number(a.status === 'warning') - Number(b.status === 'warning'));
  // One thing to do is said once, whoever finds that it is to be done.
  const todo = faults.filter(
    ({ fix }, index) => faults.findIndex((other) => other.fix?.text === fix?.text) === index,
  );
  todo.forEach((finding, index) => {
    lines.push('', ...fixLines(finding, index + 1, page));
  });
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

export function renderJson(diagnosis: Diagnosis): string {
  return jsonDocument(diagnosis);
}

type Shown = Pick<Finding, 'status' | 'summary' | 'evidence'> & { readonly id: string };

/** Checks in a row that were skipped for the same reason are one line that says how many. */
function folded(checks: readonly Finding[]): readonly Shown[] {
  const shown: Shown[] = [];
  let count = 1;
  checks.forEach((finding, index) => {
    const { status, summary } = finding;
    const before = checks[index - 1];
    const isSame = status === 'skipped' && before?.status === status && before.summary === summary;
    count = isSame ? count + 1 : 1;
    if (!isSame) {
      shown.push(finding);
      return;
    }
    const id = counted(count, 'check');
    shown.splice(-1, 1, { ...finding, id, summary: summary.replace('it needs', 'they need') });
  });
  return shown;
}

function findingLines(
  { id, status, summary, evidence }: Shown,
  { paint, width, ...page }: Page,
): readonly string[] {
  const [role, sign] = signs[status];
  const room = Math.max(width - INDENT, NARROWEST);
  const [first = '', ...rest] = wrapped(summary, room);
  const indent = ' '.repeat(INDENT);
  const isFault = status === 'problem' || status === 'warning';
  const shown = isFault || page.evidence === 'all' ? evidence : [];
  const text = (line: string): string => (status === 'skipped' ? paint('faint', line) : line);
  return [
    `${paint(role, sign)} ${paint('name', id)}${' '.repeat(INDENT - 2 - id.length)}${text(first)}`,
    ...rest.map((line) => indent + text(line)),
    ...shown.flatMap((line) => broken(line, room).map((part) => indent + paint('faint', part))),
  ];
}

function fixLines({ id, fix }: Finding, number: number, { paint, width, again }: Page): readonly string[] {
  if (fix === null) return [];
  const indent = ' '.repeat(FIX_INDENT);
  const [first = '', ...rest] = wrapped(fix.text, Math.max(width - FIX_INDENT, NARROWEST));
  const label = `fix ${number}:`.padEnd(FIX_INDENT);
  return [
    paint('number', label) + first,
    ...rest.map((line) => indent + line),
    ...(fix.command === null ? [] : [`${indent}${paint('faint', '$')} ${fix.command}`]),
    ...(fix.line === null ? [] : [`${indent}${paint('faint', '+')} ${fix.line}`]),
    `${indent}${paint('faint', `rerun: ${again} --only ${id}`)}`,
  ];
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** As `wrapped`, but a line that was indented to point at something stays as it is. */
function broken(line: string, width: number): readonly string[] {
  return line.startsWith(' ') || line.startsWith('WWW-Authenticate') ? [line] : wrapped(line, width);
}
