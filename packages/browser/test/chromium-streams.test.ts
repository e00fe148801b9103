/** Bodies in Chromium: what is on its way while a page reads slowly, and what can be uploaded how. */

import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { digestOf, type Registry } from '@reg/testing';
import { describe, expect, test, vi } from 'vitest';
import { chromiumIsMissing, listening, serveSite, useChromium } from './chromium.ts';
import { http2Before } from './http2.ts';
import { registryFor } from './registries.ts';

const chromium = useChromium();

const MiB = 1_048_576;

/** A server with one body of `size` bytes that is made as fast as it is taken. `left` resolves when a page leaves it unread. */
async function bodyOf(size: number) {
  let made = 0;
  let leave = (): void => {};
  const left = new Promise<void>((resolve) => {
    leave = resolve;
  });
  const server = createServer((_, response) => {
    response.writeHead(200, { 'Access-Control-Allow-Origin': '*', 'Content-Length': size });
    const chunk = Buffer.alloc(65_536);
    const parts = function* () {
      for (; made < size; made += chunk.length) yield chunk;
    };
    Readable.from(parts()).pipe(response);
    response.on('close', () => {
      if (!response.writableFinished) leave();
    });
  });
  return { url: `http://127.0.0.1:${await listening(server)}/v2/`, made: () => made, left };
}

describe.skipIf(chromiumIsMissing)('a download', () => {
  test('is read as it comes: of 256 MiB less than half is sent to a page that stops reading', async () => {
    const { url, made } = await bodyOf(256 * MiB);
    const { page } = await chromium.open(await serveSite());
    const reader = await page.evaluateHandle(async (url) => {
      const reader = (await globalThis.reg.createRegistryFetch()(url)).body?.getReader();
      await reader?.read();
      return reader;
    }, url);
    let before = -1;
    // Chromium holds up to 64 MiB of a body by itself, and the kernel what it likes.
    const rests = () => {
      const rested = made() === before;
      before = made();
      return rested;
    };
    await vi.waitUntil(rests, { timeout: 20_000, interval: 500 });
    expect(made()).toBeLessThan(128 * MiB);
    const rest = await page.evaluate(async (reader) => {
      let size = 0;
      for (;;) {
        const { done, value } = (await reader?.read()) ?? { done: true };
        if (done || value === undefined) return size;
        size += value.length;
      }
    }, reader);
    expect([rest > 255 * MiB, made()]).toEqual([true, 256 * MiB]);
  });

  test.each(['signal', 'cancel'] as const)(
    'that is left in the middle ends at the server too: %s',
    async (by) => {
      const { url, left } = await bodyOf(1_024 * MiB);
      const { page } = await chromium.open(await serveSite());
      const outcome = await page.evaluate(
        async ([url, by]) => {
          const controller = new AbortController();
          const reason = new Error('enough');
          const response = await globalThis.reg.createRegistryFetch()(url, { signal: controller.signal });
          const reader = response.body?.getReader();
          await reader?.read();
          if (by === 'cancel') return reader?.cancel().then(() => 'cancelled');
          controller.abort(reason);
          return reader?.read().then(String, (error: unknown) => (error === reason ? 'the reason' : error));
        },
        [url, by] as const,
      );
      await left;
      expect(outcome).toBe(by === 'cancel' ? 'cancelled' : 'the reason');
    },
  );
});

const layer = Buffer.alloc(MiB, 'layer ');
const upload = `/v2/team/app/blobs/uploads/?digest=${digestOf(layer)}`;

/** What of an upload arrived at the registry: method and status. */
const posts = ({ requests }: Registry) =>
  requests.filter(({ method }) => method === 'POST').map(({ status }) => status);

describe.skipIf(chromiumIsMissing)('an upload', () => {
  test('of a stream goes over HTTP/2, after a ping that learns the challenge (rule 8)', async () => {
    const { registry, alice: atRegistry } = await registryFor({ tls: true });
    const { url, alice } = await http2Before(registry, atRegistry);
    const { page } = await chromium.open(await serveSite(), { anyCertificate: true });
    const statuses = await page.evaluate(
      async ([url, alice]) => {
        const client = globalThis.reg.alice(alice);
        const statuses: number[] = [];
        for (let times = 0; times < 2; times++) {
          let left = 16;
          const body = new ReadableStream<Uint8Array>({
            pull(controller) {
              const bytes = new TextEncoder().encode('layer '.repeat(65_536));
              // 16 parts of 64 KiB make the layer, which begins anew at each byte that 6 divides.
              const at = ((16 - left) * 65_536) % 6;
              if (left-- === 0) controller.close();
              else controller.enqueue(bytes.slice(at, at + 65_536));
            },
          });
          const init = { method: 'POST', body, duplex: 'half' };
          statuses.push((await client(url, init)).status);
        }
        return statuses;
      },
      [`${url}${upload}`, alice] as const,
    );
    expect(statuses).toEqual([201, 201]);
    expect(posts(registry)).toEqual([201, 201]);
    expect(registry.requests[0]).toMatchObject({ method: 'GET', url: '/v2/', status: 401 });
    expect(registry.requests.filter(({ url }) => url === '/v2/')).toHaveLength(1);
  });

  test('of a stream over HTTP/1.1 fails with what to do instead, and the stream is cancelled', async () => {
    const { registry, alice } = await registryFor();
    const { page } = await chromium.open(await serveSite());
    const [told, cancelled] = await page.evaluate(
      async ([url, alice]) => {
        const cancelled: string[] = [];
        const body = new ReadableStream({
          pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
          cancel: (reason) => void cancelled.push(String(reason)),
        });
        const init = { method: 'POST', body, duplex: 'half' };
        const told = await globalThis.reg
          .alice(alice)(url, init)
          .then(globalThis.reg.ended, globalThis.reg.told);
        return [told, cancelled] as const;
      },
      [`${registry.url}${upload}`, alice] as const,
    );
    expect(told).toMatchObject({
      failure: { kind: 'network', to: 'registry' },
      said: expect.stringContaining('HTTP/2'),
    });
    expect(cancelled).toHaveLength(1);
    expect(posts(registry)).toEqual([]);
    expect(registry.requests.map(({ status }) => status)).not.toContain(null);
  });

  test.each(['Blob', 'File', 'bytes', 'text'] as const)(
    'of a %s is sent again after the challenge',
    async (kind) => {
      const { registry, alice } = await registryFor();
      const { page } = await chromium.open(await serveSite());
      const [cold, warm] = await page.evaluate(
        async ([url, alice, kind]) => {
          const text = 'layer '.repeat(174_763).slice(0, 1_048_576);
          const body = {
            Blob: new Blob([text], { type: 'application/octet-stream' }),
            File: new File([text], 'layer.bin'),
            bytes: new TextEncoder().encode(text),
            text,
          }[kind];
          const client = globalThis.reg.alice(alice);
          const init = { method: 'POST', body };
          return [(await client(url, init)).status, (await client(new Request(url, init))).status];
        },
        [`${registry.url}${upload}`, alice, kind] as const,
      );
      expect([cold, warm]).toEqual([201, 201]);
      expect(posts(registry).slice(0, 2)).toEqual([401, 201]);
    },
  );

  test('of a FormData is the same form each time', async () => {
    const { registry, alice } = await registryFor();
    const { page } = await chromium.open(await serveSite());
    await page.evaluate(
      async ([url, alice]) => {
        const body = new FormData();
        body.append('name', 'wert');
        body.append('file', new Blob(['content'], { type: 'text/plain' }), 'file.txt');
        await globalThis.reg.alice(alice)(url, { method: 'POST', body });
      },
      [`${registry.url}${upload}`, alice] as const,
    );
    const [first, second, ...more] = registry.requests.filter(({ method }) => method === 'POST');
    expect(more).toEqual([]);
    // Without authorization nobody reads a body.
    expect([first?.status, first?.headers['content-type']]).toEqual([401, second?.headers['content-type']]);
    expect(second?.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/);
    expect(second?.body).toContain('filename="file.txt"');
  });
});
