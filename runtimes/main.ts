/**
 * Every runtime, every package it can run: the conformance suite, the recorded answers, the examples, and the table in
 * README.md.
 *
 * `node runtimes/main.ts [runtime …]`: with names, or beginnings of names, those alone, and no table. Exits with 1 when anything is
 * red, when a name is no runtime's, or when, with CI=true, the committed table is another.
 */

import { readFile } from 'node:fs/promises';
import { remoteFetch } from '@reg/testing';
import { type Bridge, channelOn, openBridge } from './bridge.ts';
import { bundle } from './bundle.ts';
import { type Cell, runCell } from './cell.ts';
import { runExamples } from './examples.ts';
import { exceptions } from './exceptions.ts';
import { type Guest, type Package, type Runtime, runtimes } from './start.ts';
import { type Row, updateTable } from './table.ts';
import { startMs, within } from './within.ts';

/** The script has no wait in it. */
const recordedMs = 60_000;

const only = process.argv.slice(2);
for (const name of only) {
  if (runtimes.some((runtime) => isNamed(runtime, name))) continue;
  throw new Error(`no runtime is called ${name}: there are ${runtimes.map((one) => one.name).join(', ')}`);
}
const asked = runtimes.filter((runtime) => only.length === 0 || only.some((name) => isNamed(runtime, name)));
const golden = await readFile(new URL('recorded/transcripts.txt', import.meta.url), 'utf8');

await bundle();
const bridge = await openBridge();
const rows: Row[] = [];
let isRed = false;
for (const runtime of asked) rows.push(await runRow(bridge, runtime));
bridge.close();
if (only.length === 0) {
  const red = await runExamples();
  console.log(`examples for Deno, Bun and workerd: ${red.length === 0 ? 'run' : 'not all run'}`);
  tell(red);
}
if (!isRed && only.length === 0 && !(await updateTable(rows, process.env['CI'] === 'true'))) {
  isRed = true;
  console.log('README.md holds another table: run `npx -y pnpm test:runtimes` and commit what it writes');
}
process.exit(isRed ? 1 : 0);

function isNamed(runtime: Runtime, name: string): boolean {
  return runtime.name.toLowerCase().startsWith(name.toLowerCase());
}

async function runRow(bridge: Bridge, runtime: Runtime): Promise<Row> {
  const cells = new Map<Package, Cell>();
  for (const name of runtime.packages) {
    const started = performance.now();
    const expected = new Map(
      exceptions
        .filter((one) => runtime.name.startsWith(one.runtime) && one.package === name)
        .map((one) => [one.case, one.why]),
    );
    const cell = await cellOf(bridge, runtime, name, expected);
    const seconds = ((performance.now() - started) / 1_000).toFixed(1);
    console.log(`${runtime.name}, ${name}: ${cell.passed} of ${cell.cases} in ${seconds} s`);
    tell(cell.red);
    cells.set(name, cell);
  }
  const recorded = await recordedIn(bridge, runtime);
  console.log(`${runtime.name}, recorded answers: ${recorded === null ? 'the same' : recorded}`);
  if (recorded !== null) isRed = true;
  return { runtime: runtime.name, cells };
}

function tell(red: readonly string[]): void {
  for (const line of red) console.log(`  RED ${line}`);
  if (red.length > 0) isRed = true;
}

async function cellOf(
  bridge: Bridge,
  runtime: Runtime,
  name: Package,
  expected: ReadonlyMap<string, string>,
): Promise<Cell> {
  const job = name.slice('@reg/'.length);
  let guest: Guest | null = null;
  try {
    return await runCell(expected, async (heard) => {
      const met = await meet(bridge, runtime, job, heard);
      guest = met.guest;
      return remoteFetch(channelOn(met.socket));
    });
  } catch (error) {
    return { cases: 0, passed: 0, excepted: [], red: [String(error)] };
  } finally {
    await (guest as Guest | null)?.stop();
  }
}

/** Why the transcripts are others than the committed ones, or `null`. */
async function recordedIn(bridge: Bridge, runtime: Runtime): Promise<string | null> {
  try {
    const { guest, socket } = await meet(bridge, runtime, 'recorded', () => {});
    const answered = new Promise<string>((resolve, reject) => {
      socket.once('message', (data) => resolve(String(data)));
      socket.once('close', (code, reason) => reject(new Error(`closed: ${code} ${reason}`)));
    });
    const told = await within(recordedMs, 'no transcripts', answered).finally(() => guest.stop());
    return told === golden ? null : firstDifference(told, golden);
  } catch (error) {
    return String(error);
  }
}

function firstDifference(told: string, wanted: string): string {
  const [lines, others] = [told.split('\n'), wanted.split('\n')];
  const at = lines.findIndex((line, index) => line !== others[index]);
  return `line ${at + 1} is ${lines[at]}\n  where ${others[at]} is committed`;
}

/** Starts a guest and waits for it to connect and to be what its row says. Rejects with the reason, and with what it printed, when it does not. */
async function meet(bridge: Bridge, runtime: Runtime, job: string, heard: (text: string) => void) {
  const accepted = bridge.accept();
  const guest = await runtime.start(`${bridge.url}/${job}`, heard, bridge.page);
  const ended = guest.ended.then(() => Promise.reject(new Error('no connection')));
  try {
    const { socket, agent } = await within(startMs, 'no connection', Promise.race([accepted, ended]));
    if (!isAgent(agent, runtime.agent)) throw new Error(`it says that it is ${agent}`);
    return { guest, socket };
  } catch (error) {
    await guest.stop();
    throw new Error(`${error instanceof Error ? error.message : error}: ${await guest.ended}`);
  }
}

/** Whether one of the products in a `User-Agent` is `product`, of any version where `product` has none. */
function isAgent(agent: string, product: string): boolean {
  return agent.split(' ').some((one) => one === product || one.startsWith(`${product}/`));
}
