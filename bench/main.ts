/** `npx -y pnpm bench [warm|cli] [options]`: one of the measurements here. Default: warm. */

const benches = {
  warm: () => import('./warm.ts'),
  cli: () => import('./cli.ts'),
} as const;

const isBench = (name: string): name is keyof typeof benches => Object.hasOwn(benches, name);

const [, , first = ''] = process.argv;
const given = first !== '' && !first.startsWith('-');
const name = given ? first : 'warm';
// The options are the measurement's own.
if (given) process.argv.splice(2, 1);
if (isBench(name)) {
  await benches[name]();
} else {
  console.error(`there is no bench '${name}', only ${Object.keys(benches).join(' and ')}`);
  process.exitCode = 2;
}
