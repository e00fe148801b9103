/** Pages of help that are no command's: text of 80 columns, as wide as it is on any terminal. */

const WIDTH = 80;

/**
 * Terms and what they mean, in two columns.
 *
 * @param room of the first column: the longest of the page's terms
 */
export function rows(entries: readonly (readonly [term: string, meaning: string])[], room: number): string {
  const indent = ' '.repeat(room + 4);
  return entries
    .map(([term, meaning]) => {
      const [first = '', ...rest] = broken(meaning, WIDTH - indent.length);
      return [`  ${term.padEnd(room)}  ${first}`, ...rest.map((line) => indent + line)].join('\n');
    })
    .join('\n');
}

/** `text` broken at spaces; a word that is wider alone is a line. */
function broken(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
