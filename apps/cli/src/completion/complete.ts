/**
 * What may come next on a command line, for shells: `reg __complete -- words…`.
 *
 * Rules of this file: the tree of commands says what there is. What is said of registries and repositories is known on this
 * machine: no request is sent, no helper is run, and what cannot be read is not known. It never fails.
 */

import type { Argument, Command, Option } from 'commander';
import type { Surroundings } from '../surroundings.ts';
import { commandNamed } from '../tree/find.ts';
import { helpTopics } from '../tree/names.ts';
import { treeFor } from '../tree/root.ts';

/** One word that may stand there, and what it is, for people. */
interface Candidate {
  readonly value: string;
  readonly about: string;
}

/** In place of candidates: the shell knows its files better. */
const files = ':files';

/**
 * The candidates for the last word of a command line, each with what it is behind a tab; one that ends in a slash is the
 * beginning of a word. `:files` alone asks the shell for the names of files.
 *
 * @param words those behind `reg`, up to where the cursor is; the last is what there is of the word at the cursor, perhaps
 *   nothing
 */
export async function complete(
  words: readonly string[],
  surroundings: Surroundings,
): Promise<readonly string[]> {
  const page = { out() {}, err() {} };
  const place = placeOf(
    words,
    treeFor(words.slice(0, -1), surroundings, page, () => {}),
  );
  const candidates = await candidatesAt(place, surroundings);
  if (candidates === files) return [files];
  return candidates
    .filter(({ value }) => value.startsWith(place.begun))
    .map(({ value, about }) => `${place.before}${value}\t${about}`);
}

/** Where the cursor is. */
interface Place {
  readonly command: Command;
  /** The option whose value is to come. */
  readonly option: Option | undefined;
  /** How many arguments there are before it. */
  readonly position: number;
  /** Options that are there already. */
  readonly given: ReadonlySet<Option>;
  /** Behind `--` there are no options. */
  readonly optionsEnded: boolean;
  /** What there is of the word, without what stands before the value in it. */
  readonly begun: string;
  /** `--output=`. */
  readonly before: string;
}

function placeOf(words: readonly string[], root: Command): Place {
  const current = words.at(-1) ?? '';
  let command = root;
  let option: Option | undefined;
  let position = 0;
  let optionsEnded = false;
  const given = new Set<Option>();
  for (const word of words.slice(0, -1)) {
    if (option !== undefined) {
      option = undefined;
    } else if (word === '--' && !optionsEnded) {
      optionsEnded = true;
    } else if (word.startsWith('-') && !optionsEnded) {
      const named = optionNamed(command, word);
      if (named !== undefined) given.add(named);
      // A value in the same word is no other's.
      option = named?.required === true && word === nameIn(named, word) ? named : undefined;
    } else {
      const next = position === 0 ? commandNamed(command, word) : undefined;
      if (next === undefined) position += 1;
      else command = next;
    }
  }
  const at = { command, position, given, optionsEnded };
  const equals = current.indexOf('=');
  if (option === undefined && !optionsEnded && current.startsWith('--') && equals > 0) {
    const before = current.slice(0, equals + 1);
    const inside = optionNamed(command, before.slice(0, -1));
    return { ...at, option: inside, begun: current.slice(equals + 1), before };
  }
  return { ...at, option, begun: current, before: '' };
}

function optionNamed(command: Command, word: string): Option | undefined {
  return command.options.find((option) => nameIn(option, word) !== undefined);
}

/** What `word` calls `option`: its long name, or its letter, which a value may follow. */
function nameIn({ long, short }: Option, word: string): string | undefined {
  if (long !== undefined && (word === long || word.startsWith(`${long}=`))) return long;
  return short !== undefined && word.startsWith(short) && !word.startsWith('--') ? short : undefined;
}

async function candidatesAt(
  place: Place,
  surroundings: Surroundings,
): Promise<readonly Candidate[] | typeof files> {
  const { command, option, optionsEnded, begun, position, given } = place;
  if (option !== undefined) {
    const named = (option.flags.split('<')[1] ?? '').replace('>', '');
    return valuesOf(named, option.argChoices, option.description, surroundings);
  }
  if (begun.startsWith('-') && !optionsEnded) return optionsOf(command, given);
  if (command.commands.length > 0 && position === 0) return commandsIn(command);
  const argument = argumentAt(command, position);
  if (argument === undefined) return [];
  if (command.name() === 'help') return topics(command);
  return valuesOf(argument.name(), argument.argChoices, argument.description, surroundings);
}

function optionsOf(command: Command, given: ReadonlySet<Option>): readonly Candidate[] {
  return command.options
    .filter((option) => !given.has(option) || addsUp(option))
    .map(({ long, short, description }) => ({ value: long ?? short ?? '', about: description }));
}

/** Commander reads choices by a function too. */
function addsUp({ parseArg, argChoices }: Option): boolean {
  return parseArg !== undefined && argChoices === undefined;
}

function commandsIn(command: Command): readonly Candidate[] {
  return command.commands.map((one) => ({ value: one.name(), about: one.summary() || one.description() }));
}

function topics(help: Command): readonly Candidate[] {
  const pages = helpTopics.map((topic) => ({ value: topic, about: 'a page about this' }));
  return help.parent === null ? pages : [...commandsIn(help.parent), ...pages];
}

function argumentAt({ registeredArguments }: Command, position: number): Argument | undefined {
  const last = registeredArguments.at(-1);
  return registeredArguments[position] ?? (last?.variadic === true ? last : undefined);
}

/** What may stand for `named`, as it is called in the declaration of an argument or of the value of an option. */
async function valuesOf(
  named: string,
  choices: readonly string[] | undefined,
  about: string,
  surroundings: Surroundings,
): Promise<readonly Candidate[] | typeof files> {
  if (choices !== undefined) return choices.map((value) => ({ value, about }));
  const kinds = named.split('|');
  if (kinds.includes('file') || kinds.includes('folder')) return files;
  const wantsRegistry = kinds.includes('registry');
  const wantsMore = ['repository', 'reference', 'url'].some((kind) => kinds.includes(kind));
  if (!wantsRegistry && !wantsMore) return [];
  const { knownNames } = await import('./known.ts');
  const { registries, repositories } = await knownNames(surroundings);
  return [
    ...(wantsRegistry ? registries.map((value) => ({ value, about: 'a registry' })) : []),
    ...(wantsMore ? registries.map((value) => ({ value: `${value}/`, about: 'a registry' })) : []),
    ...(wantsMore ? repositories.map((value) => ({ value, about: 'a repository' })) : []),
  ];
}
