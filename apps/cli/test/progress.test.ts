import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Stop, type Surroundings } from '../src/surroundings.ts';
import { progressFor } from '../src/terminal/progress.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function terminal({ isTTY = true, columns = 80, env = {} } = {}) {
  let written = '';
  const stop = new AbortController();
  const surroundings: Surroundings = {
    stdout: { write: () => expect.unreachable('progress is no data') },
    stderr: {
      isTTY,
      columns,
      write: (text) => {
        written += String(text);
      },
    },
    get stdin(): never {
      return expect.unreachable('nothing is read');
    },
    env,
    signal: stop.signal,
  };
  return { surroundings, stop, written: () => written, line: () => lineOf(written) };
}

/** What a terminal shows of a line that is written over and over. */
function lineOf(written: string): string {
  let line = '';
  for (const part of written.split('\r')) {
    const [text = '', ...erased] = part.split('\u001b[K');
    line = erased.length > 0 ? text : text + line.slice(text.length);
  }
  return line;
}

describe('progress', () => {
  test('is of what is not done after 300 ms, and of nothing else', () => {
    const { surroundings, written, line } = terminal();
    const running = progressFor(surroundings, {}).start('layer', 4_000_000);
    vi.advanceTimersByTime(299);
    expect(written()).toBe('');
    vi.advanceTimersByTime(1);
    expect(line()).toBe('⠋ layer  0 B of 4.0 MB, 0 %');
    running.advance(1_000_000);
    running.advance(23_456);
    vi.advanceTimersByTime(100);
    expect(line()).toBe('⠙ layer  1.0 MB of 4.0 MB, 25 %');
    running.end();
    expect(line()).toBe('');
    expect(written()).not.toContain('\n');
    const length = written().length;
    vi.advanceTimersByTime(10_000);
    expect(written().length).toBe(length);
  });

  test('of what is quick nothing was ever there', () => {
    const { surroundings, written } = terminal();
    const running = progressFor(surroundings, {}).start('tags');
    running.advance(10);
    running.end();
    vi.advanceTimersByTime(10_000);
    expect(written()).toBe('');
  });

  test('is gone when the command is stopped', () => {
    const { surroundings, stop, line, written } = terminal();
    progressFor(surroundings, {}).start('tags');
    vi.advanceTimersByTime(500);
    expect(line()).not.toBe('');
    stop.abort(new Stop(130));
    expect(line()).toBe('');
    const length = written().length;
    vi.advanceTimersByTime(10_000);
    expect(written().length).toBe(length);
  });

  test('does not keep the process', () => {
    vi.useRealTimers();
    const set = vi.spyOn(globalThis, 'setTimeout');
    progressFor(terminal().surroundings, {}).start('tags').end();
    expect(set.mock.results.map(({ value }) => (value as NodeJS.Timeout).hasRef())).toEqual([false]);
    set.mockRestore();
  });

  test.each([
    ['where stderr is no terminal', { isTTY: false }, {}],
    ['on one that cannot erase', { env: { TERM: 'dumb' } }, {}],
    ['with -q', {}, { quiet: true }],
    ['with -v, which has lines in its place', {}, { verbose: 1 }],
  ])('is not shown %s', (_, setting, options) => {
    const { surroundings, written } = terminal(setting);
    const running = progressFor(surroundings, options).start('tags', 10);
    vi.advanceTimersByTime(1_000);
    running.advance(5);
    running.end();
    expect(written()).toBe('');
  });

  test('is without colours, so NO_COLOR changes nothing', () => {
    const { surroundings, line } = terminal({ env: { NO_COLOR: '1' } });
    progressFor(surroundings, {}).start('tags');
    vi.advanceTimersByTime(300);
    expect(line()).toBe('⠋ tags');
  });

  test.each([
    [0, 0, '⠋ x'],
    [999, 0, '⠋ x  999 B'],
    [1_000, 0, '⠋ x  1.0 kB'],
    [12_345_678_901, 0, '⠋ x  12.3 GB'],
    [5, 10, '⠋ x  5 B of 10 B, 50 %'],
    // A registry may send more than it said.
    [20, 10, '⠋ x  20 B of 10 B, 100 %'],
  ])('%i bytes of %i', (done, total, shown) => {
    const { surroundings, line } = terminal();
    progressFor(surroundings, {}).start('x', total).advance(done);
    vi.advanceTimersByTime(300);
    expect(line()).toBe(shown);
  });

  test.each([80, 40, 20, 5, 1])('is one line of %i columns, whatever it is called', (columns) => {
    const { surroundings, line, written } = terminal({ columns });
    progressFor(surroundings, {}).start(`a\n\u001b[2J${'long'.repeat(50)}`, 10);
    vi.advanceTimersByTime(300);
    expect(line().length).toBeLessThan(columns);
    expect(written().split('\u001b').length).toBe(2);
    expect(written()).not.toContain('\n');
  });
});
