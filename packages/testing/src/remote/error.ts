/**
 * What a call rejected with, carried to another runtime.
 *
 * Rules of this file: no Node imports. An Error arrives as an Error that can be told by name, message, code and failure; any
 * other value arrives as JSON has it. What printing an Error showed where it was thrown comes along as `shown`, so that a
 * search for secrets here finds those that would have been printed there.
 */

export type RemoteError =
  | {
      readonly name: string;
      readonly message: string;
      readonly code?: string;
      readonly failure?: unknown;
      readonly shown: readonly string[];
    }
  | { readonly value: unknown };

/** `print` shows an error as the console of this runtime would; without one its text, stack and JSON are all there is to see. */
export function encodeError(error: unknown, print?: (value: unknown) => string): RemoteError {
  if (!(error instanceof Error)) return { value: error ?? null };
  const { name, message } = error;
  return {
    name,
    message,
    ...('code' in error && typeof error.code === 'string' ? { code: error.code } : {}),
    ...('failure' in error ? { failure: error.failure } : {}),
    shown: [...causesOf(error)].flatMap((each) => [
      String(each),
      each instanceof Error ? (each.stack ?? '') : '',
      jsonOf(each),
      print?.(each) ?? '',
    ]),
  };
}

/** An Error made anew from what `encodeError` kept, or the value that was no Error. */
export function decodeError(error: RemoteError): unknown {
  if ('value' in error) return error.value;
  const { message, ...rest } = error;
  return Object.assign(new Error(message), rest);
}

/** The error and what caused it, five deep at most. */
function* causesOf(error: Error): Generator<unknown> {
  let each: unknown = error;
  for (let depth = 0; depth < 5 && each !== undefined; depth += 1) {
    yield each;
    each = each instanceof Error ? each.cause : undefined;
  }
}

function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? '';
  } catch (error) {
    return String(error);
  }
}
