/** Words of a registry that are longer than a telephone is wide. */

import { createServer } from 'node:http';
import { describe, expect, test } from 'vitest';
import { listening } from '../../../packages/browser/test/chromium.ts';
import { ask, chromiumIsMissing, ended, useStage } from './stage.ts';

const stage = useStage();

describe.skipIf(chromiumIsMissing)('however long a word of the registry is', () => {
  test.each([320, 360])(
    'at %i pixels nothing is wider than the screen, and nothing is without end',
    async (width) => {
      const name = `${'a'.repeat(120)}/${'b'.repeat(120)}`;
      const action = 'z'.repeat(200);
      const many = Array.from({ length: 400 }, (_, index) => `${action}${index}`).join();
      let host = '';
      const challenge = (): string =>
        `Bearer realm="http://${host}/token/${'r'.repeat(300)}",service="${'s'.repeat(300)}",` +
        `scope="repository:${name}:pull,${action} repository:b:${many.slice(0, 3_000)}",${'p'.repeat(80)}="v",` +
        `Digest ${'t'.repeat(400)}, ${'u'.repeat(90)} x=1, =bad`;
      const server = createServer((request, response) => {
        const open = {
          'Access-Control-Allow-Origin': '*',
          'Access-Control-Allow-Headers': 'Authorization, Accept',
          'Access-Control-Expose-Headers': 'WWW-Authenticate, Link',
        };
        if (request.method === 'OPTIONS') response.writeHead(204, open).end();
        else if (request.url?.startsWith('/token') === true) {
          const scope = `repository:${name}:pull,push,${action} repository:c:${many}`;
          response
            .writeHead(200, open)
            .end(JSON.stringify({ token: 'a-token', expires_in: 99_999_999, scope }));
        } else if (request.headers.authorization === undefined) {
          response.writeHead(401, { ...open, 'WWW-Authenticate': challenge() }).end();
        } else {
          const tags = ['x'.repeat(128), 'w'.repeat(5_000), '日本語'.repeat(60)];
          response.writeHead(200, open).end(JSON.stringify({ tags }));
        }
      });
      host = `127.0.0.1:${await listening(server)}`;
      const { page } = await stage.open({ viewport: { width, height: 740 } });
      await ask(page, `${host}/team/app`);
      await ended(page);
      expect(await page.locator('#outcome-title').textContent()).toBe('3 tags');
      await page.locator('#header').fill(challenge());
      const size = await page.evaluate(() => {
        const { scrollWidth, scrollHeight } = document.documentElement;
        return { scrollWidth, scrollHeight };
      });
      expect(size.scrollWidth).toBe(width);
      expect(size.scrollHeight).toBeLessThan(20_000);
    },
  );
});
