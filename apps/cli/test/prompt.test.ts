import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { Complaint } from '../src/report/complaint.ts';
import { Stop, type Surroundings } from '../src/surroundings.ts';
import { ask, confirm } from '../src/terminal/prompt.ts';

/** A terminal at which `pieces` are typed, one after another, as soon as there is a question; `null` ends the input. */
function terminal(
  pieces: readonly (string | Uint8Array | null)[] = [],
  missing: { stdin?: true; stderr?: true } = {},
) {
  const raw: boolean[] = [];
  let shown = '';
  const stdin = Object.assign(new Readable({ read() {} }), {
    isTTY: missing.stdin !== true,
    setRawMode: (on: boolean) => raw.push(on),
  });
  const stop = new AbortController();
  const surroundings: Surroundings = {
    stdout: { write: () => expect.unreachable('a question is talk') },
    stderr: {
      isTTY: missing.stderr !== true,
      write: (text) => {
        if (shown === '') for (const piece of pieces) stdin.push(piece);
        shown += String(text);
      },
    },
    stdin,
    env: {},
    signal: stop.signal,
  };
  return { surroundings, stdin, stop, raw, shown: () => shown };
}

const flag = '--password-stdin';
const hidden = { hidden: true, flag } as const;
const euro = Buffer.from('€');

describe('a hidden answer', () => {
  test.each<[string, readonly (string | Uint8Array | null)[], string]>([
    ['a line', ['secret\r'], 'secret'],
    ['key by key', ['s', 'e', 'c', '\r'], 'sec'],
    ['nothing', ['\r'], ''],
    ['a line feed, as a pipe in a terminal sends it', ['secret\n'], 'secret'],
    ['backspace, both kinds', ['sexx\u007f\u0008c\r'], 'sec'],
    ['backspace takes a whole character', ['a€🔑\u007f\u007fb\r'], 'ab'],
    ['more backspaces than characters', ['a\u007f\u007f\u007fb\r'], 'b'],
    ['Ctrl-U begins again', ['wrong\u0015right\r'], 'right'],
    ['a character in two pieces', ['a', euro.subarray(0, 1), euro.subarray(1), '\r'], 'a€'],
    ['spaces are part of it', [' a b \r'], ' a b '],
    ['a tab is, and other control characters are not', ['a\tb\u0001\u000bc\r'], 'a\tbc'],
    ['arrow keys and function keys are not', ['a\u001b[D\u001b[1;5C\u001bOP\u001b[15~b\r'], 'ab'],
    ['a key with Alt is not', ['a\u001bxb\r'], 'ab'],
    ['a pasted text in brackets', ['\u001b[200~pasted secret\u001b[201~\r'], 'pasted secret'],
    ['brackets in pieces', ['\u001b', '[20', '0~pasted\u001b[2', '01~', '\r'], 'pasted'],
    ['what is pasted behind the line is nobody’s', ['secret\ry\r'], 'secret'],
    ['Ctrl-D ends it', ['secret\u0004'], 'secret'],
    ['the end of the input does', ['secret', null], 'secret'],
    ['64 KiB', [`${'x'.repeat(65_536)}\r`], 'x'.repeat(65_536)],
  ])('%s', async (_, pieces, answer) => {
    const { surroundings, raw, shown, stdin } = terminal(pieces);
    expect(await ask('Password:', surroundings, hidden)).toBe(answer);
    expect(shown()).toBe('Password: \n');
    expect(raw).toEqual([true, false]);
    expect(stdin.isPaused()).toBe(true);
  });

  test('is hidden before the question is there to be answered', async () => {
    const { surroundings, raw } = terminal(['x\r']);
    const { stderr } = surroundings;
    const seen: number[] = [];
    const write = (text: string | Uint8Array) => {
      seen.push(raw.length);
      return stderr.write(text);
    };
    await ask('Password:', { ...surroundings, stderr: { ...stderr, write } }, hidden);
    expect(seen[0]).toBe(1);
  });

  test.each([
    ['Ctrl-C', ['sec\u0003ret\r']],
    ['Ctrl-C in a paste', ['\u001b[200~sec\u001b[201~\u0003']],
  ])('%s ends the command with 130, and the terminal shows again what is typed', async (_, pieces) => {
    const { surroundings, raw } = terminal(pieces);
    const ended = ask('Password:', surroundings, hidden);
    await expect(ended).rejects.toEqual(new Stop(130));
    await expect(ended).rejects.toMatchObject({ exitCode: 130 });
    expect(raw).toEqual([true, false]);
  });

  test('a command that is stopped meanwhile leaves the terminal as it was', async () => {
    const { surroundings, raw, stop, stdin } = terminal();
    const ended = ask('Password:', surroundings, hidden);
    stop.abort(new Stop(143));
    await expect(ended).rejects.toMatchObject({ exitCode: 143 });
    expect(raw).toEqual([true, false]);
    expect([stdin.listenerCount('data'), stdin.isPaused()]).toEqual([0, true]);
  });

  test('a terminal that fails leaves it as it was, too', async () => {
    const { surroundings, raw, stdin } = terminal();
    const ended = ask('Password:', surroundings, hidden);
    stdin.emit('error', new Error('EIO'));
    await expect(ended).rejects.toThrow('EIO');
    expect(raw).toEqual([true, false]);
  });
});

describe('an answer that may be seen', () => {
  test('is edited and shown by the terminal itself', async () => {
    const { surroundings, raw, shown } = terminal(['alice\n']);
    expect(await ask('User name:', surroundings, { flag: '-u' })).toBe('alice');
    expect([raw, shown()]).toEqual([[], 'User name: ']);
  });

  test('two questions have two answers', async () => {
    const { surroundings, stdin } = terminal();
    const name = ask('User name:', surroundings, { flag: '-u' });
    stdin.push('alice\n');
    expect(await name).toBe('alice');
    const password = ask('Password:', surroundings, hidden);
    stdin.push('secret\r');
    expect(await password).toBe('secret');
  });

  test('what a peer wrote in a question is made visible', async () => {
    const { surroundings, shown } = terminal(['\n']);
    await ask('Trust \u001b[2Jevil\nhttps://good.example:', surroundings, { flag: '-u' });
    expect(shown()).toBe('Trust \\u{1b}[2Jevil\\nhttps://good.example: ');
  });
});

describe('yes or no', () => {
  test.each([
    ['y\n', true],
    ['Y\n', true],
    [' yes \n', true],
    ['\n', false],
    ['n\n', false],
    ['yep\n', false],
    ['j\n', false],
    [null, false],
  ])('%j is %j', async (answer, meant) => {
    const { surroundings, shown } = terminal([answer]);
    expect(await confirm('Go on?', surroundings, { flag: '--yes' })).toBe(meant);
    expect(shown()).toBe(answer === null ? 'Go on? [y/N] \n' : 'Go on? [y/N] ');
  });
});

describe('nobody is asked', () => {
  test.each([
    ['stdin is no terminal', terminal([], { stdin: true }), {}],
    ['stderr is none, where the question would be', terminal([], { stderr: true }), {}],
    ['--no-input', terminal(), { input: false }],
  ])('%s', async (_, { surroundings, raw, shown }, options) => {
    const asked = [
      ask('Password:', surroundings, { ...hidden, ...options, hint: 'reg login r --password-stdin < FILE' }),
      confirm('Go on?', surroundings, { flag, ...options, hint: 'reg login r --password-stdin < FILE' }),
    ];
    for (const answer of asked) {
      const error = await answer.catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(Complaint);
      expect(error).toMatchObject({
        exitCode: 2,
        message: expect.stringContaining('use --password-stdin'),
        details: { code: 'no-input', hint: 'reg login r --password-stdin < FILE' },
      });
    }
    expect([raw, shown()]).toEqual([[], '']);
  });

  test('who has closed the input has not answered', async () => {
    const { surroundings, stdin } = terminal([null]);
    const error = await ask('User name:', surroundings, { flag: '-u' }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ exitCode: 2, message: 'the input ended before an answer: use -u' });
    // And not later either.
    expect(stdin.readableEnded).toBe(true);
    await expect(ask('User name:', surroundings, { flag: '-u' })).rejects.toBeInstanceOf(Complaint);
  });

  test('a command that was stopped asks no more', async () => {
    const { surroundings, stop, shown } = terminal();
    stop.abort(new Stop(130));
    await expect(ask('Password:', surroundings, hidden)).rejects.toMatchObject({ exitCode: 130 });
    expect(shown()).toBe('');
  });
});
