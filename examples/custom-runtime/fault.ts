/** Why there is no response, as the core wants to hear it: where it ended, and a code. */

import type { NetworkPhase } from '@reg/core';

export class SocketFault extends Error {
  override readonly name = 'SocketFault';
  readonly phase: NetworkPhase;
  readonly code: string;

  constructor(phase: NetworkPhase, code: string, message: string) {
    super(message);
    this.phase = phase;
    this.code = code;
  }
}
