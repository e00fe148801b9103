/**
 * Programs that must not outlive this process.
 *
 * Rules of this file: a program in a group of its own gets no signal from the terminal, so what ends this process is handed on
 * to it; a signal that nobody else listens to ends this process all the same, and one that somebody listens to is theirs; who
 * runs nothing listens to nothing. What ends this process without a word (SIGKILL) leaves them running, and so does a signal
 * that others listen to and make it end by, where the program does not heed SIGTERM.
 */

/** Ends one program: `SIGKILL` where nobody is left to see whether it heeds anything less. */
export type End = (signal: 'SIGTERM' | 'SIGKILL') => void;

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const running = new Set<End>();

/** Calls `end` when this process ends. Returns what takes that back. */
export function endWithProcess(end: End): () => void {
  if (running.size === 0) {
    process.once('exit', onExit);
    // First of all: who listens for the others' sake, as `signal-exit` does for every lock, counts the listeners to find out
    // whether the signal is to end the process, and must find this one gone.
    for (const signal of signals) process.prependOnceListener(signal, onSignal);
  }
  running.add(end);
  return () => {
    running.delete(end);
    if (running.size > 0) return;
    process.removeListener('exit', onExit);
    for (const signal of signals) process.removeListener(signal, onSignal);
  };
}

function onExit(): void {
  for (const end of running) end('SIGKILL');
}

function onSignal(signal: NodeJS.Signals): void {
  const isOver = process.listenerCount(signal) === 0;
  // From a terminal, children get it as well. SIGTERM is for this process alone, which may have work to finish.
  if (isOver || signal !== 'SIGTERM') for (const end of running) end(isOver ? 'SIGKILL' : 'SIGTERM');
  if (isOver) process.kill(process.pid, signal);
}
