/**
 * What `reg --help` prints, by the columns there are, where it is known without asking the tree of commands.
 *
 * Rules of this file: from source it is not known. The build puts it here, for pipes and for the usual terminals
 * (docs/decisions/0050).
 */

export const overview: Readonly<Record<number, string>> = {};
