/** Holds what a command printed against the schema that the package ships for it. */

import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

/** `date-time` as this command writes it: ISO 8601 in UTC. `uri` as `URL` reads it. */
const formats = {
  'date-time': (text: string) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text),
  uri: (text: string) => URL.canParse(text),
};

const ajv = new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true, formats });

/**
 * Fails unless `value`, or the JSON it is the text of, is what a schema (JSON Schema 2020-12) says.
 *
 * @param name `tags` for the whole of `schemas/tags.json`, `tags#/$defs/line` for a part of it
 * @returns the value
 * @throws Error that lists what is wrong and where
 */
export function matchesSchema(name: string, value: unknown): unknown {
  const checked: unknown = typeof value === 'string' ? JSON.parse(value) : value;
  const validate = validatorFor(name);
  if (validate(checked)) return checked;
  const faults = (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `  ${instancePath || '/'} ${message} ${JSON.stringify(params)}`,
  );
  throw new Error(`this does not match ${name}:\n${faults.join('\n')}\n${JSON.stringify(checked, null, 2)}`);
}

function validatorFor(name: string): ValidateFunction {
  const [file = ''] = name.split('#');
  if (ajv.getSchema(file) === undefined) {
    const text = readFileSync(new URL(`../schemas/${file}.json`, import.meta.url), 'utf8');
    ajv.addSchema(JSON.parse(text), file);
  }
  const validate = ajv.getSchema(name);
  if (validate === undefined) throw new Error(`there is no schema ${name}`);
  return validate;
}
