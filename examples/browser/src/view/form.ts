/**
 * The form: what is typed into it, and where it says that something cannot be asked.
 *
 * Rules of this file: secrets are read from their fields when they are needed and written nowhere. The fields have no names, so
 * that even a browser that would submit the form had nothing to send.
 */

import type { Field, Form } from '../ask.ts';
import { byId } from './element.ts';

const inputs = {
  image: 'image',
  username: 'username',
  password: 'password',
  token: 'token',
  trusted: 'trusted',
  challenge: 'known',
} as const satisfies Record<Field, string>;

/** What is typed. */
export function readInputs(): Form {
  const value = (field: Field): string => byId(inputs[field], HTMLInputElement).value;
  return {
    image: value('image'),
    who: who(),
    username: value('username'),
    password: value('password'),
    token: value('token'),
    trusted: value('trusted'),
    challenge: value('challenge'),
    asForm: byId('as-form', HTMLInputElement).checked,
  };
}

/** Says what is wrong with a field and goes there; with `null`, that nothing is. */
export function showFault(fault: { readonly field: Field; readonly reason: string } | null): void {
  for (const field of fields) {
    const input = byId(inputs[field], HTMLInputElement);
    const wrong = fault?.field === field;
    byId(`${field}-fault`, HTMLElement).textContent = wrong ? fault.reason : '';
    if (!wrong) {
      input.removeAttribute('aria-invalid');
      continue;
    }
    input.setAttribute('aria-invalid', 'true');
    const settings = input.closest('details');
    if (settings !== null) settings.open = true;
    input.focus();
  }
}

const fields: readonly Field[] = ['image', 'username', 'password', 'token', 'trusted', 'challenge'];

/** Shows the fields of who is chosen. */
export function startForm(form: HTMLFormElement): void {
  const show = (): void => {
    byId('as-password', HTMLElement).hidden = who() !== 'password';
    byId('as-identity', HTMLElement).hidden = who() !== 'identity';
  };
  form.addEventListener('change', show);
  show();
}

function who(): Form['who'] {
  const chosen = document.querySelector<HTMLInputElement>('input[name="who"]:checked')?.value;
  return chosen === 'password' || chosen === 'identity' ? chosen : 'nobody';
}
