/** The page of the tests in Chromium: it starts the worker, keeps what it heard from it, and puts both where tests reach them. */

import { fetchOver, PortError } from '../../message-port/page.ts';

const worker = new Worker('/worker.js', { type: 'module' });
const { port1, port2 } = new MessageChannel();
const heard: unknown[] = [];
port1.addEventListener('message', ({ data }) => void heard.push(data));
worker.postMessage(null, [port2]);

const site = { ask: fetchOver(port1), port: port1, worker, heard, PortError };
export type Site = typeof site;
Object.assign(globalThis, { site });
