/**
 * The page of the conformance suite: fetches of `@reg/browser` here, cases in Node.
 *
 * Rules of this file: texts for the cases go to `toCases`, which the test puts there; theirs come to `fromCases`.
 */

import { createRegistryFetch, staticKeychain } from '@reg/browser';
import { serveFetch } from '@reg/testing/guest';

declare global {
  var toCases: (text: string) => Promise<void>;
  var fromCases: (text: string) => void;
}

serveFetch(
  {
    send: (text) => void globalThis.toCases(text),
    listen: (hear) => {
      globalThis.fromCases = hear;
    },
  },
  ({ credentials, policy }) => createRegistryFetch({ keychain: staticKeychain(credentials), policy }),
);
