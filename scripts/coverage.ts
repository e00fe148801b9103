// A threshold holds of an empty report too. This asserts that the coverage report is of every source file of the core.

import { globSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const { total, ...files } = JSON.parse(readFileSync(join(root, 'coverage/coverage-summary.json'), 'utf8'));
const reported = new Set(Object.keys(files).map((path) => relative(root, path)));
const sources = globSync('packages/core/src/**/*.ts', { cwd: root }).filter(
  (path) => !path.endsWith('.d.ts'),
);

const missing = sources.filter((path) => !reported.has(path));
for (const path of missing) console.error(`not in the coverage report: ${path}`);
console.log(
  `core: ${reported.size} files, ${total.branches.covered} of ${total.branches.total} branches covered`,
);
process.exit(missing.length === 0 && total.branches.total > 0 ? 0 : 1);
