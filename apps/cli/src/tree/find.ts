/** Commands in the tree, and what they are called. */

import type { Command } from 'commander';

/** The command that `words` begin with, as deep as they are names, and how many of them are. */
export function commandAt(
  root: Command,
  words: readonly string[],
): { readonly command: Command; readonly depth: number } {
  let command = root;
  for (const [depth, word] of words.entries()) {
    const next = commandNamed(command, word);
    if (next === undefined) return { command, depth };
    command = next;
  }
  return { command, depth: words.length };
}

/** The command that `word` calls, by its name or another, among those of `group`. */
export function commandNamed(group: Command, word: string): Command | undefined {
  return group.commands.find((one) => one.name() === word || one.aliases().includes(word));
}

/** `reg cache clear`. */
export function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}
