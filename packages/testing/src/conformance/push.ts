/** Pushing: bodies that can be sent again, bodies that cannot, sessions and mounts. */

import assert from 'node:assert/strict';
import { digestOf, IMAGE_MANIFEST, image } from '../storage.ts';
import type { Case } from './contract.ts';
import { lastQuery, onStage, trace } from './stage.ts';

const UPLOADS = '/v2/team/app/blobs/uploads/';
const LAYER = 'the bytes of a layer';
const DIGEST = digestOf(Buffer.from(LAYER));

/** A body that can be read once. */
function stream(text: string): ReadableStream<Uint8Array> {
  const chunks = [text.slice(0, 5), text.slice(5)];
  return new ReadableStream({
    pull(controller) {
      const chunk = chunks.shift();
      if (chunk === undefined) controller.close();
      else controller.enqueue(Buffer.from(chunk));
    },
  });
}

export const push: readonly Case[] = [
  {
    name: 'an upload in steps: POST, PATCH and PUT follow Location under one grant (requirement 140)',
    run: onStage({}, async ({ registry, fetch }) => {
      const begun = await fetch(registry.url + UPLOADS, { method: 'POST' });
      assert.equal(begun.status, 202);
      const session = new URL(begun.headers.get('location') ?? '', registry.url);
      const patched = await fetch(session.href, { method: 'PATCH', body: LAYER });
      assert.equal(patched.status, 202);
      const last = new URL(patched.headers.get('location') ?? '', registry.url);
      last.searchParams.append('digest', DIGEST);
      assert.equal((await fetch(last.href, { method: 'PUT' })).status, 201);
      assert.equal(await (await fetch(`${registry.url}/v2/team/app/blobs/${DIGEST}`)).text(), LAYER);
      assert.deepEqual(trace(registry), [
        `registry POST ${UPLOADS} 401`,
        'token GET /token 200',
        `registry POST ${UPLOADS} 202`,
        `registry PATCH ${session.pathname} 202`,
        `registry PUT ${session.pathname} 201`,
        `registry GET /v2/team/app/blobs/${DIGEST} 200`,
      ]);
      assert.deepEqual(lastQuery(registry).getAll('scope'), ['repository:team/app:pull,push']);
    }),
  },
  {
    name: 'a body of text is sent again after the challenge (requirement 85)',
    run: onStage({}, async ({ registry, fetch }) => {
      const { bytes } = image('app content').manifest;
      const response = await fetch(`${registry.url}/v2/team/app/manifests/new`, {
        method: 'PUT',
        headers: { 'Content-Type': IMAGE_MANIFEST },
        body: bytes.toString(),
      });
      assert.equal(response.status, 201);
      assert.equal(response.headers.get('docker-content-digest'), digestOf(bytes));
      assert.equal(registry.count(), 3);
    }),
  },
  {
    name: 'a stream on an unknown origin: the ping learns the challenge, the body is sent once (rule 8)',
    run: onStage({}, async ({ registry, fetch }) => {
      const response = await fetch(`${registry.url}${UPLOADS}?digest=${DIGEST}`, {
        method: 'POST',
        body: stream(LAYER),
        duplex: 'half',
      });
      assert.equal(response.status, 201);
      assert.deepEqual(trace(registry), [
        'registry GET /v2/ 401',
        'token GET /token 200',
        `registry POST ${UPLOADS} 201`,
      ]);
      assert.deepEqual(lastQuery(registry).getAll('scope'), ['repository:team/app:pull,push']);
    }),
  },
  {
    name: 'a stream on a known origin costs no ping',
    run: onStage({}, async ({ registry, fetch }) => {
      await fetch(`${registry.url}/v2/team/lib/tags/list`);
      const from = registry.count();
      const url = `${registry.url}${UPLOADS}?digest=${DIGEST}`;
      const response = await fetch(url, { method: 'POST', body: stream(LAYER), duplex: 'half' });
      assert.equal(response.status, 201);
      assert.deepEqual(trace(registry, from), ['token GET /token 200', `registry POST ${UPLOADS} 201`]);
    }),
  },
  {
    name: 'a 401 after a spent stream is the answer, and the caller’s own repeat works (rule 8)',
    run: async (createFetch) => {
      let now = 1_700_000_000_000;
      await onStage({ clock: () => now }, async ({ registry, fetch }) => {
        const url = `${registry.url}${UPLOADS}?digest=${DIGEST}`;
        const upload = () => fetch(url, { method: 'POST', body: stream(LAYER), duplex: 'half' });
        assert.equal((await upload()).status, 201);
        now += 301_000;
        assert.equal((await upload()).status, 401);
        assert.equal((await upload()).status, 201);
      })(createFetch);
    },
  },
  {
    name: 'a push the user may not make: the registry’s 401 is the answer, after one token',
    run: onStage({}, async ({ registry, fetch }) => {
      const response = await fetch(`${registry.url}/v2/team/read/blobs/uploads/`, { method: 'POST' });
      assert.equal(response.status, 401);
      assert.match(response.headers.get('www-authenticate') ?? '', /insufficient_scope/);
      assert.deepEqual(trace(registry), [
        'registry POST /v2/team/read/blobs/uploads/ 401',
        'token GET /token 200',
        'registry POST /v2/team/read/blobs/uploads/ 401',
      ]);
    }),
  },
  {
    name: 'a mount asks for both repositories, cold and warm (requirement 48)',
    run: async (createFetch) => {
      for (const warm of [false, true]) {
        await onStage({}, async ({ registry, fetch }) => {
          if (warm) await fetch(`${registry.url}/v2/library/open/tags/list`);
          const { digest } = image('lib content').layer;
          const url = `${registry.url}${UPLOADS}?mount=${digest}&from=team/lib`;
          assert.equal((await fetch(url, { method: 'POST' })).status, 201);
          assert.deepEqual(lastQuery(registry).getAll('scope').sort(), [
            'repository:team/app:pull,push',
            'repository:team/lib:pull',
          ]);
        })(createFetch);
      }
    },
  },
];
