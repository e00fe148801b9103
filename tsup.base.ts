// What every library package builds: ESM with declarations, one file per entry and shared chunks, dependencies left out.

import type { Options } from 'tsup';

/** The tsup options of a library, from its entries (name of the file in dist → source). */
export function library(entry: Record<string, string>, platform: 'neutral' | 'node'): Options {
  return {
    entry,
    platform,
    format: ['esm'],
    target: 'es2023',
    dts: true,
    clean: true,
    removeNodeProtocol: false,
  };
}
