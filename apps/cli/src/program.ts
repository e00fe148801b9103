/**
 * The `reg` command.
 *
 * Rules of this file: it parses. All else is loaded when a command runs or fails, so that `--help` costs a parser and
 * nothing else.
 */

import { type Command, CommanderError } from 'commander';
import { type ExitCode, exitCode } from './report/exit-code.ts';
import type { Surroundings } from './surroundings.ts';
import { commandAt, nameOf } from './tree/find.ts';
import { treeFor } from './tree/root.ts';

/**
 * The command in its surroundings.
 *
 * @returns runs it with the arguments after the program's name, and resolves with its exit code. Never rejects.
 */
export function program(surroundings: Surroundings): (args: readonly string[]) => Promise<number> {
  const { stdout } = surroundings;
  return async (args) => {
    let code: ExitCode = exitCode.ok;
    let unasked = '';
    const page = {
      out: (text: string) => void stdout.write(text),
      err: (text: string) => {
        unasked += text;
      },
    };
    const root = treeFor(args, surroundings, page, (ended) => {
      code = ended;
    });
    try {
      await root.parseAsync(args, { from: 'user' });
      return code;
    } catch (error) {
      // Help and version were asked for and printed.
      if (error instanceof CommanderError && error.exitCode === 0) return exitCode.ok;
      // Options may stand before it, where they do not count.
      const words = args.filter((arg) => !arg.startsWith('-'));
      const { command } = commandAt(root, words);
      const incomplete = error instanceof CommanderError && error.code === 'commander.help';
      if (incomplete && command === root) {
        surroundings.stderr.write(
          `${unasked}\nhint: reg demo   # a whole handshake, without a registry of your own\n`,
        );
        return exitCode.usage;
      }
      const { report } = await import('./report/report.ts');
      const line = { help: `${nameOf(command)} --help`, args };
      return report(incomplete ? await choiceMissing(command) : error, line, surroundings);
    }
  };
}

/** `reg cache`, which is the name of several commands. */
async function choiceMissing(group: Command): Promise<Error> {
  const { usage } = await import('./report/complaint.ts');
  const names = group.commands.map((one) => one.name());
  return usage(`'${nameOf(group)}' wants one of these behind it: ${names.join(', ')}`);
}
