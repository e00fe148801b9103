import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** Packages are resolved to their sources, so that no test needs a build. `ssr` is the one Node projects obey. */
const ssr = { resolve: { conditions: ['@reg/source', 'module', 'node', 'development|production'] } };

/** Fails a test file when a planted secret turned up where it should not have. */
const canary = fileURLToPath(new URL('packages/testing/src/canary.ts', import.meta.url));

/** Ends what hangs, on a machine that is busy with other things as well; how long anything takes is not tested. */
const testTimeout = 30_000;

/** The folder of another undici than the workspace's, from `scripts/undici-matrix.ts`. */
// biome-ignore lint/suspicious/noUndeclaredEnvVars: turbo runs no tests
const undici = process.env['REG_UNDICI'];

/** Steady calls for some time, which other tests would disturb: it runs after them, alone. */
const soak = 'test/soak.test.ts';

function project(name: string, root: string, include = 'test/**/*.test.ts') {
  const exclude = include === soak ? [] : [soak];
  const sequence = { groupOrder: include === soak ? 1 : 0 };
  const test = { name, root, include: [include], exclude, sequence, setupFiles: [canary], testTimeout };
  return { ssr, test };
}

export default defineConfig({
  test: {
    projects: [
      project('core', 'packages/core'),
      { ...project('node', 'packages/node'), resolve: { alias: undici === undefined ? {} : { undici } } },
      project('soak', 'packages/node', soak),
      project('browser', 'packages/browser'),
      project('testing', 'packages/testing'),
      project('examples', 'examples', '*/test/**/*.test.ts'),
      project('cli', 'apps/cli'),
      project('workspace', '.'),
    ],
    coverage: {
      provider: 'v8',
      // Relative to each project's root: a path from here would match nothing, and the threshold would hold of nothing.
      include: ['src/**/*.ts'],
      exclude: ['**/*.d.ts'],
      reporter: ['text', 'json-summary'],
      thresholds: { branches: 100 },
    },
  },
});
