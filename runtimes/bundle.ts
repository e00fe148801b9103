/**
 * The guests as single modules, from the packages as they are built.
 *
 * Rules of this file: one file for each way to be started, the same in every runtime that is started so; nothing is bundled for a
 * platform, so an import of Node's in what is to run anywhere fails here.
 */

import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Where the bundles are. */
export const dist = here('dist');

/** Writes `dist/{process,process-node,worker,page}.js`. */
export async function bundle(): Promise<void> {
  await build({
    entryPoints: ['process', 'process-node', 'worker', 'page'].map((name) => here(`guest/${name}.ts`)),
    outdir: dist,
    bundle: true,
    format: 'esm',
    platform: 'neutral',
    target: 'es2023',
    // It brings undici, which is Node's alone.
    external: ['@reg/node'],
    logLevel: 'warning',
  });
}
