/**
 * `reg help`: of a command what `--help` prints, and pages about what concerns all of them.
 *
 * Rules of this file: help that was asked for is data.
 */

import type { Command } from 'commander';
import { authFilesPage } from '../help/auth-files.ts';
import { environmentPage } from '../help/environment.ts';
import { exitCodesPage } from '../help/exit-codes.ts';
import { usage } from '../report/complaint.ts';
import type { Surroundings } from '../surroundings.ts';
import { commandAt } from '../tree/find.ts';
import { type HelpTopic, helpTopics } from '../tree/names.ts';

const pages: Readonly<Record<HelpTopic, string>> = {
  'exit-codes': exitCodesPage,
  environment: environmentPage,
  'auth-files': authFilesPage,
};

/**
 * `reg help`
 *
 * @param topic the words of a command, or one topic; without any the whole command
 */
export async function help(
  topic: readonly string[],
  root: Command,
  { stdout }: Surroundings,
): Promise<undefined> {
  const [first, ...rest] = topic;
  const page = rest.length === 0 ? helpTopics.find((name) => name === first) : undefined;
  if (page !== undefined) {
    stdout.write(pages[page]);
    return;
  }
  commandNamed(topic, root).outputHelp();
}

function commandNamed(topic: readonly string[], root: Command): Command {
  const { command, depth } = commandAt(root, topic);
  if (depth < topic.length) throw usage(`there is no help about '${topic.join(' ')}'`, 'reg help');
  return command;
}
