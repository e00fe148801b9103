/**
 * What a set-up is.
 *
 * Rules of this file: the shape alone, and how what the doctor says is followed to the letter.
 */

import type { Stage } from './stage.ts';

/** What `reg doctor` says to do about a problem. */
export interface Fix {
  readonly text: string;
  /** To run, but for the words NAME and FILE. */
  readonly command: string | null;
  /** To put into a file of the one who can. */
  readonly line: string | null;
}

/** Something that is wrong, set up for real. */
interface SetUp {
  /** The arguments of `skopeo` that meet the same. */
  readonly skopeo: readonly string[];
  /** Does what the doctor said and nothing else. Resolves to the arguments to look again with, where they are others. */
  readonly follow: (fix: Fix) => Promise<readonly string[] | undefined>;
}

export type Prepare = (stage: Stage) => Promise<SetUp>;

/** Runs the command of `fix` as it is printed, with `words` in the places of its own. */
export async function runCommand(
  stage: Stage,
  { text, command }: Fix,
  words: Readonly<Record<string, string>> = {},
): Promise<undefined> {
  if (command === null) throw new Error(`there is no command to run: ${text}`);
  let line = command;
  for (const [word, value] of Object.entries(words)) {
    line = line.replaceAll(new RegExp(`\\b${word}\\b`, 'g'), value);
  }
  const { code, stdout, stderr } = await stage.shell(line);
  if (code !== 0) throw new Error(`${line}\nended with ${code}:\n${stdout}${stderr}`);
}

/** Stands in for who runs a server or a machine: does `act` only when the doctor said `what`, with what was found of it. */
export async function change(
  { text, line, command }: Fix,
  what: RegExp,
  act: (said: RegExpExecArray) => unknown,
): Promise<undefined> {
  const all = [line, command, text].filter((part) => part !== null).join('\n');
  const said = what.exec(all);
  if (said === null) throw new Error(`the fix does not say ${what}:\n${all}`);
  await act(said);
}
