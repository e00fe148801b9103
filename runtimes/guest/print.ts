/** How the consoles of Deno, Bun and Node show a value. */

declare const Deno: { inspect(value: unknown, options: { depth: number }): string } | undefined;
declare const Bun: { inspect(value: unknown, options: { depth: number }): string } | undefined;

export function print(value: unknown): string {
  const options = { depth: 10 };
  if (typeof Deno !== 'undefined') return Deno.inspect(value, options);
  if (typeof Bun !== 'undefined') return Bun.inspect(value, options);
  return process.getBuiltinModule('node:util').inspect(value, options);
}
