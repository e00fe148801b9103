/** What `main.ts` uses of Deno, for the type check of this workspace. Deno has all of it. */
declare const Deno: {
  readonly args: readonly string[];
  readonly env: { get(name: string): string | undefined };
};
