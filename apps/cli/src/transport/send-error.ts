/**
 * Why there is no response: where it ended, and by what code.
 *
 * Rules of this file: one class for every way a transport can fail; the phase is a fact of the transport's own, the code the
 * platform's, and the message one line.
 */

import type { NetworkPhase } from '@reg/core';

export class SendError extends Error {
  override readonly name = 'SendError';
  readonly phase: NetworkPhase;
  readonly code: string;

  constructor(phase: NetworkPhase, code: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.phase = phase;
    this.code = code;
  }

  /** What was thrown, as one of these; one of these stays as it is. Errors of `@reg/node` know their phase. */
  static from(error: unknown, phase: NetworkPhase): SendError {
    if (error instanceof SendError) return error;
    return new SendError(phaseOf(error) ?? phase, codeOf(error), messageOf(error), error);
  }
}

const phases: readonly NetworkPhase[] = ['lookup', 'connect', 'tls', 'send', 'head', 'body'];

function phaseOf(error: unknown): NetworkPhase | undefined {
  const named = error instanceof Error && 'phase' in error ? error.phase : undefined;
  return phases.find((phase) => phase === named);
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'ERR_UNKNOWN';
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Several addresses were tried: the error that holds theirs says nothing itself.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  // OpenSSL's messages are lines of addresses and source files around this one word.
  if ('reason' in error && typeof error.reason === 'string') return error.reason;
  return error.message.trim();
}
