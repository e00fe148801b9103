/**
 * A secret knows where it may go.
 *
 * Rules of this file: nothing prints a secret's text; `reveal` is the only way out, and lint lets only
 * `driver/wire.ts` import it. A secret is never re-bound: releasing a credential to a realm makes a new one.
 */

const MASK = '•••';

/** A text that prints as `•••` and may be revealed for one origin only. */
export class Secret {
  readonly #text: string;
  /** The origin this secret may be sent to, as `new URL().origin` spells it. */
  readonly origin: string;

  /** `text` may go to `origin` and nowhere else. */
  constructor(text: string, origin: string) {
    this.#text = text;
    this.origin = origin;
  }

  /**
   * The text, for a request to `url`.
   * @throws TypeError when `url` has another origin: a fault of this program that must never be caught and sent on.
   */
  static reveal(secret: Secret, url: string): string {
    const { origin } = new URL(url);
    if (origin !== secret.origin) {
      throw new TypeError(`[@reg/core] a secret for ${secret.origin} was about to go to ${origin}`);
    }
    return secret.#text;
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `Secret(${MASK} → ${this.origin})`;
  }
}

/** See {@link Secret.reveal}. */
export const reveal: (secret: Secret, url: string) => string = Secret.reveal;
