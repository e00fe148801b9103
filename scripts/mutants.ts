/**
 * Whether the model test would notice: each patch in `mutants/` breaks one rule of the machines, on a copy, and passes only if
 * the test of that rule fails and no other rule's does, but those its header grants.
 *
 * A patch begins with `Rule: N`, which is the test `rule N: …` of packages/core/test/model.test.ts, may go on with `Also: N, M`
 * (rules that the same fault breaks by its nature), and a sentence. `node scripts/mutants.ts 03 07` runs those alone. Each run
 * of the test is one thread, so two copies keep two cores busy.
 */

import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const run = promisify(execFile);

interface Mutant {
  readonly name: string;
  readonly rule: number;
  readonly also: readonly number[];
}

interface Verdict {
  readonly killed: boolean;
  readonly word: string;
}

const chosen = process.argv.slice(2);
const names = (await readdir(join(root, 'mutants')))
  .filter(
    (name) => name.endsWith('.patch') && (chosen.length === 0 || chosen.some((c) => name.startsWith(c))),
  )
  .sort();
if (names.length === 0) throw new Error('there is no such mutant');

const copies = await Promise.all(Array.from({ length: 2 }, () => mkdtemp(join(tmpdir(), 'mutants-'))));
let survived = 0;
try {
  await Promise.all(copies.map(copyCore));
  const [first = ''] = copies;
  const clean = await failingRules(first);
  if (clean.length > 0) throw new Error(`the rules ${clean.join(', ')} fail without any mutant`);
  const left = names.values();
  await Promise.all(
    copies.map(async (copy) => {
      for (const name of left) {
        const mutant = await read(name);
        const { killed, word } = await judge(mutant, copy);
        if (!killed) survived += 1;
        console.log(`${killed ? 'killed  ' : 'SURVIVED'} ${mutant.name}: rule ${mutant.rule} ${word}`);
      }
    }),
  );
} finally {
  await Promise.all(copies.map((copy) => rm(copy, { recursive: true })));
}
console.log(`${names.length - survived} mutants killed, ${survived} survived`);
process.exitCode = survived === 0 ? 0 : 1;

async function judge(mutant: Mutant, copy: string): Promise<Verdict> {
  // One line of context is enough to find the place: what is around it changes without changing what is broken.
  const apply = ['apply', '-C1', '--recount'];
  const patch = join(root, 'mutants', mutant.name);
  try {
    await run('git', [...apply, patch], { cwd: copy });
  } catch {
    return { killed: false, word: 'cannot fail: its patch no longer applies, and must be made anew' };
  }
  try {
    const failing = await failingRules(copy);
    const unrelated = failing.filter((rule) => rule !== mutant.rule && !mutant.also.includes(rule));
    if (!failing.includes(mutant.rule)) {
      return { killed: false, word: `did not fail (failing: ${failing.join(', ') || 'none'})` };
    }
    if (unrelated.length > 0) return { killed: false, word: `failed, and so did ${unrelated.join(', ')}` };
    return { killed: true, word: 'failed' };
  } finally {
    await run('git', [...apply, '--reverse', patch], { cwd: copy });
  }
}

async function read(name: string): Promise<Mutant> {
  const text = await readFile(join(root, 'mutants', name), 'utf8');
  const [first = '', second = ''] = text.split('\n');
  const rule = Number(first.replace('Rule: ', ''));
  if (!first.startsWith('Rule: ') || !Number.isInteger(rule))
    throw new Error(`${name} does not name its rule`);
  const also = second.startsWith('Also: ') ? second.slice(6).split(',').map(Number) : [];
  return { name, rule, also };
}

/** The core with the model test, and a configuration that runs nothing else. */
async function copyCore(to: string): Promise<void> {
  const core = join('packages', 'core');
  for (const part of ['src', 'model', 'package.json', join('test', 'model.test.ts')]) {
    await cp(join(root, core, part), join(to, core, part), { recursive: true });
  }
  await symlink(join(root, 'node_modules'), join(to, 'node_modules'));
  await writeFile(
    join(to, 'vitest.config.ts'),
    `export default { test: { root: 'packages/core', include: ['test/model.test.ts'] } };\n`,
  );
}

/** The numbers of the rules whose test fails on the short plan. */
async function failingRules(at: string): Promise<number[]> {
  const report = join(at, 'report.json');
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const environment = { ...process.env, REG_MODEL: 'short' };
  // It exits with 1 when a test fails, which is what a mutant is for: the report decides.
  await run(process.execPath, [vitest, 'run', '--reporter=json', `--outputFile=${report}`], {
    cwd: at,
    env: environment,
    maxBuffer: 1 << 28,
  }).catch(() => {});
  const { testResults } = parseReport(await readFile(report, 'utf8'));
  await rm(report);
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  const rules = tests.filter(({ title }) => title.startsWith('rule '));
  if (rules.length !== 11) throw new Error(`the model test ran ${rules.length} rules of 11`);
  return rules
    .filter(({ status }) => status === 'failed')
    .map(({ title }) => Number.parseInt(title.slice(5), 10));
}

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly title: string; readonly status: string }[];
  }[];
}

function parseReport(text: string): Report {
  return JSON.parse(text);
}
