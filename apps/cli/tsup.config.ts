/**
 * The command as CommonJS, in files that are loaded when they are needed (docs/decisions/0050).
 *
 * Rules of this file: esbuild splits ES modules only, so each file is made CommonJS after it was split off. tsup can do that
 * too, with another parser; minified classes do not survive it.
 */

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig, type Options } from 'tsup';

type Plugin = NonNullable<Options['esbuildPlugins']>[number];

const target = 'node22';

/** Each output file as CommonJS. `import()` becomes a `require` that waits until then. */
const commonJs: Plugin = {
  name: 'commonjs',
  setup({ esbuild, onEnd }) {
    onEnd(async ({ outputFiles = [], metafile }) => {
      // What is made of no source holds esbuild's helpers, and is imported by files that use none of them too.
      const helpers = Object.entries(metafile?.outputs ?? {})
        .filter(([, { inputs }]) => Object.keys(inputs).length === 0)
        .map(([path]) => `import"./${path.slice(path.lastIndexOf('/') + 1)}";`);
      for (const file of outputFiles) {
        const used = helpers.reduce((text, line) => text.replace(line, ''), file.text);
        const { code } = await esbuild.transform(used, {
          format: 'cjs',
          platform: 'node',
          target,
          supported: { 'dynamic-import': false },
          minify: true,
        });
        file.contents = new TextEncoder().encode(code);
      }
    });
  },
};

/** What the licenses of the packages in here want to be kept beside them. */
const licenses: Plugin = {
  name: 'licenses',
  setup({ onEnd, initialOptions: { outdir = 'dist' } }) {
    onEnd(({ outputFiles, metafile }) => {
      const folders = new Set<string>();
      for (const input of Object.keys(metafile?.inputs ?? {})) {
        const [folder] = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input) ?? [];
        if (folder !== undefined) folders.add(folder);
      }
      const texts = [...folders].toSorted().map((folder) => {
        const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
        const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
        if (file === undefined) throw new Error(`${name} has no file with its license`);
        return `${name} ${version}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
      });
      const text = texts.join('\n---\n\n');
      const contents = new TextEncoder().encode(text);
      outputFiles?.push({ path: join(outdir, 'licenses.txt'), contents, text, hash: '' });
    });
  },
};

/** Commander needs child processes for commands that are programs of their own. There are none. */
const withoutChildren: Plugin = {
  name: 'without-children',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]commander[\\/]lib[\\/]command\.js$/ }, ({ path }) => {
      const line = "import childProcess from 'node:child_process';\n";
      const text = readFileSync(path, 'utf8');
      if (!text.includes(line)) throw new Error(`${path} does not import child processes as it did`);
      return { contents: text.replace(line, 'const childProcess = undefined;\n') };
    });
  },
};

/** Of a CommonJS package that is loaded late esbuild leaves a default export alone; here it has the names that are used. */
const named: Plugin = {
  name: 'named',
  setup({ onResolve, onLoad, onEnd }) {
    onResolve({ filter: /^proper-lockfile$/ }, ({ kind, path, resolveDir }) =>
      kind === 'dynamic-import' ? { path, namespace: 'named', pluginData: resolveDir } : null,
    );
    onLoad({ filter: /.*/, namespace: 'named' }, ({ path, pluginData }) => ({
      contents: `export { lock } from ${JSON.stringify(path)};`,
      resolveDir: pluginData,
    }));
    onEnd(({ metafile }) => {
      for (const { entryPoint = '' } of Object.values(metafile?.outputs ?? {})) {
        if (entryPoint.includes('node_modules')) throw new Error(`${entryPoint} is loaded late, by no name`);
      }
    });
  },
};

/** The version alone, without its manifest, wherever it is used: one that is shared would be one file more to load. */
const version: Plugin = {
  name: 'version',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /\/version\.ts$/ }, ({ importer, resolveDir, path }) => ({
      path: join(resolveDir, path),
      suffix: `?${importer}`,
    }));
    onLoad({ filter: /[\\/]cli[\\/]src[\\/]version\.ts$/ }, () => {
      const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
      return { contents: `export const version = ${JSON.stringify(manifest.version)};` };
    });
  },
};

/** Prints, as JSON, what `reg --help` does on terminals of 80 and of 100 columns. */
const help = `
  import { program } from './src/program.ts';
  const texts = {};
  for (const columns of [80, 100]) {
    texts[columns] = '';
    const stdout = { columns, write: (text) => { texts[columns] += text; } };
    await program({ stdout, stderr: stdout, env: {}, signal: new AbortController().signal })(['--help']);
  }
  process.stdout.write(JSON.stringify(texts));
`;

/** `reg --help`, asked for now so that nobody has to wait for it. */
const overview: Plugin = {
  name: 'overview',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]cli[\\/]src[\\/]overview\.ts$/ }, () => {
      const args = ['--conditions=@reg/source', '--input-type=module', '--eval', help];
      const texts = execFileSync(process.execPath, args, { cwd: import.meta.dirname, encoding: 'utf8' });
      return { contents: `export const overview = ${texts};` };
    });
  },
};

/** What every command line needs, of which each file is loaded by others too. */
const base = ['surroundings', 'report/exit-code', 'report/settings', 'tree/find', 'tree/names'].map((name) =>
  join(import.meta.dirname, `src/${name}.ts`),
);

/** Keeps the base in one file: esbuild puts modules together that are reached from the same entries. */
const together: Plugin = {
  name: 'together',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]cli[\\/]src[\\/].*\.ts$/ }, ({ path }) => {
      if (!base.includes(path)) return null;
      const others = base.map((one) => `import ${JSON.stringify(one)};\n`);
      return { contents: readFileSync(path, 'utf8') + others.join(''), loader: 'ts' };
    });
  },
};

export default defineConfig({
  entry: ['src/main.ts', 'src/docker-credential-reg.ts'],
  format: ['esm'],
  splitting: true,
  platform: 'node',
  target,
  noExternal: [/.*/],
  minify: true,
  clean: true,
  metafile: true,
  removeNodeProtocol: false,
  outExtension: () => ({ js: '.cjs' }),
  esbuildPlugins: [commonJs, licenses, withoutChildren, named, version, overview, together],
  esbuildOptions(options) {
    options.conditions = ['@reg/source', 'module'];
  },
});
