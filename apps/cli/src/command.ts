/**
 * The command in this process.
 *
 * Rules of this file: what other programs ask for, at each press of TAB and before each pull, goes past the tree of commands.
 */

import { runInProcess } from './process.ts';
import { exitCode } from './report/exit-code.ts';
import type { Surroundings } from './surroundings.ts';

/** `reg`, with the arguments of this process. */
export function runCommand(): void {
  runInProcess((surroundings, args) => run(args, surroundings));
}

/** `docker-credential-reg`: `reg credential`, with the two exit codes that Docker's protocol knows. */
export function runCredentialHelper(): void {
  runInProcess(async (surroundings, args) => {
    const code = await run(['credential', ...args], surroundings);
    return code === exitCode.ok ? code : exitCode.unexpected;
  });
}

async function run(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const [first, second, ...rest] = args;
  if (first === '__complete' && second === '--') return answerShell(rest, surroundings);
  if (first === 'credential' && second === 'get' && rest.length === 0) return getCredential(surroundings);
  const { program } = await import('./program.ts');
  return program(surroundings)(args);
}

/** `reg credential get` without options. The protocol of credential helpers knows two exit codes. */
async function getCredential(surroundings: Surroundings): Promise<number> {
  try {
    const { credential } = await import('./commands/credential.ts');
    const options = { verbose: 0, color: 'auto', input: true } as const;
    return (await credential('get', options, surroundings)) ?? exitCode.ok;
  } catch (error) {
    const { report } = await import('./report/report.ts');
    const help = 'reg credential get --help';
    report(error, { help, args: ['credential', 'get'] }, surroundings);
    return exitCode.unexpected;
  }
}

/** `reg __complete -- words…`, at each press of TAB: a candidate a line, and nothing else, whatever happens. */
async function answerShell(words: readonly string[], surroundings: Surroundings): Promise<number> {
  try {
    const { complete } = await import('./completion/complete.ts');
    surroundings.stdout.write((await complete(words, surroundings)).map((line) => `${line}\n`).join(''));
  } catch {
    // The shell has nothing to show it on.
  }
  return exitCode.ok;
}
